"""Synthetic pictures and captions as a two-tower model would embed them.

A picture and its caption share a topic and most of what sets them apart within it; each tower then
adds an offset of its own (the gap between modalities) and detail that the other does not see. So
captions lie off the distribution of pictures, and an inverted file has to look at some three times
as much for them: a set without that gap flatters every index.

::

    python benchmarks/vectors.py --rows 1000000 /tmp/embeddings

writes an embeddings folder: pictures, and captions and pictures of other items to ask with.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

Rows = NDArray[np.float32]
BLOCK = 50_000
PER_PART = 250_000
TOPICS, MEANING = 3_000, 72


@dataclass(frozen=True)
class Tower:
    """How strong its offset, the shared meaning and its own detail are in an embedding."""

    offset: Rows
    gap: float
    meaning: float
    detail: float


class World:
    """The topics and towers that a seed stands for; ``(d,)`` rows come from :meth:`items`."""

    def __init__(self, dimension: int = 512, *, seed: int = 0) -> None:
        rng = np.random.default_rng(seed)
        self.dimension, self.seed = dimension, seed
        self._topics = rng.standard_normal((TOPICS, MEANING), dtype=np.float32)
        popularity = np.arange(1, TOPICS + 1) ** -0.7
        self._popularity = popularity / popularity.sum()
        self._lift = _unit(rng.standard_normal((MEANING, dimension), dtype=np.float32))
        turn = np.linalg.qr(rng.standard_normal((dimension, dimension)))[0]
        strength = np.arange(1, dimension + 1, dtype=np.float32) ** -0.4
        self._detail = (strength[:, None] * turn).astype(np.float32)
        picture, other = _unit(rng.standard_normal((2, dimension), dtype=np.float32))
        caption = _unit((0.3 * picture + 0.95 * other)[None])[0]
        self.pictures = Tower(picture, gap=0.66, meaning=0.6, detail=0.35)
        self.captions = Tower(caption, gap=0.78, meaning=0.35, detail=0.5)

    def items(self, count: int, *, part: int = 0) -> Iterator[tuple[Rows, Rows]]:
        """Blocks of pictures and of their captions, ``(≤ BLOCK, d)`` unit rows each."""
        rng = np.random.default_rng([self.seed, part])
        for start in range(0, count, BLOCK):
            n = min(BLOCK, count - start)
            topic = self._topics[rng.choice(TOPICS, n, p=self._popularity)]
            own = 0.5 * rng.standard_normal((n, MEANING), dtype=np.float32)
            yield (
                self._embed(rng, self.pictures, topic + own),
                self._embed(rng, self.captions, topic + 0.8 * own),
            )

    def _embed(self, rng: np.random.Generator, tower: Tower, meaning: Rows) -> Rows:
        noise = rng.standard_normal((len(meaning), self.dimension), dtype=np.float32)
        detail = _unit(noise @ self._detail)
        shared = _unit(meaning @ self._lift)
        return _unit(tower.gap * tower.offset + tower.meaning * shared + tower.detail * detail)


def _unit(rows: Rows) -> Rows:
    result: Rows = rows / np.linalg.norm(rows, axis=-1, keepdims=True)
    return result


def write_folder(folder: Path, rows: int, *, queries: int = 2_000, seed: int = 0) -> Path:
    """An embeddings folder of ``rows`` pictures with metadata; ``queries.npz`` beside them.

    ``queries.npz``: ``image`` and ``text``, ``(queries, d)``: items that the folder lacks.
    """
    world = World(seed=seed)
    (folder / "img_emb").mkdir(parents=True)
    (folder / "metadata").mkdir()
    for part, first in enumerate(range(0, rows, PER_PART)):
        n = min(PER_PART, rows - first)
        pictures = np.lib.format.open_memmap(
            folder / f"img_emb/img_emb_{part}.npy",
            mode="w+",
            dtype=np.float16,
            shape=(n, world.dimension),
        )
        at = 0
        for block, _ in world.items(n, part=part + 1):
            pictures[at : at + len(block)] = block
            at += len(block)
        pictures.flush()
        pq.write_table(_metadata(first, n), folder / f"metadata/metadata_{part}.parquet")
    asked: dict[str, Any] = {}
    asked["image"], asked["text"] = (
        np.concatenate(blocks) for blocks in zip(*world.items(queries), strict=True)
    )
    np.savez(folder / "queries.npz", **asked)
    return folder


def _metadata(first: int, n: int) -> pa.Table:
    numbers = range(first, first + n)
    return pa.table(
        {
            "url": [f"https://host{i % 4_999}.example.org/{i:x}.jpg" for i in numbers],
            "caption": [f"a picture of thing {i % 2_503}, number {i}" for i in numbers],
        }
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--rows", type=int, default=1_000_000)
    options = parser.parse_args()
    write_folder(options.folder, options.rows)


if __name__ == "__main__":
    main()
