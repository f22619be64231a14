"""Open the metadata of an index folder, whatever form it is in."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal

from search_back.errors import BadFolder, ConfigError
from search_back.files import METADATA_FOLDER
from search_back.metadata.base import ColumnStore, Progress
from search_back.metadata.folder import DataFiles, data_files, need
from search_back.types import IdArray

MetadataKind = Literal["auto", "parquet", "hdf5", "arrow"]
_log = logging.getLogger(__name__)


def open_metadata(
    folder: Path,
    *,
    kind: MetadataKind = "auto",
    columns: Sequence[str] | None = None,
    needed: Sequence[str] | None = None,
    reorder: IdArray | Callable[[], IdArray] | None = None,
    legacy: Literal["read", "rebuild"] = "read",
    progress: Progress | None = None,
) -> ColumnStore:
    """The store of an index folder, whose ``metadata/`` holds Parquet or Arrow IPC files.

    ``kind``: ``parquet`` (in memory), ``arrow`` (mapped), ``hdf5`` (mapped; ``metadata.hdf5`` and
    its like are used, or built at first use), or ``auto``: an HDF5 file of ours that is up to date,
    else Parquet, else Arrow, else an older server's HDF5 file; nothing is built unless ``reorder``
    is given.

    ``columns``: those to show; None: all; ones that there are not are left out. ``needed``: of
    these, those that are sure to be asked for; None: all. Only they are read into memory at once,
    others when they are first asked for; and an HDF5 file that was built with some columns is
    used where it has them, and shows what it has.

    ``reorder``: keep the rows in the order of an index's lists: ``order[j]`` is the id whose row
    goes to place j; or a function that gives it, called only when the file must be built. Ids
    stay what they are. It applies to HDF5 only and is passed over, with a warning, for others.

    ``legacy``: whether an older server's HDF5 file is read as it is, or rebuilt in our layout under
    another name. ``progress``: called with rows done and rows in all while a file is built.

    Raises ``BadFolder`` where there is no metadata of that kind, or index and metadata differ in
    length; ``CorruptFile`` with the names of files that cannot be used or do not go together.
    """
    folder = Path(folder)
    data = data_files(folder / METADATA_FOLDER)
    if kind == "auto":
        kind = (
            "hdf5"
            if reorder is not None
            else _choose(folder, data, columns if needed is None else needed)
        )
    if reorder is not None and kind != "hdf5":
        _log.warning("%s: only HDF5 metadata is kept in the order of the index", folder)
    if kind == "parquet":
        from search_back.metadata.parquet import ParquetStore

        files = need(data.parquet, "Parquet", data.folder)
        return ParquetStore(files, columns, needed=needed)
    if kind == "arrow":
        from search_back.metadata.arrow import ArrowStore

        return ArrowStore(need(data.arrow, "Arrow", data.folder), columns)
    if kind != "hdf5":
        raise ConfigError(
            "there is no such kind of metadata",
            value=kind,
            remedy="give auto, parquet, hdf5 or arrow",
        )
    from search_back.metadata.caches import open_cache

    if not folder.is_dir():
        raise BadFolder("there is no such index folder", value=str(folder))
    return open_cache(
        folder,
        data,
        columns=columns,
        needed=columns if needed is None else needed,
        reorder=reorder,
        legacy=legacy,
        progress=progress,
    )


def _choose(folder: Path, data: DataFiles, needed: Sequence[str] | None) -> MetadataKind:
    from search_back.metadata.caches import look, manifest_of

    found = look(folder)
    if found.ours and manifest_of(found.ours).fresh(data.sources, needed):
        return "hdf5"
    if data.parquet:
        return "parquet"
    if data.arrow:
        return "arrow"
    if found.legacy:
        return "hdf5"
    raise BadFolder(
        f"{folder} has neither Parquet nor Arrow files in {METADATA_FOLDER}/, nor metadata.hdf5",
        remedy="copy the metadata folder of the embeddings into it",
    )
