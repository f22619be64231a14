"""Synthetic pictures and captions as a two-tower model would embed them.

An embedding is the unit vector of its tower's mean, of the meaning that a picture shares with its
caption, and of detail that the other tower does not see. Meanings are clusters of unequal size in
few dimensions; detail is stronger in some directions than in others. So captions lie off the
distribution of pictures: for recall 0.95 among 200,000, an inverted file of 1024 lists has to visit
four times as many of them. A set without that gap flatters every index. Graphs find it easier than
real embeddings.

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
MEANING = 64
CLUSTERS = 2_000
# At most, unless told. Where lists are as many as clusters, each holds one, and the gap is gone: of
# 2048 lists for 2,000 clusters, pictures needed 5 and captions 8.
ROWS_PER_CLUSTER = 100
ASKED_PART = 1_000_000  # of items to ask with: no folder has so many parts
SPREAD = 0.7  # of a cluster, where clusters lie 1 apart in each dimension


@dataclass(frozen=True)
class Tower:
    """Its mean, and how strong that, the shared meaning and its own detail are."""

    mean: Rows
    gap: float
    meaning: float
    detail: float


class World:
    """The clusters and towers that a seed stands for; ``(d,)`` rows come from :meth:`items`."""

    def __init__(self, dimension: int = 512, *, clusters: int = CLUSTERS, seed: int = 0) -> None:
        rng = np.random.default_rng(seed)
        self.dimension, self.seed = dimension, seed
        self._clusters = rng.standard_normal((clusters, MEANING), dtype=np.float32)
        popularity = np.arange(1, clusters + 1) ** -0.6
        self._popularity = popularity / popularity.sum()
        self._lift = rng.standard_normal((MEANING, dimension), dtype=np.float32)
        turn = np.linalg.qr(rng.standard_normal((dimension, dimension)))[0]
        strength = np.arange(1, dimension + 1) ** -0.35
        self._detail = (strength[:, None] * turn).astype(np.float32)
        picture, other = np.linalg.qr(rng.standard_normal((dimension, 2)))[0].T.astype(np.float32)
        # The gap between modalities: the two means have little in common.
        caption = np.float32(0.25) * picture + np.float32(0.85) * other
        self.pictures = Tower(picture, gap=0.7, meaning=0.55, detail=0.45)
        self.captions = Tower(caption, gap=0.8, meaning=0.45, detail=0.35)

    def items(self, count: int, *, part: int) -> Iterator[tuple[Rows, Rows]]:
        """Blocks of pictures and of their captions, ``(≤ BLOCK, d)`` unit rows each.

        ``part``: from 1 on, another one has other items. numpy takes a seed of ``[n, 0]`` for
        ``n``, so part 0 would be drawn from the numbers that the clusters were.
        """
        rng = np.random.default_rng([self.seed, part, 1])
        for shared, pictures in self._pictured(count, part):
            yield pictures, self._embed(rng, self.captions, shared)

    def pictures_of(self, count: int, *, part: int) -> Iterator[Rows]:
        """The pictures of :meth:`items`, in half the time."""
        for _, pictures in self._pictured(count, part):
            yield pictures

    def _pictured(self, count: int, part: int) -> Iterator[tuple[Rows, Rows]]:
        """Blocks of meanings and of pictures that show them."""
        rng = np.random.default_rng([self.seed, part])
        for start in range(0, count, BLOCK):
            n = min(BLOCK, count - start)
            own = SPREAD * rng.standard_normal((n, MEANING), dtype=np.float32)
            meaning = self._clusters[rng.choice(len(self._clusters), n, p=self._popularity)] + own
            shared = _unit(meaning @ self._lift)
            yield shared, self._embed(rng, self.pictures, shared)

    def _embed(self, rng: np.random.Generator, tower: Tower, shared: Rows) -> Rows:
        noise = rng.standard_normal((len(shared), self.dimension), dtype=np.float32)
        detail = _unit(noise @ self._detail)
        return _unit(tower.gap * tower.mean + tower.meaning * shared + tower.detail * detail)


def _unit(rows: Rows) -> Rows:
    result: Rows = rows / np.linalg.norm(rows, axis=-1, keepdims=True)
    return result


def clusters_for(rows: int) -> int:
    return max(CLUSTERS, rows // ROWS_PER_CLUSTER)


def write_folder(
    folder: Path, rows: int, *, clusters: int | None = None, queries: int = 2_000, seed: int = 0
) -> Path:
    """An embeddings folder of ``rows`` pictures with metadata; ``queries.npz`` beside them.

    ``clusters``: of the world; None: enough for so many rows. Of two folders of one world, the
    larger begins with the pictures of the smaller (in whole blocks), and both have the same
    queries. ``queries.npz``: ``image`` and ``text``, ``(queries, d)``: items that the folder lacks.
    """
    world = World(clusters=clusters or clusters_for(rows), seed=seed)
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
        for block in world.pictures_of(n, part=part + 1):
            pictures[at : at + len(block)] = block
            at += len(block)
        pictures.flush()
        pq.write_table(_metadata(first, n), folder / f"metadata/metadata_{part}.parquet")
    asked: dict[str, Any] = {}
    asked["image"], asked["text"] = (
        np.concatenate(blocks)
        for blocks in zip(*world.items(queries, part=ASKED_PART), strict=True)
    )
    np.savez(folder / "queries.npz", **asked)
    return folder


def _metadata(first: int, n: int) -> pa.Table:
    numbers = range(first, first + n)
    return pa.table(
        {
            "url": [f"https://host{i % 4_999}.example.org/{i:x}.jpg" for i in numbers],
            "caption": [f"a picture of thing {i % 2_503}, number {i}" for i in numbers],
            "number": list(numbers),
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
