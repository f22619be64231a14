"""A run from its settings to its published result, or on from where an earlier one was stopped."""

from __future__ import annotations

from pathlib import Path

from search_back.errors import NothingToDo
from search_back.inference.destination import Elsewhere, destination
from search_back.inference.fit import check_fit
from search_back.inference.identity import describe, is_unchanged
from search_back.inference.job import Job
from search_back.inference.output import earlier_result, read_manifest, read_report, report_of
from search_back.inference.readers import Fetch, find_input
from search_back.inference.report import InferenceReport, Progress, Silent
from search_back.inference.settings import InferenceSettings
from search_back.inference.work import copies_folder, discard_work, exclusively, is_published
from search_back.interfaces import Encoder
from search_back.workfolder import work_folder


def run(
    settings: InferenceSettings,
    encoder: Encoder,
    *,
    text_encoder: Encoder | None = None,
    progress: Progress | None = None,
    fetch: Fetch | None = None,
) -> InferenceReport:
    """Embed the input into ``settings.output_folder``.

    ``text_encoder``: for the captions, where it is not ``encoder``; one whose vectors have another
    length raises ``EncoderMismatch``. ``fetch``: gets the bytes of pictures that tables link to.

    The folder appears when the run is done, complete with ``embeddings.json``; until then an older
    result stays as it was. (At a remote address the manifest comes last, and an older one goes
    first.) A run that was stopped, however that was, goes on where it was when it is called again
    with the same settings, and ends in the same bytes; one that is done already does nothing.

    Raises ``BadFolder`` (no such input), ``ConfigError`` (an output that may not be replaced, or
    that another run is writing or has begun with other settings), ``NothingToDo`` (not one usable
    item) and ``TooManyFailures``. The encoder stays open.
    """
    if text_encoder is not None:
        check_fit(encoder.identity, text_encoder.identity)
    progress = progress or Silent()
    goal = destination(settings)
    goal.check(overwrite=settings.overwrite)
    subset = settings.subset_size is not None
    # The lock makes folders, copies of tables need the lock: a bad input is told before both.
    opened = find_input(settings, fetch=fetch)
    with exclusively(goal.folder):
        reader = opened(copies_folder(goal.folder))
        asked = describe(settings, reader, encoder, text_encoder)
        job = Job(settings, encoder, text_encoder, reader, asked, progress)
        if isinstance(goal, Elsewhere) and not settings.overwrite and (there := goal.manifest()):
            if not is_unchanged(reader, asked, there, subset=subset):
                raise earlier_result(goal.url)
            goal.tidy()
            return report_of(goal.url, there)
        here = read_manifest(goal.folder)
        if is_unchanged(reader, asked, here, subset=subset) and _may_keep(settings, goal.folder):
            discard_work(goal.folder)
            report = read_report(goal.folder)
        elif here and not (settings.overwrite or isinstance(goal, Elsewhere)):
            raise earlier_result(goal.folder)
        else:
            report = _made(job, goal.folder)
        return goal.finish(report, progress)


def _may_keep(settings: InferenceSettings, folder: Path) -> bool:
    """Whether what lies there, made by this very run, need not be made again.

    To replace it is done where the run that did was killed on its way out.
    """
    if isinstance(settings.output, str):
        return not settings.restart
    return not settings.overwrite or is_published(folder)


def _made(job: Job, folder: Path) -> InferenceReport:
    try:
        report = job.run(folder, work_folder(folder))
    except NothingToDo:
        discard_work(folder)
        raise
    discard_work(folder)
    return report
