"""A run from its settings to its published result, or on from where an earlier one was stopped."""

from __future__ import annotations

from pathlib import Path

from search_back.errors import EncoderMismatch, NothingToDo
from search_back.files import EMBEDDINGS_MANIFEST, read_json
from search_back.inference.identity import Run, describe, is_unchanged
from search_back.inference.items import Reader
from search_back.inference.job import Job
from search_back.inference.output import earlier_result, made_by, read_report, usable_output
from search_back.inference.readers import open_reader
from search_back.inference.report import InferenceReport, Progress, Silent
from search_back.inference.settings import InferenceSettings
from search_back.inference.work import discard_work, exclusively, is_published, work_folder
from search_back.interfaces import Encoder


def run(
    settings: InferenceSettings,
    encoder: Encoder,
    *,
    text_encoder: Encoder | None = None,
    progress: Progress | None = None,
) -> InferenceReport:
    """Embed the input into ``settings.output_folder``.

    ``text_encoder``: for the captions, where it is not ``encoder``; one whose vectors have another
    length raises ``EncoderMismatch``.

    The folder appears when the run is done, complete with ``embeddings.json``; until then an older
    result stays as it was. A run that was stopped, however that was, goes on where it was when it
    is called again with the same settings, and ends in the same bytes; one that is done already
    does nothing. Raises ``BadFolder`` (no such input), ``ConfigError`` (an output that may not be
    replaced, or that another run is writing or has begun with other settings), ``NothingToDo``
    (not one usable item) and ``TooManyFailures``. The encoder stays open.
    """
    if text_encoder is not None:
        _check_fit(encoder, text_encoder)
    target = usable_output(settings.output_folder, overwrite=settings.overwrite)
    reader = open_reader(settings)
    asked = describe(settings, reader, encoder, text_encoder)
    with exclusively(target):
        if _is_done(target, settings, reader, asked):
            discard_work(target)
            return read_report(target)
        if not settings.overwrite and (target / EMBEDDINGS_MANIFEST).exists():
            raise earlier_result(target)
        job = Job(settings, encoder, text_encoder, reader, asked, progress or Silent())
        try:
            report = job.run(target, work_folder(target))
        except NothingToDo:
            discard_work(target)
            raise
        discard_work(target)
        return report


def _is_done(target: Path, settings: InferenceSettings, reader: Reader, asked: Run) -> bool:
    """Whether the output holds what this run would make.

    Also where a kill came between the last rename and the end of the process, in a run that
    replaces an older result: there is no work left to do but the work's removal.
    """
    if made_by(target) != asked.key:
        return False
    if settings.overwrite and not is_published(target):
        return False
    digest = str(read_json(target / EMBEDDINGS_MANIFEST).get("input_sha256", "0"))
    return is_unchanged(reader, digest, subset=settings.subset_size is not None)


def _check_fit(encoder: Encoder, text_encoder: Encoder) -> None:
    pictures, texts = encoder.identity, text_encoder.identity
    if pictures.dimension != texts.dimension:
        raise EncoderMismatch(
            f"encoder {pictures.name!r} makes {pictures.dimension}-d vectors of pictures, "
            f"encoder {texts.name!r} {texts.dimension}-d ones of captions",
            remedy="give a text model that was made to fit the pictures': --mclip-model …",
        )
