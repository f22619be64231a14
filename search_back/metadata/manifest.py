"""What a metadata file in our layout says of itself.

The root of the HDF5 file has the attributes ``format``, ``version`` and ``manifest_sha256``; the
dataset ``manifest`` is a JSON text::

    {"rows": 3, "columns": null, "schema": "<the Arrow schema, serialised, base64>",
     "fields": [{"name": "url", "type": "large_string", "group": "columns/url"}],
     "datasets": {"columns/url/offsets": {"dtype": "<i8", "length": 4, "crc32": 123}, …},
     "sources": [{"name": "metadata_0.parquet", "size": 1024, "mtime_ns": 1}]}

``columns``: those that were asked for when the file was built; null: all. ``sources``: the files it
was built from, by which a stale file is known.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, Literal
from urllib.parse import quote

import pyarrow as pa

from search_back.errors import CorruptFile

FORMAT: Final = "search_back.metadata"
VERSION: Final = 2
_READABLE: Final = (1, 2)
"""Version 1 has no codes; all else is as in version 2."""
OLD_TO_NEW: Final = "old_to_new"
Layout = Literal["columns", "legacy"]


@dataclass(frozen=True, slots=True)
class Source:
    """A file that a cache was built from."""

    name: str
    size: int
    mtime_ns: int

    @classmethod
    def of(cls, path: Path) -> Source:
        stat = path.stat()
        return cls(path.name, stat.st_size, stat.st_mtime_ns)


@dataclass(frozen=True, slots=True)
class Dataset:
    """One array of the file: ``length`` numbers of ``dtype``; ``crc32`` of its bytes."""

    dtype: str
    length: int
    crc32: int


@dataclass(frozen=True, slots=True, eq=False)
class Manifest:
    """The manifest of one file."""

    rows: int
    schema: pa.Schema
    datasets: Mapping[str, Dataset]
    sources: tuple[Source, ...]
    columns: tuple[str, ...] | None

    @property
    def ordered(self) -> bool:
        """Whether the rows lie in another order than that of the ids."""
        return OLD_TO_NEW in self.datasets

    def fresh(self, sources: Iterable[Path], columns: Iterable[str] | None) -> bool:
        """Whether the file was built from these files as they are and has these columns.

        Without any source files (they were removed to save space) there is nothing fresher.
        """
        now = tuple(Source.of(path) for path in sources)
        if not now:
            return True
        if now != self.sources:
            return False
        return self.columns is None or (columns is not None and set(columns) <= set(self.columns))

    def to_json(self) -> dict[str, Any]:
        return {
            "rows": self.rows,
            "columns": self.columns,
            "schema": base64.b64encode(self.schema.serialize().to_pybytes()).decode(),
            "fields": [
                {"name": field.name, "type": str(field.type), "group": group(field.name)}
                for field in self.schema
            ],
            "datasets": {path: asdict(dataset) for path, dataset in self.datasets.items()},
            "sources": [asdict(source) for source in self.sources],
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Manifest:
        schema = pa.ipc.read_schema(pa.py_buffer(base64.b64decode(value["schema"], validate=True)))
        columns = value["columns"]
        return cls(
            rows=int(value["rows"]),
            schema=schema,
            datasets={path: Dataset(**dataset) for path, dataset in value["datasets"].items()},
            sources=tuple(Source(**source) for source in value["sources"]),
            columns=None if columns is None else tuple(columns),
        )


def group(column: str) -> str:
    """The HDF5 group of a column; names that HDF5 cannot have are quoted as in an address."""
    name = quote(column, safe=" ,;:()[]")
    return f"columns/{name.replace('.', '%2E') if name in ('.', '..') else name or '%'}"


def write_manifest(file: Any, manifest: Manifest) -> None:
    """Into an open ``h5py.File``."""
    import numpy as np

    text = json.dumps(manifest.to_json()).encode()
    file.create_dataset("manifest", data=np.bytes_(text))
    file.attrs["format"] = FORMAT
    file.attrs["version"] = VERSION
    file.attrs["manifest_sha256"] = hashlib.sha256(text).hexdigest()


def open_hdf5(path: Path) -> Any:
    """An ``h5py.File`` for reading; raises ``CorruptFile`` where it is none or was cut off."""
    import h5py

    try:
        return h5py.File(path, "r", locking="best-effort")
    except OSError as error:
        raise damaged(path, str(error)) from error


def layout_of(path: Path) -> Layout:
    """Whether an HDF5 file is in our layout or an older server's, by its content.

    Raises ``CorruptFile`` where it is neither.
    """
    import h5py

    with open_hdf5(path) as file:
        try:
            if file.attrs.get("format") == FORMAT:
                return "columns"
            if isinstance(file.get("dataset"), h5py.Group):
                return "legacy"
        except (OSError, KeyError, RuntimeError) as error:
            raise damaged(path, str(error)) from error
    raise damaged(path, "it holds neither columns nor the group 'dataset' of older servers")


def read_manifest(path: Path, file: Any) -> Manifest:
    """From an open ``h5py.File``; raises ``CorruptFile``."""
    try:
        version = int(file.attrs["version"])
        if version not in _READABLE:
            raise CorruptFile(
                f"{path} has layout version {version}, this program reads up to {VERSION}",
                remedy="update the program, or delete the file: it is built again",
            )
        text = bytes(file["manifest"][()])
        if hashlib.sha256(text).hexdigest() != file.attrs["manifest_sha256"]:
            raise damaged(path, "its manifest does not match its checksum")
        return Manifest.from_json(json.loads(text))
    except (
        OSError, KeyError, TypeError, ValueError, RuntimeError, binascii.Error, pa.ArrowException
    ) as error:  # fmt: skip
        raise damaged(path, f"its manifest cannot be read: {error}") from error


def damaged(path: Path, why: str) -> CorruptFile:
    """The error of an HDF5 file that cannot be used."""
    return CorruptFile(
        f"{path} is not a whole metadata file ({why})",
        remedy="restore it, or delete it: it is built again from the metadata folder",
    )
