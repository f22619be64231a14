"""A graph of near neighbours beside an index: it leads from good candidates to the best.

Lists give the candidates. From them a walk along links finds in a fraction of the time what takes
ten times as many lists; and it does not miss what lies far from where graphs are usually entered.
"""

from __future__ import annotations

import ctypes
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from search_back.errors import CorruptFile
from search_back.kernels import Graph, library
from search_back.types import FloatArray, IdArray

SUFFIX: Final = ".graph"
FORWARD: Final = 20  # nearest rows that each row is linked to
DEGREE: Final = 2 * FORWARD  # and as many that are linked to it
MOST_ROWS: Final = 2**31 - 1
Links = NDArray[np.int32]


class CodedRows:
    """Vectors in a byte or a half float for each dimension, as compiled code reads them.

    ``rows``: ``(n, d)``, see ``rows_of``; ``steps``: of bytes, see ``steps_of``; ``links``: between
    rows, ``(n, any)``. Any number of threads may search at once.
    """

    def __init__(
        self,
        rows: NDArray[Any],
        steps: tuple[FloatArray, FloatArray] | None,
        links: Links | None = None,
    ) -> None:
        compiled = library()
        assert compiled is not None
        self._compiled = compiled
        self.rows = rows
        self.row_bytes = int(rows.shape[1]) * rows.itemsize
        if links is None:
            links = np.empty((len(rows), 0), dtype=np.int32)
        scale, least = steps or (None, None)
        self._kept = (links, scale, least)
        self._graph = Graph(
            codes=rows.ctypes.data,
            links=links.ctypes.data,
            scale=None if scale is None else scale.ctypes.data,
            least=None if least is None else least.ctypes.data,
            rows=len(rows),
            degree=links.shape[1],
            dimension=int(rows.shape[1]),
            is_half=rows.dtype == np.uint16,
        )

    @classmethod
    def of(
        cls, codes: Any, rows: NDArray[Any] | None = None, links: Links | None = None
    ) -> CodedRows:
        """The rows of a scalar quantiser, or others that it has encoded."""
        rows = rows_of(codes) if rows is None else rows
        return cls(rows, None if rows.dtype == np.uint16 else steps_of(codes), links)

    def search(
        self,
        queries: FloatArray,
        k: int,
        ef: int,
        seeds: IdArray | Links,
        hidden: IdArray | None = None,
    ) -> tuple[FloatArray, IdArray, int]:
        """See :meth:`NeighbourGraph.search`."""
        queries = np.ascontiguousarray(queries, dtype=np.float32)
        seeds = np.ascontiguousarray(seeds, dtype=np.int64)
        if hidden is None:
            hidden = np.full(len(queries), -1, dtype=np.int64)
        hidden = np.ascontiguousarray(hidden, dtype=np.int64)
        scores = np.empty((len(queries), k), dtype=np.float32)
        ids = np.empty((len(queries), k), dtype=np.int64)
        compared: int = self._compiled.graph_search(
            ctypes.addressof(self._graph),
            queries.ctypes.data,
            len(queries),
            seeds.ctypes.data,
            seeds.shape[1],
            hidden.ctypes.data,
            k,
            max(ef, k),
            scores.ctypes.data,
            ids.ctypes.data,
        )
        if compared < 0:
            raise MemoryError("a graph search found no memory")
        return scores, ids, compared

    def nearest(self, own: IdArray, among: CodedRows, members: IdArray, k: int) -> Links:
        """For each row of ``own`` the best of ``members`` of ``among``, without itself: ``(n, k)``.

        ``members``: each once. Best first, -1 behind the last.
        """
        own, members = np.ascontiguousarray(own), np.ascontiguousarray(members)
        found = np.empty((len(own), k), dtype=np.int32)
        failed: int = self._compiled.graph_compare(
            ctypes.addressof(self._graph),
            own.ctypes.data,
            len(own),
            ctypes.addressof(among._graph),
            members.ctypes.data,
            len(members),
            k,
            found.ctypes.data,
        )
        if failed:
            raise MemoryError("comparing rows found no memory")
        return found


class NeighbourGraph:
    """Links between the rows of a refining index, over its 8-bit or half-precision vectors.

    Similarities are those of the refining index. Any number of threads may search at once.
    """

    def __init__(self, links: Links, index: Any) -> None:
        codes = linkable(index)
        assert codes is not None
        self.links = links
        self._index = index  # whose memory is read
        self._coded = CodedRows.of(codes, links=links)
        self.row_bytes = self._coded.row_bytes  # what is read of a row to compare it

    def search(
        self,
        queries: FloatArray,
        k: int,
        ef: int,
        seeds: IdArray | Links,
        hidden: IdArray | None = None,
    ) -> tuple[FloatArray, IdArray, int]:
        """``(n, d)`` float32 → similarities and ids ``(n, k)``, best first; rows compared.

        ``ef``: candidates that are kept, at least k; ``seeds``: ids to begin with, ``(n, any)``,
        of which -1 is none; ``hidden``: for each query an id that the search goes on without, as
        if it were not stored, -1 for none: ``(n,)``. Behind what is found ids are -1.
        """
        return self._coded.search(queries, k, ef, seeds, hidden)


def graph_path(index: Path) -> Path:
    """Where the graph of an index file lies: ``image.index`` → ``image.graph``."""
    return index.with_suffix(SUFFIX)


def bytes_of_graph(rows: int) -> int:
    return rows * DEGREE * np.dtype(np.int32).itemsize


def linkable(index: Any) -> Any | None:
    """The scalar quantiser that scores what the lists of an index find; None: it can have no graph.

    Only where ids are places and similarities are inner products.
    """
    import faiss

    top: Any = faiss.downcast_index(index)
    if not isinstance(top, faiss.IndexRefine) or top.metric_type != faiss.METRIC_INNER_PRODUCT:
        return None
    if faiss.try_extract_index_ivf(top.base_index) is None:
        return None
    codes: Any = faiss.downcast_index(top.refine_index)
    kinds = (faiss.ScalarQuantizer.QT_8bit, faiss.ScalarQuantizer.QT_fp16)
    if not isinstance(codes, faiss.IndexScalarQuantizer) or codes.sq.qtype not in kinds:
        return None
    return codes if 0 < codes.ntotal <= MOST_ROWS else None


def open_graph(path: Path, index: Any) -> NeighbourGraph | None:
    """The graph at ``path``, mapped, over an index that has been read; None: it is not there.

    None also where its search was not compiled; lists then answer. Raises ``CorruptFile``.
    """
    if not path.is_file() or library() is None:
        return None
    codes = linkable(index)
    try:
        links = np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, OSError, EOFError) as error:
        raise _damaged(path, str(error)) from error
    whole = links.flags.c_contiguous and links.dtype == np.int32 and links.ndim == 2
    if codes is None or not whole or len(links) != codes.ntotal or links.shape[1] > 2 * DEGREE:
        raise _damaged(path, f"{links.dtype} {links.shape} beside {index.ntotal} vectors")
    return NeighbourGraph(links, index)


def rows_of(index: Any) -> NDArray[Any]:
    """The memory of an array of vectors: ``(n, d)``, codes of uint8, or uint16 of half floats.

    ``index``: a scalar quantiser of 8 bits or half floats; or a flat one, whose rows are float32.
    """
    import faiss

    raw: Any = faiss
    count, width = int(index.ntotal), int(index.code_size)
    flat = np.frombuffer(
        memoryview(raw.rev_swig_ptr(index.codes.data(), count * width)), dtype=np.uint8
    )
    kinds: dict[int, Any] = {1: np.uint8, 2: np.uint16, 4: np.float32}
    return flat.reshape(count, width).view(kinds[width // int(index.d)])


def steps_of(index: Any) -> tuple[FloatArray, FloatArray]:
    """Of 8-bit codes: the size of a step and what 0 stands for, the middle of its step: (d,)."""
    import faiss

    least, span = np.split(faiss.vector_to_array(index.sq.trained).astype(np.float32), 2)
    return span / np.float32(255), least + span * np.float32(0.5 / 255)


def _damaged(path: Path, value: str) -> CorruptFile:
    return CorruptFile(
        f"{path} is not the graph of the index beside it",
        value=value,
        remedy="build the index again, or remove the file to search without it",
    )
