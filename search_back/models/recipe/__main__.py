"""Command line of the recipe: `python -m search_back.models.recipe all --work build/recipe`."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from search_back.models import model_folder, pictures_tar
from search_back.models.recipe.work import WorkFolder


@dataclass(frozen=True, slots=True)
class Run:
    """Where one run of the recipe reads and writes, and whether it repeats finished steps."""

    work: WorkFolder
    model: Path
    pictures: Path
    force: bool

    def skips(self, output: Path) -> bool:
        """Whether a step is done already; says so."""
        if self.force or not output.exists():
            return False
        click.echo(f"{output} is there already: skipped", err=True)
        return True


def _shared(command: Callable[..., None]) -> Callable[..., None]:
    options = (
        click.option("--work", type=click.Path(path_type=Path), default=Path("build/recipe"),
                     show_default=True, help="Folder for everything in between."),
        click.option("--model", type=click.Path(path_type=Path), default=model_folder,
                     help="Folder to write the model to; the bundled one if not given."),
        click.option("--pictures", type=click.Path(path_type=Path), default=pictures_tar,
                     help="Tar to write the pictures to; the bundled one if not given."),
        click.option("--force", is_flag=True, help="Repeat steps whose output is there."),
    )  # fmt: skip
    for option in reversed(options):
        command = option(command)
    return command


_assets_option = click.option(
    "--assets",
    "given",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="Folder of source packages fetched earlier.",
)
_steps_option = click.option(
    "--steps",
    type=click.IntRange(1),
    help="One round of so many steps, instead of two.",
)
_minutes_option = click.option(
    "--minutes", type=float, help="Train by the clock instead of by steps."
)


@click.group(help=__doc__)
def cli() -> None:
    """Group of the steps."""


@cli.command("assets")
@_shared
@_assets_option
def assets_command(given: Path | None, **shared: Any) -> None:
    """Fetch and check the source packages."""
    _assets(_run(**shared), given)


@cli.command("concepts")
@_shared
def concepts_command(**shared: Any) -> None:
    """Make the table of concepts from the sources."""
    _concepts(_run(**shared))


@cli.command("sprites")
@_shared
def sprites_command(**shared: Any) -> None:
    """Draw every concept in every style."""
    _sprites(_run(**shared))


@cli.command("vocabulary")
@_shared
def vocabulary_command(**shared: Any) -> None:
    """Learn the byte-pair vocabulary."""
    _vocabulary(_run(**shared))


@cli.command("pictures")
@_shared
def pictures_command(**shared: Any) -> None:
    """Pack the bundled pictures."""
    _pictures(_run(**shared))


@cli.command("train")
@_shared
@_steps_option
@_minutes_option
def train_command(steps: int | None, minutes: float | None, **shared: Any) -> None:
    """Train the network."""
    _train(_run(**shared), steps, minutes)


@cli.command("export")
@_shared
def export_command(**shared: Any) -> None:
    """Write the model's folder from the checkpoint."""
    _export(_run(**shared))


@cli.command("evaluate")
@_shared
def evaluate_command(**shared: Any) -> None:
    """Measure the published model and print the figures."""
    _evaluate(_run(**shared))


@cli.command("all")
@_shared
@_assets_option
@_steps_option
@_minutes_option
def all_command(
    given: Path | None, steps: int | None, minutes: float | None, **shared: Any
) -> None:
    """Every step, in order."""
    run = _run(**shared)
    _assets(run, given)
    _concepts(run)
    _sprites(run)
    _vocabulary(run)
    _pictures(run)
    _train(run, steps, minutes)
    _export(run)
    _evaluate(run)


def _run(work: Path, model: Path, pictures: Path, force: bool) -> Run:
    return Run(WorkFolder(work), model, pictures, force)


# A step imports what it needs when it runs: `assets` works without torch.


def _assets(run: Run, given: Path | None) -> None:
    from search_back.models.recipe.assets import fetch

    fetch(run.work, given)


def _concepts(run: Run) -> None:
    from search_back.models.recipe.concepts import make_concepts

    if not run.skips(run.work.concepts):
        make_concepts(run.work)


def _sprites(run: Run) -> None:
    from search_back.models.recipe.sprites import HELD_OUT_STYLES, TRAINED_STYLES, draw_sprites

    styles = (*TRAINED_STYLES, *HELD_OUT_STYLES)
    if run.force:
        for style in styles:
            run.work.sprites(style).unlink(missing_ok=True)
    draw_sprites(run.work, _table(run), styles)


def _vocabulary(run: Run) -> None:
    from search_back.models.recipe.bpe import MERGES, count_words, learn_merges, write_vocabulary

    if not run.skips(run.work.vocabulary):
        words = count_words(_table(run))
        write_vocabulary(run.work.vocabulary, learn_merges(words, MERGES))


def _pictures(run: Run) -> None:
    from search_back.models.recipe.pictures import pack_pictures

    if not run.skips(run.pictures):
        pack_pictures(run.work, _table(run), run.pictures)


def _train(run: Run, steps: int | None, minutes: float | None) -> None:
    from search_back.models.recipe.train import ROUNDS, Round, train

    if run.skips(run.work.checkpoint):
        return
    rounds = ROUNDS if steps is None else (Round(steps, ROUNDS[0].rate),)
    if run.force:
        for number in range(len(rounds)):
            run.work.round_checkpoint(number).unlink(missing_ok=True)
    train(run.work, _table(run), rounds=rounds, minutes=minutes)


def _export(run: Run) -> None:
    from search_back.encoders.description import ENCODER_FILE
    from search_back.models.recipe.publish import publish_model

    # A folder made from an older checkpoint is not the output of this step.
    done = run.model / ENCODER_FILE
    newer = done.exists() and done.stat().st_mtime >= run.work.checkpoint.stat().st_mtime
    if not (newer and run.skips(done)):
        publish_model(run.work, run.pictures, run.model)


def _evaluate(run: Run) -> None:
    from search_back.models.recipe.evaluate import evaluate

    figures = evaluate(run.work, _table(run), run.model, run.pictures)
    click.echo(json.dumps(figures, ensure_ascii=False, indent=2))


def _table(run: Run) -> Any:
    from search_back.models.recipe.concepts import read_concepts

    return read_concepts(run.work.concepts)


if __name__ == "__main__":
    cli()
