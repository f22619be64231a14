"""The work of one run: the input embedded shard by shard, the shards merged and published."""

from __future__ import annotations

import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from search_back.errors import NothingToDo, TooManyFailures
from search_back.files import EMBEDDING_FOLDERS, EMBEDDINGS_MANIFEST, publish, sha256_file
from search_back.inference.distributors import Span, distributor
from search_back.inference.duplicates import Duplicates
from search_back.inference.identity import Run, input_digest
from search_back.inference.items import Reader
from search_back.inference.mapper import Batch
from search_back.inference.merge import merge
from search_back.inference.output import write_manifest, write_stats
from search_back.inference.pipeline import embedded
from search_back.inference.plan import Plan, make_plan
from search_back.inference.report import InferenceReport, Progress, Tally
from search_back.inference.settings import InferenceSettings
from search_back.inference.shard_writer import ShardWriter
from search_back.inference.shards import Contents, Shard
from search_back.inference.source import Source
from search_back.inference.work import Work, open_work
from search_back.interfaces import Encoder
from search_back.memory import return_memory

_SHARD_ROWS: Final = 65_536


class Job:
    """One run; for one call of ``run``, by one thread."""

    def __init__(
        self,
        settings: InferenceSettings,
        encoder: Encoder,
        text_encoder: Encoder | None,
        reader: Reader,
        asked: Run,
        progress: Progress,
    ) -> None:
        self._settings = settings
        self._encoder = encoder
        self._text_encoder = text_encoder
        self._reader = reader
        self._asked = asked
        self._progress = progress
        self._tally = Tally()
        self._stages = {"scan": 0.0, "embed": 0.0, "write": 0.0}

    def run(self, target: Path, place: Path) -> InferenceReport:
        """Embed what is not embedded yet into ``place``, then publish all of it at ``target``."""
        began = time.perf_counter()
        with self._timed("scan"):
            plan = make_plan(self._settings, self._reader)
        for note in plan.notes:
            self._progress.note(note)
        contents = self._contents(plan)
        decided = self._asked.to_json(embeddings=list(contents.kinds))
        work = open_work(place, decided, restart=self._settings.restart)
        self._take_up(work)
        distributor(self._settings.distribution_strategy).run(
            [Span(work.place)], lambda span: self._embed(work, plan, contents, span)
        )
        if not self._tally.rows:
            raise self._nothing()
        return self._publish(work, plan, contents, target, began)

    def _contents(self, plan: Plan) -> Contents:
        wanted = {"image": plan.image, "text": plan.text}
        return Contents(
            dimension=self._encoder.identity.dimension,
            kinds=tuple(EMBEDDING_FOLDERS[name] for name, on in wanted.items() if on),
            schema=self._reader.schema,
            max_columns=self._settings.max_metadata_columns,
            digests=plan.image and self._settings.encode_duplicates_once,
        )

    def _take_up(self, work: Work) -> None:
        """Go on with what an earlier run has done."""
        if not work.shards:
            return
        changed = work.fit(self._reader)
        for shard in work.shards:
            self._tally.add(
                shard.items,
                shard.rows,
                shard.skipped,
                shard.failed(),
                duplicates=shard.duplicates,
            )
        if changed is not None:
            self._progress.note(changed)
        if work.shards:
            self._progress.note(
                f"an unfinished run has done {self._tally.items} items: going on behind them"
            )
            self._progress.resumed(self._tally.items)
        self._check_failures()

    def _embed(self, work: Work, plan: Plan, contents: Contents, span: Span) -> None:
        settings, reader = self._settings, self._reader
        source = Source(reader, plan, subset_size=settings.subset_size, start=span.start)
        duplicates = None
        if contents.digests:
            duplicates = Duplicates()
            duplicates.restore(work.shards)
        with embedded(
            source,
            plan,
            settings,
            encoder=self._encoder,
            text_encoder=self._text_encoder,
            waits=reader.waits,
            duplicates=duplicates,
        ) as stream:
            more = True
            while more:
                with work.shard(contents) as writer:
                    more = self._fill(work, writer, stream, source, plan)

    def _fill(
        self,
        work: Work,
        writer: ShardWriter,
        stream: Generator[Batch, None, None],
        source: Source,
        plan: Plan,
    ) -> bool:
        """Fill and publish one shard; whether there may be more to come.

        Stopped by the user or by an error, what is done is published, too.
        """
        until = time.monotonic() + self._settings.checkpoint_seconds
        more = whole = True
        try:
            while more and writer.rows < _SHARD_ROWS:
                with self._timed("embed"):
                    batch = next(stream, None)
                if batch is None:
                    more = False
                    break
                whole = False
                with self._timed("write"):
                    writer.append(batch)
                whole = True
                self._tally.add(
                    batch.items,
                    len(batch.rows),
                    batch.skipped,
                    batch.failures,
                    duplicates=batch.duplicates,
                )
                self._check_failures()
                self._tell(plan)
                if time.monotonic() >= until:
                    break
        finally:
            if whole:
                with self._timed("write"):
                    work.publish(writer, source.parts(writer.taken, writer.items, end=not more))
        return more

    def _publish(
        self, work: Work, plan: Plan, contents: Contents, target: Path, began: float
    ) -> InferenceReport:
        settings, shards = self._settings, work.shards
        with publish(target) as folder:
            with self._timed("write"):
                # What decoding has let go of makes room for what merging takes.
                return_memory()
                folder.mkdir()
                merged = merge(
                    shards, folder, contents, rows_each=settings.rows_each(self._tally.rows)
                )
            later = (*self._tally.notes(pictures=plan.image), *merged.notes)
            report = InferenceReport(
                output_folder=target,
                count=merged.count,
                dimension=contents.dimension,
                partitions=merged.partitions,
                has_image=plan.image,
                has_text=plan.text,
                columns=merged.columns,
                failures=self._tally.failures,
                duplicates=self._tally.duplicates,
                dropped=self._tally.skipped["no caption"] if plan.image else 0,
                seconds=time.perf_counter() - began,
                notes=(*plan.notes, *later),
                first_failures=tuple(self._tally.first),
            )
            write_stats(folder, report, self._stages)
            write_manifest(folder, report, self._asked, _digest(shards))
            work.about_to_publish(sha256_file(folder / EMBEDDINGS_MANIFEST))
        for note in later:
            self._progress.note(note)
        return report

    def _check_failures(self) -> None:
        allowed = self._settings.max_failures
        if allowed is not None and self._tally.failures > allowed:
            raise TooManyFailures(
                f"{self._tally.failures} failures are more than --max-failures {allowed}",
                value=self._tally.reasons(),
                remedy="see to the causes and run it again (with --restart, where they lie outside "
                "the input), or raise --max-failures to go on without these items",
            )

    def _tell(self, plan: Plan) -> None:
        self._progress.update(
            done=self._tally.items, total=plan.total, failures=self._tally.failures
        )

    def _nothing(self) -> NothingToDo:
        tally, reader = self._tally, self._reader
        if tally.skipped["no caption"] and tally.stages <= {"caption"}:
            return NothingToDo(
                f"none of {tally.skipped['no caption']} pictures has a readable caption",
                value=tally.reasons() or None,
                remedy="leave --enable-text out to embed the pictures alone",
            )
        if tally.failures:
            return NothingToDo(
                f"every item failed ({tally.items} items, {tally.failures} failures) "
                f"in {reader.inputs[0]}",
                value=tally.reasons(),
                remedy="see to the causes",
            )
        what, remedy = reader.nothing_found()
        return NothingToDo(what, remedy=remedy)

    @contextmanager
    def _timed(self, stage: str) -> Generator[None, None, None]:
        began = time.perf_counter()
        try:
            yield
        finally:
            self._stages[stage] += time.perf_counter() - began


def _digest(shards: list[Shard]) -> str:
    units = {part.unit: (part.name, part.stamp) for shard in shards for part in shard.parts}
    return input_digest(units[number] for number in sorted(units))
