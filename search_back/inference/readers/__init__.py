"""Readers of the input, and which of them an input needs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from search_back.errors import BadFolder, ConfigError
from search_back.inference.items import Reader
from search_back.inference.readers.detect import form_of, from_img2dataset, tables_in, tars_in
from search_back.inference.readers.files import FilesReader
from search_back.inference.readers.pipes import Pipe, parse_pipe
from search_back.inference.readers.table_cells import Fetch
from search_back.inference.readers.tables import TableReader
from search_back.inference.readers.webdataset import WebdatasetReader
from search_back.inference.settings import PIPE, InferenceSettings, expand_braces

__all__ = ["Fetch", "FilesReader", "TableReader", "WebdatasetReader", "open_reader"]


def open_reader(settings: InferenceSettings, *, fetch: Fetch | None = None) -> Reader:
    """The reader of ``settings.input_dataset``; ``fetch`` gets the pictures that tables link to.

    Left open, metadata is read from tables and from what img2dataset wrote. Raises ``BadFolder``
    where an input does not exist, ``ConfigError`` where the inputs do not fit the format.
    """
    names = [name for pattern in settings.input_dataset for name in expand_braces(pattern)]
    if any(name.startswith(PIPE) for name in names):
        return _with_pipes(names, settings)
    paths = [Path(name).expanduser() for name in names]
    _check_exist(paths)
    form = settings.input_format
    if form == "auto":
        form = form_of(paths, pictures=settings.enable_image)
    if form == "table":
        return _tables(paths, settings, fetch)
    return _tars(paths, settings) if form == "webdataset" else _folder(paths, settings)


def _with_pipes(names: list[str], settings: InferenceSettings) -> Reader:
    if settings.input_format not in ("auto", "webdataset"):
        raise ConfigError(
            "a command of --input-dataset writes tars",
            value=settings.input_format,
            remedy="leave --input-format out",
        )
    sources = [
        parse_pipe(name) if name.startswith(PIPE) else Path(name).expanduser() for name in names
    ]
    _check_exist([source for source in sources if isinstance(source, Path)])
    return _tars(sources, settings)


def _check_exist(paths: Sequence[Path]) -> None:
    missing = [path for path in paths if not path.exists()]
    if missing:
        raise BadFolder(
            f"{len(missing)} of {len(paths)} inputs do not exist",
            value=str(missing[0]),
            remedy="check --input-dataset",
        )


def _folder(paths: list[Path], settings: InferenceSettings) -> Reader:
    if len(paths) != 1 or not paths[0].is_dir():
        raise ConfigError(
            "pictures are read from one folder",
            value=", ".join(map(str, paths)),
            remedy="give one folder, or only names that end in .tar, .tar.gz or .tgz, "
            "or only names of tables, such as .parquet or .csv",
        )
    return FilesReader(
        paths[0], pictures=settings.enable_image, metadata=_has_metadata(paths, settings)
    )


def _tars(sources: Sequence[Path | Pipe], settings: InferenceSettings) -> Reader:
    tars: list[Path | Pipe] = []
    for path in sources:
        if isinstance(path, Pipe) or not path.is_dir():
            tars.append(path)
            continue
        inside = tars_in(path)
        if not inside:
            raise BadFolder(
                "no tar in the folder",
                value=str(path),
                remedy="give a folder with .tar, .tar.gz or .tgz, or --input-format files",
            )
        tars += inside
    return WebdatasetReader(
        tars,
        pictures=settings.enable_image,
        metadata=_has_metadata(sources, settings),
        image_key=settings.wds_image_key,
        caption_key=settings.wds_caption_key,
    )


def _tables(paths: list[Path], settings: InferenceSettings, fetch: Fetch | None) -> Reader:
    tables = [table for path in paths for table in (tables_in(path) if path.is_dir() else [path])]
    return TableReader(
        tables,
        image_column=settings.image_column,
        caption_column=settings.caption_column,
        pictures=settings.enable_image,
        metadata=settings.enable_metadata is not False,
        fetch=fetch,
    )


def _has_metadata(sources: Sequence[Path | Pipe], settings: InferenceSettings) -> bool:
    if settings.enable_metadata is not None:
        return settings.enable_metadata
    return any(isinstance(source, Path) and from_img2dataset(source) for source in sources)
