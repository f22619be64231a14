"""Small inputs, and the whole of an embeddings folder read back."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from search_back.files import read_json
from search_back.types import FloatArray
from tests.fakes import FakeEncoder


@pytest.fixture(params=[0, 1], ids=["decoded ahead", "side by side"])
def encoder(request: pytest.FixtureRequest) -> FakeEncoder:
    """One whose calls take all cores, and one whose calls take one each."""
    return FakeEncoder(threads=request.param)


def write_files(folder: Path, files: Mapping[str, bytes | str]) -> Path:
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    folder.mkdir(exist_ok=True)
    return folder


def tar_bytes(members: Sequence[tuple[str, bytes | str]]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, content in members:
            data = content.encode() if isinstance(content, str) else content
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


@dataclass
class Result:
    """An embeddings folder, its partitions joined."""

    image: FloatArray | None
    text: FloatArray | None
    metadata: pa.Table
    failures: list[dict[str, str]]
    manifest: dict[str, Any]
    files: list[str] = field(default_factory=list)

    def column(self, name: str) -> list[Any]:
        values: list[Any] = self.metadata.column(name).to_pylist()
        return values


def read_result(folder: Path) -> Result:
    def vectors(kind: str) -> FloatArray | None:
        parts = [np.load(path) for path in sorted((folder / kind).glob("*.npy"))]
        assert all(part.dtype == np.float16 for part in parts)
        return np.concatenate(parts).astype(np.float32) if parts else None

    tables = [pq.read_table(path) for path in sorted((folder / "metadata").glob("*.parquet"))]
    result = Result(
        image=vectors("img_emb"),
        text=vectors("text_emb"),
        metadata=pa.concat_tables(tables),
        failures=pq.read_table(folder / "failures.parquet").to_pylist(),
        manifest=read_json(folder / "embeddings.json"),
        files=sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()),
    )
    for rows in (result.image, result.text):
        assert rows is None or len(rows) == result.metadata.num_rows
    assert result.manifest["count"] == result.metadata.num_rows
    return result
