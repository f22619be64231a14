"""One run: reader, plan, mapper and writers wired together, its result published whole."""

from __future__ import annotations

import time
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from search_back.errors import ConfigError, EncoderMismatch, NothingToDo, TooManyFailures
from search_back.files import publish
from search_back.inference.items import Reader
from search_back.inference.mapper import batches
from search_back.inference.output import usable_output, write_manifest, write_stats
from search_back.inference.plan import Plan, make_plan, selected
from search_back.inference.readers import open_reader
from search_back.inference.report import InferenceReport, Progress, Silent
from search_back.inference.settings import InferenceSettings
from search_back.inference.writers import FailureLog, PartitionWriter, Written
from search_back.interfaces import Encoder


@dataclass(slots=True)
class _Tally:
    items: int = 0
    dropped: int = 0
    writing_s: float = 0.0


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

    The folder appears when the run is done, complete with ``embeddings.json``; a run that ends
    otherwise leaves nothing, and an older result as it was. Raises ``BadFolder`` (no such
    input), ``ConfigError`` (an output that may not be replaced), ``NothingToDo`` (not one usable
    item) and ``TooManyFailures``. The encoder stays open.
    """
    started = time.perf_counter()
    progress = progress or Silent()
    if text_encoder is not None:
        _check_fit(encoder, text_encoder)
    target = usable_output(settings.output_folder, overwrite=settings.overwrite)
    reader = open_reader(settings)
    plan = make_plan(settings, reader)
    for note in plan.notes:
        progress.note(note)
    planned = time.perf_counter()
    with publish(target) as folder:
        _create(folder)
        log = FailureLog(folder)
        tally = _Tally()
        try:
            written = _embed(
                settings,
                encoder,
                text_encoder,
                reader=reader,
                plan=plan,
                folder=folder,
                log=log,
                tally=tally,
                progress=progress,
            )
        finally:
            log.close()
        seconds = time.perf_counter() - started
        write_stats(
            folder,
            count=written.count,
            failures=log.count,
            seconds=seconds,
            stages={
                "scan": planned - started,
                "embed": seconds - (planned - started) - tally.writing_s,
                "write": tally.writing_s,
            },
        )
        write_manifest(
            folder,
            encoder=encoder,
            text_encoder=text_encoder if plan.text else None,
            reader=reader,
            written=written,
            has_image=plan.image,
            has_text=plan.text,
            failures=log.count,
            dropped=tally.dropped,
            seconds=seconds,
        )
    later = (*reader.notes, *_dropped(tally), *written.notes)
    for note in later:
        progress.note(note)
    return InferenceReport(
        output_folder=target,
        count=written.count,
        dimension=encoder.identity.dimension,
        partitions=written.partitions,
        has_image=plan.image,
        has_text=plan.text,
        columns=written.columns,
        failures=log.count,
        dropped=tally.dropped,
        seconds=seconds,
        notes=(*plan.notes, *later),
        first_failures=tuple(log.first),
    )


def _embed(
    settings: InferenceSettings,
    encoder: Encoder,
    text_encoder: Encoder | None,
    *,
    reader: Reader,
    plan: Plan,
    folder: Path,
    log: FailureLog,
    tally: _Tally,
    progress: Progress,
) -> Written:
    items = selected(reader.items(), plan, settings.subset_size)
    stream = batches(
        items,
        encoder,
        plan,
        batch_size=settings.batch_size,
        workers=settings.num_prepro_workers,
        text_encoder=text_encoder,
    )
    writer = PartitionWriter(
        folder,
        dimension=encoder.identity.dimension,
        image=plan.image,
        text=plan.text,
        rows_each=settings.write_batch_size,
        max_columns=settings.max_metadata_columns,
    )
    with closing(items), closing(stream), writer:
        for batch in stream:
            log.add(batch.failures)
            tally.items += batch.items
            tally.dropped += batch.dropped
            if settings.max_failures is not None and log.count > settings.max_failures:
                raise TooManyFailures(
                    f"{log.count} failures are more than --max-failures {settings.max_failures}",
                    value=log.reasons(),
                    remedy="see to the causes, or raise --max-failures; nothing was written",
                )
            began = time.perf_counter()
            writer.append(batch.rows, image=batch.image, text=batch.text)
            tally.writing_s += time.perf_counter() - began
            progress.update(done=tally.items, total=plan.total, failures=log.count)
        began = time.perf_counter()
        written = writer.finish()
        tally.writing_s += time.perf_counter() - began
    if not written.count:
        raise _nothing(reader, log, tally)
    return written


def _check_fit(encoder: Encoder, text_encoder: Encoder) -> None:
    pictures, texts = encoder.identity, text_encoder.identity
    if pictures.dimension != texts.dimension:
        raise EncoderMismatch(
            f"encoder {pictures.name!r} makes {pictures.dimension}-d vectors of pictures, "
            f"encoder {texts.name!r} {texts.dimension}-d ones of captions",
            remedy="give a text model that was made to fit the pictures': --mclip-model …",
        )


def _create(folder: Path) -> None:
    try:
        folder.mkdir()
    except OSError as error:
        raise ConfigError(
            "the output folder cannot be made",
            value=str(folder.parent),
            remedy=f"{error.strerror}; give another --output-folder",
        ) from error


def _dropped(tally: _Tally) -> tuple[str, ...]:
    if not tally.dropped:
        return ()
    return (
        f"{tally.dropped} pictures without a readable caption were left out, "
        "since texts are embedded too",
    )


def _nothing(reader: Reader, log: FailureLog, tally: _Tally) -> NothingToDo:
    if tally.dropped and log.stages <= {"caption"}:
        return NothingToDo(
            f"none of {tally.dropped} pictures has a readable caption",
            value=log.reasons() or None,
            remedy="leave --enable-text out to embed the pictures alone",
        )
    if log.count:
        return NothingToDo(
            f"every item failed ({tally.items} items, {log.count} failures) in {reader.inputs[0]}",
            value=log.reasons(),
            remedy="see to the causes",
        )
    what, remedy = reader.nothing_found()
    return NothingToDo(what, remedy=remedy)
