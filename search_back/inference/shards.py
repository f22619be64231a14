"""Rows of consecutive entries, on disk as a whole or not at all."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa

from search_back.errors import CorruptFile
from search_back.files import read_json, sha256_file
from search_back.inference.columns import Shape
from search_back.inference.digests import First, unpack
from search_back.inference.report import Failure
from search_back.inference.source import Part, Place, after
from search_back.vectors import HalfArray

RECORD: Final = "shard.json"
ROWS: Final = "rows.arrow"
FAILURE_LINES: Final = "failures.jsonl"
DIGESTS: Final = "digests"


@dataclass(frozen=True, slots=True)
class Contents:
    """What every shard of a run holds.

    ``kinds``: names of the embeddings (``img_emb``, ``text_emb``); ``schema``: of the records that
    come with the rows; ``max_columns``: keys of JSON metadata after the first so many are left out.
    ``digests``: those of its pictures, too.
    """

    dimension: int
    kinds: tuple[str, ...]
    schema: pa.Schema
    max_columns: int
    digests: bool = False


@dataclass(frozen=True, slots=True)
class Shard:
    """A finished shard: the entries behind ``start`` up to ``end``, and what came of them.

    ``columns``: shapes of the keys of its JSON metadata, by their first appearance; ``left_out``:
    values of keys beyond the limit. ``duplicates``: how many of its rows have the vector of an
    earlier one. ``checksums``: sha256 of its files, by name.
    """

    folder: Path
    start: Place
    parts: tuple[Part, ...]
    items: int
    rows: int
    failures: int
    skipped: Mapping[str, int]
    columns: Mapping[str, Shape]
    left_out: int
    duplicates: int
    has_captions: bool
    checksums: Mapping[str, str]

    @property
    def end(self) -> Place:
        return after(self.parts, self.start, self.items)

    def embeddings(self, kind: str) -> HalfArray:
        """``(rows, d)`` float16, mapped."""
        found: HalfArray = np.load(
            self.folder / f"{kind}.npy", mmap_mode="r" if self.rows else None
        )
        return found

    def blocks(self, kind: str, rows: int = 4096) -> Iterator[HalfArray]:
        """The same in order, ``(≤ rows, d)`` at a time, read and not mapped.

        Mapped pages count as memory of the process, and there may be as many as there are rows.
        """
        with open(self.folder / f"{kind}.npy", "rb") as file:
            np.lib.format.read_magic(file)
            (_, dimension), _, dtype = np.lib.format.read_array_header_1_0(file)
            while data := file.read(rows * dimension * dtype.itemsize):
                yield np.frombuffer(data, dtype).reshape(-1, dimension)

    def batches(self) -> Iterator[pa.RecordBatch]:
        """Its rows: ``image_path``, ``caption``, ``metadata`` (JSON), then those of the records."""
        with pa.OSFile(str(self.folder / ROWS)) as file:
            yield from pa.ipc.open_stream(file)

    def failed(self) -> Iterator[Failure]:
        with open(self.folder / FAILURE_LINES, encoding="utf-8", newline="\n") as lines:
            for line in lines:
                yield Failure(*json.loads(line))

    def firsts(self) -> Iterator[First]:
        """Its pictures whose bytes had not come before; in a run that looks for duplicates."""
        return unpack((self.folder / DIGESTS).read_bytes())

    def check(self) -> None:
        """Raises ``CorruptFile`` where a file is not what was written."""
        for name, expected in self.checksums.items():
            path = self.folder / name
            if not path.is_file() or sha256_file(path) != expected:
                raise CorruptFile(f"{path} is damaged")


def read_shard(folder: Path) -> Shard:
    """Raises ``CorruptFile``; ``check`` compares the checksums."""
    record = read_json(folder / RECORD)
    try:
        return Shard(
            folder=folder,
            start=Place(**record["start"]),
            parts=tuple(Part(**part) for part in record["parts"]),
            columns={name: Shape.from_json(shape) for name, shape in record["columns"]},
            **{name: record[name] for name in _PLAIN},
        )
    except (KeyError, TypeError, ValueError) as error:
        raise CorruptFile(f"{folder / RECORD} is no record of a shard ({error!r})") from error


_PLAIN: Final = (
    *("items", "rows", "failures", "skipped", "left_out", "duplicates", "has_captions"),
    "checksums",
)
