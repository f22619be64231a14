"""From a snapshot to a map."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

import numpy as np

from search_back import deadlines
from search_back.errors import InvalidField, UnknownId
from search_back.interfaces import MetadataStore, Snapshot, vectors_of
from search_back.layout.clusters import cluster, middle, suiting
from search_back.layout.names import telling_words
from search_back.layout.pca import fitted, principal
from search_back.layout.sample import sample_ids
from search_back.layout.tsne import LEAST, available, tsne
from search_back.types import FloatArray, IdArray, Modality

if TYPE_CHECKING:
    import pyarrow as pa

MapMethod = Literal["auto", "pca", "tsne"]
COMPONENTS: Final = 50  # of the embeddings: what t-SNE and k-means look at
TSNE_MOST: Final = 10_000  # points that "auto" lays out by t-SNE: a quarter of a minute
SHARE: Final = 0.6  # of the time that a request has left: then "auto" takes what t-SNE has by then
# In the order of trust; the first that is there and holds texts.
CAPTION_COLUMNS: Final = ("caption", "name", "title", "text", "TEXT")


@dataclass(frozen=True, slots=True)
class MapQuery:
    """What to lay out: these ids, or where there are none a sample of so many.

    ``clusters``: how many, None: as many as suit. ``caption_column``: whose words name them, None:
    the one that holds captions by its name.
    """

    ids: tuple[int, ...] | None = None
    sample: int = 0
    modality: Modality = "image"
    method: MapMethod = "auto"
    clusters: int | None = None
    caption_column: str | None = None


@dataclass(frozen=True, slots=True)
class Cluster:
    """A group of points; ``(x, y)``: one of them, in its middle. Its name may have no words."""

    x: float
    y: float
    size: int
    words: tuple[str, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Map:
    """Points in 0 … 1 and their clusters, the largest first.

    ``ids``: ``(n,)``; ``points``: ``(n, 2)`` float32; ``labels``: ``(n,)`` int64, which cluster;
    ``method``: how they were laid out; ``total``: how many items the index has.
    """

    ids: IdArray
    points: FloatArray
    labels: IdArray
    clusters: tuple[Cluster, ...]
    method: Literal["pca", "tsne"]
    total: int
    caption_column: str | None


def lay_out(snapshot: Snapshot, query: MapQuery) -> Map:
    """The map of some items of an index, the same for the same items.

    Raises ``NoSuchModality``, ``UnknownId`` with the ids, ``InvalidField`` for ``caption_column``
    and where t-SNE is asked for and not installed, ``DeadlineExceeded``.
    """
    index = vectors_of(snapshot, query.modality)
    column = _caption_column(snapshot.metadata, query.caption_column)
    ids = sample_ids(len(index), query.sample) if query.ids is None else _each_once(query.ids)
    _check_known(ids, len(snapshot.metadata), snapshot.name)
    deadlines.check("the vectors were read")
    rows = principal(index.reconstruct(ids), COMPONENTS)
    deadlines.check("the clusters were found")
    labels = cluster(rows, query.clusters or suiting(len(ids)))
    method = _method(query.method, len(ids))
    points = fitted(rows[:, :2] if method == "pca" else tsne(rows, _end(query.method)))
    deadlines.check("the clusters were named")
    count = int(labels.max(initial=-1)) + 1
    texts = [] if column is None else _texts(snapshot.metadata.take(ids, [column])[column])
    names = telling_words(texts, labels, count) if texts else [()] * count
    return Map(
        ids=ids,
        points=points,
        labels=labels,
        clusters=tuple(_cluster(points[labels == i], words) for i, words in enumerate(names)),
        method=method,
        total=len(index),
        caption_column=column,
    )


def _end(asked: MapMethod) -> Callable[[], bool]:
    """Tells t-SNE when to stop: in time for an answer, as "auto" wishes, or not before its end.

    The latter raises ``DeadlineExceeded`` once there is no time left.
    """
    left = deadlines.remaining()
    if asked == "auto" and left is not None:
        until = time.monotonic() + SHARE * left
        return lambda: time.monotonic() > until

    def never() -> bool:
        deadlines.check("the map was laid out")
        return False

    return never


def _method(asked: MapMethod, count: int) -> Literal["pca", "tsne"]:
    if asked == "pca" or count < LEAST:
        return "pca"
    return "tsne" if asked == "tsne" or (count <= TSNE_MOST and available()) else "pca"


def _cluster(points: FloatArray, words: tuple[str, ...]) -> Cluster:
    x, y = middle(points).tolist()
    return Cluster(x, y, len(points), words)


def _each_once(ids: Sequence[int]) -> IdArray:
    """In the order in which they first come."""
    return np.array(list(dict.fromkeys(ids)), dtype=np.int64)


def _check_known(ids: IdArray, total: int, name: str) -> None:
    """That the metadata has them too: an index may number its vectors as it likes."""
    unknown = ids[(ids < 0) | (ids >= total)]
    if len(unknown):
        raise UnknownId(f"index {name!r} has no such id", value=unknown.tolist()[:10])


def _caption_column(metadata: MetadataStore, asked: str | None) -> str | None:
    """The column to read names from; raises ``InvalidField`` for one that has none."""
    there = [name for name in metadata.schema.names if _holds_texts(metadata, name)]
    if asked is None:
        return next((name for name in CAPTION_COLUMNS if name in there), None)
    if asked in there:
        return asked
    raise InvalidField(
        "caption_column",
        "there is no such column of texts",
        value=asked,
        remedy=f"there are: {', '.join(there) or 'none'}",
    )


def _holds_texts(metadata: MetadataStore, name: str) -> bool:
    import pyarrow as pa

    kind = metadata.schema.field(name).type
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _texts(column: pa.ChunkedArray) -> list[str]:
    return [text or "" for text in column.to_pylist()]
