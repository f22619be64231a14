"""Readers of the input, and which of them an input needs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from search_back.errors import BadFolder, ConfigError
from search_back.inference.items import Reader
from search_back.inference.readers.copies import all_copies
from search_back.inference.readers.detect import form_of, from_img2dataset, tables_in, tars_in
from search_back.inference.readers.files import FilesReader
from search_back.inference.readers.pipes import Pipe, parse_pipe
from search_back.inference.readers.remote_files import RemoteFilesReader
from search_back.inference.readers.table_cells import Fetch
from search_back.inference.readers.tables import TableReader, is_table
from search_back.inference.readers.tar import is_tar
from search_back.inference.readers.webdataset import WebdatasetReader
from search_back.inference.settings import PIPE, InferenceSettings, expand_braces
from search_back.remote import RemoteFile, RemoteFolder, is_remote, local_path, look
from search_back.remote.addresses import shown

__all__ = [
    "Fetch",
    "FilesReader",
    "Opener",
    "TableReader",
    "WebdatasetReader",
    "find_input",
]

Opener = Callable[[Path], Reader]


def find_input(settings: InferenceSettings, *, fetch: Fetch | None = None) -> Opener:
    """What opens the reader of ``settings.input_dataset``; nothing is written before it is called.

    It takes a folder for copies of remote tables, where ``settings.cache_path`` names none; that
    must stay as long as the reader. ``fetch``: gets the pictures that tables link to. Left open,
    metadata is read from tables and from what img2dataset wrote. Raises ``BadFolder`` where an
    input does not exist, ``ConfigError`` where the inputs do not fit the format.
    """
    names = [name for pattern in settings.input_dataset for name in expand_braces(pattern)]
    if any(is_remote(name) for name in names):
        return _remote(names, settings, fetch)
    reader = _of_this_machine(names, settings, fetch)
    return lambda _: reader


def _of_this_machine(names: list[str], settings: InferenceSettings, fetch: Fetch | None) -> Reader:
    if any(name.startswith(PIPE) for name in names):
        return _with_pipes(names, settings)
    paths = [local(name) for name in names]
    _check_exist(paths)
    form = settings.input_format
    if form == "auto":
        form = form_of(paths, pictures=settings.enable_image)
    if form == "table":
        return _tables(paths, settings, fetch)
    return _tars(paths, settings) if form == "webdataset" else _folder(paths, settings)


def local(name: str) -> Path:
    """The path that a name means on this machine."""
    path = local_path(name)
    assert path is not None, "remote names are handled apart"
    return path.expanduser()


def _remote(names: list[str], settings: InferenceSettings, fetch: Fetch | None) -> Opener:
    """Remote files or one remote folder; tars may come beside those of this machine."""
    sources: list[Path | Pipe | RemoteFile] = []
    for name in names:
        if name.startswith(PIPE):
            sources.append(parse_pipe(name))
            continue
        if not is_remote(name):
            sources.append(local(name))
            continue
        found = look(name)
        if isinstance(found, RemoteFile):
            sources.append(found)
            continue
        inside = _data_in(found, settings)
        if inside is None:
            pictures = _remote_folder(found, names, settings)
            return lambda _: pictures
        sources += inside
    _check_exist([source for source in sources if isinstance(source, Path)])
    tables = [s for s in sources if isinstance(s, RemoteFile) and is_table(Path(s.name))]
    if not tables or settings.input_format == "webdataset":
        tars = _tars(sources, settings)
        return lambda _: tars
    if len(tables) < len(sources):
        raise ConfigError(
            "remote tables are read by themselves",
            value=", ".join(map(str, names)),
            remedy="give tables only, or tars only",
        )
    return lambda copies: _table_reader(
        all_copies(tables, settings.cache_path or copies), settings, fetch, tables
    )


def _data_in(folder: RemoteFolder, settings: InferenceSettings) -> list[RemoteFile] | None:
    """The tars, else the tables, at the top of a remote folder; None where it holds pictures."""
    if settings.input_format == "files":
        return None
    try:
        _, files = next(folder.walk(), ("", []))
    except OSError as error:
        raise BadFolder(
            f"the input folder cannot be read ({error.strerror})", value=shown(folder.url)
        ) from error
    shown_ = [file for file in files if not file.name.startswith((".", "_"))]
    for form, test in (("webdataset", is_tar), ("table", is_table)):
        inside = [file for file in shown_ if test(Path(file.name))]
        if inside and settings.input_format in ("auto", form):
            return inside
    return None


def _remote_folder(
    folder: RemoteFolder, names: list[str], settings: InferenceSettings
) -> RemoteFilesReader:
    if len(names) != 1:
        raise ConfigError(
            "pictures are read from one folder", value=", ".join(names), remedy="give one folder"
        )
    return RemoteFilesReader(
        folder, pictures=settings.enable_image, metadata=settings.enable_metadata is True
    )


def _with_pipes(names: list[str], settings: InferenceSettings) -> Reader:
    if settings.input_format not in ("auto", "webdataset"):
        raise ConfigError(
            "a command of --input-dataset writes tars",
            value=settings.input_format,
            remedy="leave --input-format out",
        )
    sources = [parse_pipe(name) if name.startswith(PIPE) else local(name) for name in names]
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


def _tars(sources: Sequence[Path | Pipe | RemoteFile], settings: InferenceSettings) -> Reader:
    tars: list[Path | Pipe | RemoteFile] = []
    for path in sources:
        if not isinstance(path, Path) or not path.is_dir():
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
        cache=settings.cache_path,
    )


def _tables(paths: list[Path], settings: InferenceSettings, fetch: Fetch | None) -> Reader:
    tables = [table for path in paths for table in (tables_in(path) if path.is_dir() else [path])]
    return _table_reader(tables, settings, fetch)


def _table_reader(
    tables: list[Path],
    settings: InferenceSettings,
    fetch: Fetch | None,
    remote: Sequence[RemoteFile] = (),
) -> TableReader:
    return TableReader(
        tables,
        image_column=settings.image_column,
        caption_column=settings.caption_column,
        pictures=settings.enable_image,
        metadata=settings.enable_metadata is not False,
        fetch=fetch,
        remote=remote,
    )


def _has_metadata(sources: Sequence[Path | Pipe | RemoteFile], settings: InferenceSettings) -> bool:
    if settings.enable_metadata is not None:
        return settings.enable_metadata
    return any(isinstance(source, Path) and from_img2dataset(source) for source in sources)
