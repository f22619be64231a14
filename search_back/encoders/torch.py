"""Encoders that run open_clip models on torch."""

from __future__ import annotations

import socket
import threading
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np

from search_back.encoders.base import BaseEncoder
from search_back.encoders.identity import make_identity, tokenizer_key
from search_back.encoders.open_clip_import import open_clip as import_open_clip
from search_back.encoders.preprocess import Preprocessing
from search_back.encoders.tokenizer import ClipTokenizer, Tokenizer, clip_vocabulary
from search_back.encoders.towers import is_causal, text_tower
from search_back.errors import ModelUnavailable
from search_back.files import sha256_file
from search_back.types import FloatArray, IdArray

LOCAL_WEIGHTS = ("open_clip_model.safetensors", "open_clip_pytorch_model.bin")


class TorchEncoder(BaseEncoder):
    """An open_clip model, from a hub tag, a checkpoint file or a ``local-dir:`` folder.

    Runs on CUDA where there is a device, then on Apple's MPS, then on the CPU. Calls from
    several threads run one after the other.
    """

    def __init__(
        self, name: str, architecture: str, pretrained: str | None, *, threads: int = 0
    ) -> None:
        try:
            open_clip = import_open_clip()
            import torch
        except ImportError as error:
            raise ModelUnavailable(
                f"the model {name!r} needs torch and open_clip",
                value=str(error),
                remedy="pip install torch open-clip-torch",
            ) from error

        if threads:
            torch.set_num_threads(threads)
        self._torch = torch
        self._lock = threading.Lock()
        self._device = _best_device(torch)
        weights = _weights_file(open_clip, name, architecture, pretrained)
        try:
            self._model = open_clip.create_model(
                architecture, pretrained=pretrained, device=self._device
            ).eval()
        except Exception as error:  # open_clip passes on whatever its many loaders raise
            raise _cannot_load(name, error) from error
        config = dict(open_clip.get_model_preprocess_cfg(self._model))
        preprocessing = Preprocessing.from_json(config)
        tokenizer, key = _tokenizer(open_clip, architecture, self._model)
        super().__init__(
            make_identity(
                name=name,
                dimension=_dimension(self._model, tokenizer, torch, self._device),
                weights_sha256=sha256_file(weights),
                preprocessing=preprocessing,
                tokenizer=key,
                context_length=tokenizer.context_length,
            ),
            preprocessing,
            tokenizer,
            # Where a text ends is known by its largest token, in CLIP's own vocabulary only.
            text_is_causal=is_causal(self._model) and isinstance(tokenizer, ClipTokenizer),
        )
        self._text = text_tower(self._model) if self._text_is_causal else self._model.encode_text

    def _image_tower(self, pixels: FloatArray) -> FloatArray:
        with self._lock, self._torch.inference_mode():
            batch = self._torch.from_numpy(pixels).to(self._device)
            return np.asarray(self._model.encode_image(batch).float().cpu().numpy())

    def _text_tower(self, tokens: IdArray) -> FloatArray:
        with self._lock, self._torch.inference_mode():
            batch = self._torch.from_numpy(tokens).to(self._device)
            return np.asarray(self._text(batch).float().cpu().numpy())

    def close(self) -> None:
        del self._model, self._text


class _OpenClipTokenizer:
    """Any other tokenizer that open_clip knows (SigLIP, XLM-R …), run whole."""

    def __init__(self, tokenizer: Any, context_length: int) -> None:
        self._tokenizer = tokenizer
        self.context_length = context_length

    def __call__(self, texts: Any) -> IdArray:
        return np.asarray(self._tokenizer(list(texts), context_length=self.context_length).numpy())


def _tokenizer(open_clip: Any, architecture: str, model: Any) -> tuple[Tokenizer, str]:
    folder = Path(architecture.removeprefix("local-dir:"))
    local = folder / "bpe.txt.gz"
    context_length = int(model.context_length)
    if architecture.startswith("local-dir:") and local.is_file():
        return ClipTokenizer(local, context_length), tokenizer_key(local)
    theirs = open_clip.get_tokenizer(architecture)
    if type(theirs) is open_clip.SimpleTokenizer:
        vocabulary = clip_vocabulary()
        return ClipTokenizer(vocabulary, context_length), tokenizer_key(vocabulary)
    return _OpenClipTokenizer(theirs, context_length), f"open_clip:{type(theirs).__name__}"


def _weights_file(open_clip: Any, name: str, architecture: str, pretrained: str | None) -> Path:
    if architecture.startswith("local-dir:"):
        folder = Path(architecture.removeprefix("local-dir:"))
        for file in LOCAL_WEIGHTS:
            if (folder / file).is_file():
                return folder / file
        raise ModelUnavailable(f"{folder} holds no weights", remedy=f"put {LOCAL_WEIGHTS[0]} there")
    if pretrained is not None and Path(pretrained).is_file():
        return Path(pretrained)
    if architecture not in open_clip.list_models():
        raise ModelUnavailable(
            f"open_clip knows no architecture {architecture!r}",
            value=name,
            remedy="see open_clip.list_models()",
        )
    config = open_clip.get_pretrained_cfg(architecture, pretrained) if pretrained else None
    if not config:
        tags = open_clip.list_pretrained_tags_by_model(architecture)
        raise ModelUnavailable(
            f"{architecture} has no weights {pretrained!r}",
            remedy=f"give a checkpoint file, or one of {', '.join(tags) or 'none'}",
        )
    _do_not_wait_for_an_absent_hub()
    try:
        return Path(open_clip.download_pretrained(config))
    except Exception as error:  # hub clients raise many classes
        raise _cannot_load(name, error) from error


def _do_not_wait_for_an_absent_hub() -> None:
    """Without a network take what is cached at once; the hub's client would retry for a minute."""
    from huggingface_hub import constants

    host = urlsplit(constants.ENDPOINT).hostname
    try:
        socket.getaddrinfo(host, 443)
    except OSError:
        constants.HF_HUB_OFFLINE = True


def _dimension(model: Any, tokenizer: Tokenizer, torch: Any, device: str) -> int:
    tokens = tokenizer(["a"])
    missing = tokenizer.context_length - tokens.shape[1]
    padded = np.pad(tokens, ((0, 0), (0, max(0, missing))))
    with torch.inference_mode():
        return int(model.encode_text(torch.from_numpy(padded).to(device)).shape[-1])


def _best_device(torch: Any) -> str:
    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def _cannot_load(name: str, error: Exception) -> ModelUnavailable:
    return ModelUnavailable(
        f"the model {name!r} cannot be loaded",
        value=f"{type(error).__name__}: {error}".splitlines()[0],
        remedy="without a model hub give a checkpoint file "
        "(--clip-model open_clip:ViT-B-32//path/to/model.pt), or try --clip-model emoji",
    )
