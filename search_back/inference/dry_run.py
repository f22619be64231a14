"""What a run would do, found out without doing it."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from search_back.encoders.foresee import Foreseen
from search_back.errors import NothingToDo
from search_back.inference.destination import Elsewhere, Here, destination
from search_back.inference.fit import check_fit
from search_back.inference.items import Reader
from search_back.inference.plan import decide, take_survey
from search_back.inference.readers import find_input
from search_back.inference.settings import InferenceSettings

_BYTES_A_NUMBER: Final = 2
_METADATA_BYTES_A_ROW: Final = 100


@dataclass(frozen=True, slots=True)
class Outlook:
    """What a run would do.

    ``items``, ``captions``: found in a scan, which ends at ``subset_size`` where captions need not
    be there; None where a scan would run commands. ``rows``: the most that would be written.
    ``image``, ``text``: which embeddings. ``replaces``: an earlier result lies at
    ``output_folder``. ``disk_bytes``: of the result, roughly; None where rows or the length of
    the vectors are not known. ``notes``: what a run would say.
    """

    inputs: tuple[str, ...]
    items: int | None
    captions: int | None
    rows: int | None
    image: bool
    text: bool
    encoder: Foreseen
    text_encoder: Foreseen | None
    output_folder: Path | str
    exists: bool
    replaces: bool
    disk_bytes: int | None
    notes: tuple[str, ...]


def look_ahead(
    settings: InferenceSettings, encoder: Foreseen, *, text_encoder: Foreseen | None = None
) -> Outlook:
    """Scan the input and decide as ``run`` does; nothing is decoded, run or written.

    Raises what ``run`` would for the same settings, as far as a scan can tell.
    """
    if text_encoder is not None:
        check_fit(encoder, text_encoder)
    goal = destination(settings)
    goal.check(overwrite=settings.overwrite)
    opened = find_input(settings, fetch=_not_fetched)
    with tempfile.TemporaryDirectory() as copies:
        return _outlook(settings, encoder, text_encoder, goal, opened(Path(copies)))


def _outlook(
    settings: InferenceSettings,
    encoder: Foreseen,
    text_encoder: Foreseen | None,
    goal: Here | Elsewhere,
    reader: Reader,
) -> Outlook:
    survey = None if reader.scan == "never" else take_survey(settings, reader)
    plan = decide(settings, survey)
    if survey is not None and not survey.items:
        what, remedy = reader.nothing_found()
        raise NothingToDo(what, remedy=remedy)
    if survey is not None and plan.pairs_only and not survey.captions:
        raise NothingToDo(
            f"none of {survey.items} pictures has a readable caption",
            remedy="leave --enable-text out to embed the pictures alone",
        )
    return Outlook(
        inputs=reader.inputs,
        items=survey.items if survey else None,
        captions=survey.captions if survey else None,
        rows=plan.total,
        image=plan.image,
        text=plan.text,
        encoder=encoder,
        text_encoder=text_encoder,
        output_folder=settings.output,
        exists=goal.exists(),
        replaces=goal.is_filled(),
        disk_bytes=_disk_bytes(plan.total, encoder.dimension, plan.image + plan.text),
        notes=plan.notes,
    )


def _not_fetched(url: str) -> bytes:
    raise AssertionError(f"a scan reads no picture, so not {url}")


def _disk_bytes(rows: int | None, dimension: int | None, kinds: int) -> int | None:
    if rows is None or dimension is None:
        return None
    return rows * (dimension * kinds * _BYTES_A_NUMBER + _METADATA_BYTES_A_ROW)
