"""Train the network on generated scenes."""

from __future__ import annotations

import json
import math
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from tqdm import tqdm

from search_back.models.recipe import losses
from search_back.models.recipe.augment import Renderer
from search_back.models.recipe.captions import CaptionMaker, Phrasebook, clean
from search_back.models.recipe.concepts import Concept
from search_back.models.recipe.network import (
    DIMENSION,
    Tokens,
    build_model,
    encode_texts,
    pixel_values,
)
from search_back.models.recipe.scenes import Scene, SceneMaker
from search_back.models.recipe.sprites import TRAINED_STYLES, read_sprites
from search_back.models.recipe.work import WorkFolder

_TEXT_GROUPS = 6
_START_SCALE = 15.0
_LOG_EVERY = 50


@dataclass(frozen=True, slots=True)
class Round:
    """One cosine of the learning rate, from `rate` down to nothing in `steps`.

    `favoured`: the share of things drawn in the style of the bundled pictures, 0: no more than
    any other; `foreign`: how many times as often a caption is not English; `threads`: of torch.
    """

    steps: int
    rate: float
    favoured: float = 0.0
    foreign: float = 1.0
    threads: int = 1


ROUNDS = (
    Round(3800, 2.5e-3),
    Round(1300, 1.2e-3),
    Round(4600, 1.8e-3, favoured=0.25, foreign=1.5, threads=2),
)
"""A round from nothing, then two that start where the one before ended."""


@dataclass(frozen=True, slots=True)
class TrainSettings:
    """How to train one round. `minutes`, where given, ends it by the clock, not by its steps."""

    round: Round = ROUNDS[0]
    minutes: float | None = None
    batch: int = 128
    weight_decay: float = 0.05
    composed: float = 0.3
    seed: int = 0


def train(
    work: WorkFolder,
    concepts: Sequence[Concept],
    *,
    rounds: Sequence[Round] = ROUNDS,
    minutes: float | None = None,
) -> None:
    """Train all rounds; write a checkpoint after each, and the log.

    `minutes` is for all rounds together, shared out by their steps. A round whose checkpoint is
    there is not repeated.
    """
    last: dict[str, Tensor] | None = None
    total = sum(item.steps for item in rounds)
    for number, item in enumerate(rounds):
        file = work.round_checkpoint(number)
        if not file.exists():
            share = None if minutes is None else minutes * item.steps / total
            settings = TrainSettings(item, minutes=share, seed=number)
            _train_round(work, concepts, settings, last, file)
        last = torch.load(file, weights_only=True)
    logs = [
        json.loads(work.round_log(number).read_text(encoding="utf-8"))
        for number in range(len(rounds))
    ]
    summary = {
        "steps": sum(log["steps"] for log in logs),
        "batch": TrainSettings().batch,
        "minutes": sum(log["minutes"] for log in logs),
        "rounds": logs,
    }
    work.training_log.write_text(json.dumps(summary) + "\n", encoding="utf-8")
    torch.save(last, work.checkpoint)


def _train_round(
    work: WorkFolder,
    concepts: Sequence[Concept],
    settings: TrainSettings,
    weights: dict[str, Tensor] | None,
    file: Path,
) -> None:
    torch.set_num_threads(settings.round.threads)
    torch.manual_seed(settings.seed)
    trainer = Trainer(work, concepts, settings, weights)
    started, log = time.monotonic(), []
    with tqdm(total=settings.round.steps, desc=file.stem) as bar:
        while (done := trainer.progress(time.monotonic() - started)) < 1:
            loss = trainer.step(done)
            bar.update()
            if trainer.steps % _LOG_EVERY == 0:
                seconds = time.monotonic() - started
                log.append({"step": trainer.steps, "seconds": seconds, "loss": loss})
                bar.set_postfix(loss=f"{loss:.3f}")
    summary = {
        "steps": trainer.steps,
        "rate": settings.round.rate,
        "seed": settings.seed,
        "minutes": (time.monotonic() - started) / 60,
        "losses": log,
    }
    work.round_log(settings.seed).write_text(json.dumps(summary) + "\n", encoding="utf-8")
    torch.save(trainer.weights(), file)


class Trainer:
    """Model, data and optimizer of one round; single thread.

    Given `weights`, it goes on from them, with proxies at the names' text features.
    """

    def __init__(
        self,
        work: WorkFolder,
        concepts: Sequence[Concept],
        settings: TrainSettings,
        weights: dict[str, Tensor] | None = None,
    ) -> None:
        self.settings = settings
        self.steps = 0
        rng = random.Random(settings.seed)  # noqa: S311
        styles = [read_sprites(work, style) for style in TRAINED_STYLES]
        bank = torch.from_numpy(np.concatenate([style.pixels for style in styles]))
        book = Phrasebook(concepts)
        self._relation = book.relation
        self._scenes = SceneMaker(
            np.stack([style.drawn for style in styles]),
            CaptionMaker(book, rng, foreign=settings.round.foreign),
            rng,
            favoured=settings.round.favoured,
        )
        self._renderer = Renderer(bank.permute(0, 3, 1, 2).contiguous(), settings.seed)
        self._tokens = Tokens(work.vocabulary)
        self._model = build_model()
        self._proxies = nn.Parameter(torch.randn(len(concepts), DIMENSION) * 0.02)
        self._proxy_scale = nn.Parameter(torch.tensor(math.log(_START_SCALE)))
        with torch.no_grad():
            self._model.logit_scale.fill_(math.log(_START_SCALE))
            if weights is not None:
                self._go_on(weights, [clean(concept.name) for concept in concepts])
        self._continued = weights is not None
        self._optimizer = self._make_optimizer()

    def progress(self, seconds: float) -> float:
        """Share of the run that is done, from 0 to 1."""
        if self.settings.minutes is not None:
            return seconds / (60 * self.settings.minutes)
        return self.steps / self.settings.round.steps

    def step(self, done: float) -> float:
        """Train on one batch at progress `done`; the loss."""
        settings = self.settings
        warm = min(1.0, (self.steps + 1) / 100)
        rate = settings.round.rate * warm * (0.5 + 0.5 * math.cos(math.pi * done)) + 1e-6
        for group in self._optimizer.param_groups:
            group["lr"] = rate
        # Things together only once things alone are known.
        known = 1.0 if self._continued else min(1.0, done / 0.15)
        scenes = self._scenes.batch(settings.batch, settings.composed * known)
        loss = self._loss(scenes)
        self._optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self._model.parameters(), 1.0)
        self._optimizer.step()
        self.steps += 1
        return loss.item()

    def weights(self) -> dict[str, Tensor]:
        """The model's weights, without proxies."""
        state: dict[str, Tensor] = self._model.state_dict()
        return state

    def _go_on(self, weights: dict[str, Tensor], names: Sequence[str]) -> None:
        self._model.load_state_dict(weights)
        features = encode_texts(self._model, self._tokens, names, _TEXT_GROUPS)
        self._proxies.copy_(functional.normalize(features, dim=-1))
        self._proxy_scale.copy_(self._model.logit_scale)

    def _loss(self, scenes: Sequence[Scene]) -> Tensor:
        wholes, parts = [scene.caption for scene in scenes], [scene.part for scene in scenes]
        present = losses.membership(scenes, self._relation.shape[1])
        self._model.train()
        images = functional.normalize(
            self._model.encode_image(pixel_values(self._renderer.render(scenes))), dim=-1
        )
        texts = functional.normalize(
            encode_texts(
                self._model,
                self._tokens,
                [caption.text for caption in (*wholes, *parts)],
                _TEXT_GROUPS,
            ),
            dim=-1,
        )
        scale = self._proxy_scale
        loss = losses.PROXY_WEIGHT * losses.to_proxies(
            images, self._proxies, scale, losses.shares(present)
        )
        for captions, features in zip((wholes, parts), texts.chunk(2), strict=True):
            said = losses.said_concepts(captions, self._relation)
            ignored = losses.false_negatives(captions, said, scenes, present)
            loss = loss + 0.5 * losses.contrastive(
                features, images, self._model.logit_scale, ignored
            )
            loss = loss + 0.5 * losses.PROXY_WEIGHT * losses.to_proxies(
                features, self._proxies, scale, losses.caption_shares(said)
            )
        return loss

    def _make_optimizer(self) -> Any:
        parameters = list(self._model.parameters())
        matrices = [weight for weight in parameters if weight.ndim > 1]
        vectors = [weight for weight in parameters if weight.ndim <= 1]
        groups = [
            {"params": matrices, "weight_decay": self.settings.weight_decay},
            {"params": [*vectors, self._proxies, self._proxy_scale], "weight_decay": 0.0},
        ]
        return torch.optim.AdamW(groups, lr=self.settings.round.rate, betas=(0.9, 0.98), fused=True)
