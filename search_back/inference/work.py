"""The unfinished run beside its output: finished shards, and what they are shards of."""

from __future__ import annotations

import shutil
from collections.abc import Generator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Final

from search_back.errors import ConfigError, CorruptFile
from search_back.files import (
    EMBEDDINGS_MANIFEST,
    publish,
    read_json,
    settle,
    sha256_file,
    sweep,
    write_json,
)
from search_back.inference.items import Reader
from search_back.inference.shard_writer import ShardWriter
from search_back.inference.shards import Contents, Shard, read_shard
from search_back.inference.source import START, Part, Place
from search_back.workfolder import holding, work_folder

_RUN: Final = "run.json"
_SHARDS: Final = "shards"
_RESULT: Final = "result.sha256"
_RESTART: Final = "--restart to begin anew, which discards what that run has done"


def copies_folder(output: Path) -> Path:
    """Where a run keeps copies of remote inputs that it needs from its start to its end."""
    return output.with_name(f".{output.name}.inputs")


def discard_work(output: Path) -> None:
    """The run for this output is done, or came to nothing."""
    shutil.rmtree(work_folder(output), ignore_errors=True)
    shutil.rmtree(copies_folder(output), ignore_errors=True)


def is_published(output: Path) -> bool:
    """Whether a run that still has its folder has put its result at the output."""
    try:
        expected = (work_folder(output) / _RESULT).read_text(encoding="ascii")
        return expected == sha256_file(output / EMBEDDINGS_MANIFEST)
    except OSError:
        return False


@contextmanager
def exclusively(output: Path) -> Generator[None, None, None]:
    """Nobody else writes this output meanwhile; raises ``ConfigError``.

    The lock ends with the process, however it ends. What a killed one left is tidied up.
    """
    busy = ConfigError(
        "another run is writing this output",
        value=str(output),
        remedy="wait for its end, or give another --output-folder",
    )
    with ExitStack() as stack:
        try:
            stack.enter_context(holding(output, otherwise=busy))
        except OSError as error:
            raise _not_made(output, error) from error
        yield


class Work:
    """The folder of an unfinished run; ``shards`` are its finished shards, in order.

    A shard appears by a rename, with the checksums of its files in it, so it is there as a whole
    or not at all. For one process at a time (``exclusively``) and one thread.
    """

    def __init__(self, folder: Path, shards: list[Shard]) -> None:
        self.folder = folder
        self.shards = shards

    @property
    def place(self) -> Place:
        """How far the finished shards reach."""
        return self.shards[-1].end if self.shards else START

    @contextmanager
    def shard(self, contents: Contents) -> Generator[ShardWriter, None, None]:
        """Write the next shard; leaving the block without ``publish`` discards it."""
        folder = self._path(self.place, part=True)
        known = dict.fromkeys(name for shard in self.shards for name in shard.columns)
        shutil.rmtree(folder, ignore_errors=True)
        try:
            with ShardWriter(folder, contents, self.place, known) as writer:
                yield writer
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def publish(self, writer: ShardWriter, parts: list[Part]) -> None:
        """Complete the shard and put it among the finished ones; one of no parts is nothing."""
        if not parts:
            return
        writer.finish(parts)
        path = self._path(self.place)
        settle(self._path(self.place, part=True), path)
        self.shards.append(read_shard(path))

    def fit(self, reader: Reader) -> str | None:
        """Discard the shards from the first one on whose input has changed since.

        A sentence where there are such.
        """
        units = enumerate(reader.units())
        number, found = -1, ("", "")
        for n, shard in enumerate(self.shards):
            for part in shard.parts:
                while number < part.unit:
                    number, unit = next(units, (part.unit, None))
                    found = (unit.name, unit.stamp()) if unit is not None else ("", "")
                if found != (part.name, part.stamp):
                    return self._discard(n, f"the input has changed since: {part.name}")
        return None

    def _discard(self, first: int, why: str) -> str:
        rows = sum(shard.rows for shard in self.shards[first:])
        kept = sum(shard.rows for shard in self.shards[:first])
        # The last one first: what is left after a kill is a chain without gaps.
        for shard in reversed(self.shards[first:]):
            shutil.rmtree(shard.folder)
        del self.shards[first:]
        return f"{why}; {kept} finished rows are kept, {rows} are made again"

    def about_to_publish(self, sha256: str) -> None:
        """Take note of the manifest of the result, whose rename comes next."""
        with publish(self.folder / _RESULT) as part:
            part.write_text(sha256, encoding="ascii")

    def _path(self, place: Place, *, part: bool = False) -> Path:
        name = f"{place.unit:08}-{place.entries:09}"
        return self.folder / _SHARDS / (f".{name}.part" if part else name)


def open_work(folder: Path, run: Mapping[str, Any], *, restart: bool = False) -> Work:
    """The unfinished run that ``run`` describes, or a new one where there is none.

    Raises ``ConfigError`` where the folder holds another run's work. Damaged shards are discarded
    with those behind them; ``restart``: all are.
    """
    if restart:
        shutil.rmtree(folder, ignore_errors=True)
    if not (folder / _RUN).is_file():
        # Killed before there was anything to keep.
        shutil.rmtree(folder, ignore_errors=True)
        _create(folder)
        write_json(folder / _RUN, run)
        return Work(folder, [])
    sweep(folder)
    _check_same(folder, run)
    sweep(folder / _SHARDS)
    work = Work(folder, [])
    found = {path.name: path for path in (folder / _SHARDS).iterdir()}
    while (path := found.pop(work._path(work.place).name, None)) is not None:
        try:
            shard = read_shard(path)
            shard.check()
        except (CorruptFile, OSError):
            shutil.rmtree(path)
            break
        if shard.end == work.place:
            break
        work.shards.append(shard)
    for path in found.values():
        shutil.rmtree(path)
    return work


def _create(folder: Path) -> None:
    try:
        (folder / _SHARDS).mkdir(parents=True)
    except OSError as error:
        raise _not_made(folder, error) from error


def _not_made(folder: Path, error: OSError) -> ConfigError:
    return ConfigError(
        "the output folder cannot be made",
        value=str(folder.parent),
        remedy=f"{error.strerror}; give another --output-folder",
    )


def _check_same(folder: Path, run: Mapping[str, Any]) -> None:
    try:
        earlier = read_json(folder / _RUN)
    except CorruptFile as error:
        raise ConfigError(
            "an unfinished run for this output cannot be read",
            value=str(folder),
            remedy=f"give {_RESTART}",
        ) from error
    names = [name for name in dict.fromkeys((*earlier, *run)) if earlier.get(name) != run.get(name)]
    if names:
        was = {name: earlier.get(name) for name in names[:3]}
        raise ConfigError(
            "an unfinished run for this output had other settings",
            value=", ".join(f"{name} was {value!r:.100}" for name, value in was.items()),
            remedy=f"give the same settings to finish it, or {_RESTART}",
        )
