"""The HDF5 files beside a metadata folder: which to use, which is stale, building one at first use.

===================================  ==========================================================
``metadata.hdf5``                    in our layout, or an older server's
``metadata.columns.hdf5``            ours, where the name above is taken by an older server's
``metadata_reordered.hdf5``          in the order of the vector index's lists; ours holds its own
                                     map, an older server's has ``ivf_old_to_new_mapping.npy``
``metadata_reordered.columns.hdf5``  ours, where the name above is taken by an older server's
===================================  ==========================================================

Which of the two a file is, its content says. An older server's file is never written to. A file
is stale when the name, size or time of a source changed, or a column is asked for that it was
built without; an index whose lists changed since makes a reordered file slower, never wrong.
"""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from search_back.errors import BadFolder, CorruptFile
from search_back.metadata.arrow import ArrowStore
from search_back.metadata.base import ColumnStore, Progress
from search_back.metadata.folder import DataFiles
from search_back.metadata.hdf5 import Hdf5Store
from search_back.metadata.hdf5_writer import Rows, write_hdf5
from search_back.metadata.ivf_order import OrderedStore, read_mapping
from search_back.metadata.legacy import LegacyStore
from search_back.metadata.manifest import Manifest, layout_of, open_hdf5, read_manifest
from search_back.metadata.parquet import ParquetSource
from search_back.types import IdArray

Order = IdArray | Callable[[], IdArray]
Legacy = Literal["read", "rebuild"]
MAPPING: Final = "ivf_old_to_new_mapping.npy"
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Found:
    """What lies in an index folder: our file, if any; an older server's, if any; where to build."""

    ours: Path | None
    legacy: Path | None
    target: Path


def look(folder: Path, *, reordered: bool = False) -> Found:
    """Tell the files of a folder apart by content; raises ``CorruptFile`` for another one."""
    stem = "metadata_reordered" if reordered else "metadata"
    plain, beside = folder / f"{stem}.hdf5", folder / f"{stem}.columns.hdf5"
    legacy = plain if plain.exists() and layout_of(plain) == "legacy" else None
    ours = next((path for path in (beside, plain) if path.exists() and path != legacy), None)
    return Found(ours, legacy, ours or (beside if legacy else plain))


def manifest_of(path: Path) -> Manifest:
    """The manifest of a file in our layout; raises ``CorruptFile``."""
    with open_hdf5(path) as file:
        return read_manifest(path, file)


def open_cache(
    folder: Path,
    data: DataFiles,
    *,
    columns: Sequence[str] | None,
    needed: Sequence[str] | None,
    reorder: Order | None,
    legacy: Legacy,
    progress: Progress | None,
) -> ColumnStore:
    """The HDF5 metadata of an index folder, built first where it is missing or stale.

    ``columns``: those to show, and to build with; ``needed``: those that a file must be built with.
    """
    found = look(folder, reordered=reorder is not None)
    if found.ours and _usable(found.ours, data, needed, reorder):
        return _open(found.ours, columns)
    if found.ours is None and found.legacy and legacy == "read":
        store = _open_legacy(folder, found.legacy, data, columns, reordered=reorder is not None)
        if store is not None:
            return store
    with _only_builder(folder):
        # Another process may have built it while this one waited.
        found = look(folder, reordered=reorder is not None)
        if not (found.ours and _usable(found.ours, data, needed, reorder)):
            _build(folder, found, data, columns=columns, reorder=reorder, progress=progress)
    return _open(found.target, columns)


def _usable(
    path: Path, data: DataFiles, needed: Sequence[str] | None, reorder: Order | None
) -> bool:
    manifest = manifest_of(path)
    if reorder is not None and not manifest.ordered:
        return False
    return manifest.fresh(data.sources, needed)


def _open(path: Path, columns: Sequence[str] | None) -> ColumnStore:
    store = Hdf5Store(path, columns)
    if store.old_to_new is None:
        return store
    return OrderedStore(store, store.old_to_new, name=str(path))


def _open_legacy(
    folder: Path, path: Path, data: DataFiles, columns: Sequence[str] | None, *, reordered: bool
) -> ColumnStore | None:
    """An older server's file as it is; None where it is reordered and its map is gone."""
    mapping = folder / MAPPING
    if reordered and not mapping.exists():
        if data.sources:
            return None
        raise BadFolder(
            f"{path} is of no use without {mapping}",
            remedy="restore that file, or the metadata folder to build both again",
        )
    store = LegacyStore(path, columns)
    rows = len(_rows(data, None)) if data.sources else len(store)
    if rows != len(store):
        store.close()
        raise CorruptFile(
            f"{path} has {len(store)} rows, {data.folder} has {rows}",
            remedy="delete the first: it is built again from the second",
        )
    _log.info("%s is an older server's: a rebuild in columns is far faster", path)
    return OrderedStore(store, read_mapping(mapping), name=str(mapping)) if reordered else store


def _rows(data: DataFiles, columns: Sequence[str] | None) -> ParquetSource | ArrowStore:
    if data.parquet:
        return ParquetSource(data.parquet, columns)
    return ArrowStore(data.arrow, columns)


def _build(
    folder: Path,
    found: Found,
    data: DataFiles,
    *,
    columns: Sequence[str] | None,
    reorder: Order | None,
    progress: Progress | None,
) -> None:
    if columns is not None and found.ours:
        # A file that lacks a column gets it without losing those that another setting asked for.
        before = manifest_of(found.ours).columns
        columns = None if before is None else list(dict.fromkeys([*before, *columns]))
    rows: Rows
    plain = folder / "metadata.hdf5"
    if data.sources:
        rows, sources = _rows(data, columns), data.sources
    elif plain.exists() and layout_of(plain) == "legacy":
        rows, sources = LegacyStore(plain, columns), (plain,)
    else:
        raise BadFolder(
            f"{data.folder} holds neither Parquet nor Arrow files to build {found.target} from",
            remedy="copy the metadata into the index folder",
        )
    order = reorder() if callable(reorder) else reorder
    _log.info("building %s from %d rows", found.target, len(rows))
    _sweep(found.target)
    try:
        write_hdf5(
            found.target, rows, order=order, sources=sources, columns=columns, progress=progress
        )
    except OSError as error:
        raise BadFolder(
            f"{found.target} cannot be written ({error})",
            remedy="make the folder writable, or serve the metadata as Parquet or Arrow",
        ) from error


def _sweep(target: Path) -> None:
    """Remove what builds that were killed left behind; only under the lock."""
    for suffix in (".spool", ".part"):
        for left in target.parent.glob(f".{target.name}.*{suffix}"):
            if left.is_dir():
                shutil.rmtree(left, ignore_errors=True)
            else:
                left.unlink(missing_ok=True)


@contextlib.contextmanager
def _only_builder(folder: Path) -> Iterator[None]:
    """One process builds in a folder, others wait; where folders cannot be locked, each does."""
    try:
        import fcntl
    except ImportError:
        yield
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        with contextlib.suppress(OSError):
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
