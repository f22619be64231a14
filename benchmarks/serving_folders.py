"""What two servers need to serve the same pictures: embeddings, an index for each, a model."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import faiss
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from encoders import make, say
from vectors import BLOCK, PER_PART, write_folder

from search_back.index.build import BuildSettings, build

MODEL = "ViT-B-32-quickgelu"
NAME = "world"
LISTS = 2048
ROWS_PER_LIST = 39  # as few as k-means of faiss takes without a word
# What clip-retrieval's own index command writes into such an index.
NPROBE = 16
WORDS = [
    "red",
    "blue",
    "green",
    "white",
    "black",
    "old",
    "new",
    "big",
    "small",
    "wild",
    "happy",
    "quiet",
    "dark",
    "bright",
    "young",
    "wooden",
    "dog",
    "cat",
    "horse",
    "bird",
    "fish",
    "tree",
    "house",
    "boat",
    "car",
    "train",
    "road",
    "river",
    "lake",
    "sea",
    "sun",
    "moon",
    "sky",
    "snow",
    "rain",
    "field",
    "garden",
    "street",
    "city",
    "bridge",
    "tower",
    "church",
    "king",
    "queen",
    "man",
    "woman",
    "child",
    "girl",
    "boy",
    "baby",
    "hand",
    "face",
    "eye",
    "book",
    "table",
    "chair",
    "bed",
    "door",
    "window",
    "wall",
    "stone",
    "gold",
    "silver",
    "glass",
    "water",
    "fire",
    "ice",
    "cake",
]


@dataclass(frozen=True)
class Folders:
    """Where everything lies; ``model``: a checkpoint, with its exports beside it."""

    embeddings: Path
    ours: Path
    peer: Path
    model: Path

    @property
    def clip_model(self) -> str:
        return f"open_clip:{MODEL}/{self.model.resolve()}"


def prepare(work: Path, rows: int) -> Folders:
    """Make what is missing in ``work``."""
    place = work / str(rows)
    folders = Folders(
        place / "embeddings", place / "ours" / NAME, place / "peer" / NAME, work / "model/model.pt"
    )
    folders.model.parent.mkdir(parents=True, exist_ok=True)
    make(MODEL, folders.model.parent)
    if not (folders.embeddings / "queries.npz").is_file():
        say("embeddings")
        write_folder(folders.embeddings, rows)
    for part, first in enumerate(range(0, rows, PER_PART)):
        table = metadata(first, min(PER_PART, rows - first))
        pq.write_table(table, folders.embeddings / f"metadata/metadata_{part}.parquet")
    if not (folders.ours / "index.json").is_file():
        say("our index")
        folders.ours.parent.mkdir(parents=True, exist_ok=True)
        build(BuildSettings(folders.embeddings, folders.ours))
    if not (folders.peer / "image.index").is_file():
        say("the other index")
        folders.peer.mkdir(parents=True, exist_ok=True)
        faiss.write_index(other_index(folders.embeddings), str(folders.peer / "image.index"))
    if not (folders.peer / "metadata").exists():
        (folders.peer / "metadata").symlink_to(folders.embeddings.resolve() / "metadata")
    return folders


def metadata(first: int, n: int) -> pa.Table:
    numbers = range(first, first + n)
    return pa.table(
        {
            "url": [f"https://host{i % 4_999}.example.org/{i:x}.jpg" for i in numbers],
            "caption": [f"a picture of thing {i % 2_503}, number {i}" for i in numbers],
            "NSFW": [("UNLIKELY", "UNSURE", "NSFW")[i % 3] for i in numbers],
        }
    )


def blocks(embeddings: Path) -> Iterator[tuple[int, Any]]:
    """``(first row, (≤ BLOCK, d) float32)``."""
    first = 0
    for part in count():
        path = embeddings / f"img_emb/img_emb_{part}.npy"
        if not path.is_file():
            return
        rows = np.load(path, mmap_mode="r")
        for start in range(0, len(rows), BLOCK):
            yield first + start, np.asarray(rows[start : start + BLOCK], dtype=np.float32)
        first += len(rows)


def other_index(embeddings: Path) -> Any:
    """Inverted lists of 8-bit vectors, as autofaiss makes for so many rows."""
    train = np.concatenate([block[::10] for _, block in blocks(embeddings)])
    lists = min(LISTS, 2 ** int(np.log2(len(train) / ROWS_PER_LIST)))
    index = faiss.index_factory(train.shape[1], f"IVF{lists},SQ8", faiss.METRIC_INNER_PRODUCT)
    index.train(train)
    for _, block in blocks(embeddings):
        index.add(block)
    index.nprobe = NPROBE
    return index


def exact(embeddings: Path, queries: Any, k: int) -> Any:
    """The ids of the k nearest of each query, ``(n, k)``, best first."""
    heap = faiss.ResultHeap(len(queries), k, keep_max=True)
    for first, block in blocks(embeddings):
        similarities = queries @ block.T
        best = np.argpartition(-similarities, min(k, len(block)) - 1)[:, :k]
        heap.add_result(np.take_along_axis(similarities, best, 1), best.astype(np.int64) + first)
    heap.finalize()
    return heap.I


def texts(seed: int) -> Iterator[str]:
    """Five words each, none twice."""
    random = np.random.default_rng(seed)
    seen = set()
    while True:
        text = " ".join(random.choice(WORDS, 5))
        if text not in seen:
            seen.add(text)
            yield text
