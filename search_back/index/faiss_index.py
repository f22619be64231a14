"""A faiss index behind the ``VectorIndex`` Protocol."""

from __future__ import annotations

import math
import threading
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from search_back.errors import BadFolder, CorruptFile, DimensionMismatch, UnknownId
from search_back.types import FloatArray, IdArray

POPULATED = "populated.index"
OVERFETCH = 2


@dataclass(frozen=True, slots=True)
class SearchSettings:
    """How much of an index a query looks at: parameters of the call, as tuned for the index.

    ``nprobe``: inverted lists, None: as the file says; ``ef_search``: candidates of a graph;
    ``k_factor``: candidates per result that a refining index scores again.
    """

    nprobe: int | None = None
    ef_search: int | None = None
    k_factor: float | None = None


class FaissIndex:
    """Flat, HNSW, IVF and their wrappers (pre-transform, id map, refine).

    Searching is safe from several threads: no state of the index changes with a query.
    ``threads``: how many one search may use; 0: as OpenMP says. One is best where queries come
    from several threads, whose teams would otherwise wait for each other.
    """

    def __init__(
        self, index: Any, settings: SearchSettings | None = None, *, threads: int = 1
    ) -> None:
        import faiss

        self._faiss: Any = faiss
        # The object itself, not a downcast of it: a downcast does not keep its memory alive.
        self._index: Any = index
        self._settings = settings or SearchSettings()
        self._threads = threads
        self._lock = threading.Lock()

    @property
    def dimension(self) -> int:
        return int(self._index.d)

    def __len__(self) -> int:
        return int(self._index.ntotal)

    @cached_property
    def kind(self) -> str:
        """The faiss class, with its lists: ``IndexIVFScalarQuantizer(1024 lists)``."""
        ivf = self.ivf
        name = type(self._faiss.downcast_index(self._index)).__name__
        return f"{name}({ivf.nlist} lists)" if ivf is not None else name

    @cached_property
    def ivf(self) -> Any | None:
        """The inverted file inside, or None where the index has none."""
        return self._faiss.try_extract_index_ivf(self._index)

    def search(self, queries: FloatArray, k: int) -> tuple[FloatArray, IdArray]:
        """``(n, d)`` float32 → similarities and ids, ``(n, k)``, best first, padded with -1.

        L2 indices are answered in inner products, ``1 - distance / 2`` for unit vectors.
        """
        if queries.ndim != 2 or queries.shape[1] != self.dimension:
            raise DimensionMismatch(
                f"the index holds {self.dimension}-d vectors", value=queries.shape
            )
        k = min(k, len(self))
        if k == 0:
            empty = (len(queries), 0)
            return np.empty(empty, np.float32), np.empty(empty, np.int64)
        queries = np.ascontiguousarray(queries, dtype=np.float32)
        if self._threads:
            # The number belongs to the calling thread, so each has to set it.
            self._faiss.omp_set_num_threads(self._threads)
        scores, ids = self._index.search(queries, k, params=self._parameters(self._index, k))
        if self._index.metric_type == self._faiss.METRIC_L2:
            scores = np.float32(1) - scores / np.float32(2)
        return scores, ids

    def _parameters(self, index: Any, k: int) -> Any:
        """The per-call parameters for an index, wrapper by wrapper; None where it takes none."""
        faiss, settings = self._faiss, self._settings
        index = faiss.downcast_index(index)
        if isinstance(index, faiss.IndexPreTransform):
            inner = self._parameters(index.index, k)
            return faiss.SearchParametersPreTransform(index_params=inner) if inner else None
        if isinstance(index, faiss.IndexIDMap):
            return self._parameters(index.index, k)
        if isinstance(index, faiss.IndexRefine):
            k_factor = settings.k_factor or float(index.k_factor)
            inner = self._parameters(index.base_index, math.ceil(k * k_factor))
            return faiss.IndexRefineSearchParameters(k_factor=k_factor, base_index_params=inner)
        if isinstance(index, faiss.IndexIVF):
            return faiss.SearchParametersIVF(nprobe=self._nprobe(index, k))
        if isinstance(index, faiss.IndexHNSW):
            ef = max(settings.ef_search or int(index.hnsw.efSearch), k)
            return faiss.SearchParametersHNSW(efSearch=ef)
        return None

    def _nprobe(self, ivf: Any, k: int) -> int:
        """Lists to visit: as tuned, and at least so many that they hold a multiple of k."""
        wanted = self._settings.nprobe or int(ivf.nprobe)
        holding = math.ceil(OVERFETCH * k * ivf.nlist / max(1, ivf.ntotal))
        return int(min(ivf.nlist, max(wanted, holding)))

    def reconstruct(self, ids: IdArray) -> FloatArray:
        """Stored vectors of ``(n,)`` ids: ``(n, d)`` float32; raises ``UnknownId``."""
        ids = np.ascontiguousarray(ids, dtype=np.int64)
        if not len(ids):
            return np.empty((0, self.dimension), dtype=np.float32)
        return np.asarray(self._reconstruct(self._index, ids), dtype=np.float32)

    def _reconstruct(self, index: Any, ids: IdArray) -> FloatArray:
        faiss = self._faiss
        index = faiss.downcast_index(index)
        if isinstance(index, faiss.IndexIDMap):
            return self._reconstruct(index.index, self._positions(ids))
        if ids.min() < 0 or ids.max() >= index.ntotal:
            raise UnknownId("the index has no such id", value=ids.tolist()[:10])
        self._prepare_direct_map()
        rows: FloatArray = index.reconstruct_batch(ids)
        return rows

    def _prepare_direct_map(self) -> None:
        """An inverted file finds a vector by its id only with this table of 8 bytes an id."""
        ivf = self.ivf
        if ivf is None or ivf.direct_map.type != self._faiss.DirectMap.NoMap:
            return
        with self._lock:
            if ivf.direct_map.type == self._faiss.DirectMap.NoMap:
                ivf.make_direct_map(True)

    @cached_property
    def renumbers(self) -> bool:
        """Whether ids are other than the positions 0 … n - 1 in which vectors were added."""
        if not isinstance(self._faiss.downcast_index(self._index), self._faiss.IndexIDMap):
            return False
        known, order = self._id_map
        numbers = np.arange(len(self))
        return not (np.array_equal(known, numbers) and np.array_equal(order, numbers))

    @cached_property
    def _id_map(self) -> tuple[IdArray, IdArray]:
        ids = self._faiss.vector_to_array(self._index.id_map)
        order = np.argsort(ids, kind="stable")
        return ids[order], order

    def _positions(self, ids: IdArray) -> IdArray:
        known, order = self._id_map
        at = np.minimum(np.searchsorted(known, ids), len(known) - 1)
        missing = known[at] != ids
        if missing.any():
            raise UnknownId("the index has no such id", value=ids[missing].tolist()[:10])
        return order[at]

    def with_settings(self, settings: SearchSettings) -> FaissIndex:
        """The same index searched with other settings."""
        return FaissIndex(self._index, settings, threads=self._threads)

    def write(self, path: Path) -> None:
        """Write the index as one file."""
        self._faiss.write_index(self._index, str(path))

    def close(self) -> None:
        """Drop the index and its mapped files."""
        self._index = None


def open_index(
    path: Path, *, memory_mapping: bool = False, settings: SearchSettings | None = None
) -> FaissIndex:
    """Read an index: a file, or a folder with ``populated.index`` and its inverted lists.

    ``memory_mapping`` leaves the vectors in the file, shared by all processes. Raises
    ``BadFolder`` where there is none and ``CorruptFile`` where faiss cannot read it.
    """
    import faiss

    file, flags = path, 0
    if path.is_dir():
        file, flags = path / POPULATED, faiss.IO_FLAG_ONDISK_SAME_DIR
    elif memory_mapping:
        flags = faiss.IO_FLAG_MMAP_IFC
    if not file.is_file():
        raise BadFolder("there is no index file", value=str(file), remedy="run search-back index")
    try:
        return FaissIndex(faiss.read_index(str(file), flags), settings)
    except RuntimeError as error:
        raise CorruptFile(
            f"faiss cannot read {file}",
            value=str(error).rsplit("Error: ", 1)[-1].strip(),
            remedy="restore the file, or build the index again",
        ) from error
