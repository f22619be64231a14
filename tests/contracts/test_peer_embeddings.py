"""Embeddings folders as clip-retrieval's `inference` leaves them are indexed and served.

The folders are written by hand with every trait of real ones of clip-retrieval 2.45: float16 rows,
partitions numbered with leading zeros, Parquet of pandas with the `pandas` key in its schema,
samples named by their key in the tar, a column `a.b` for each nested value, and types that follow
what a partition happens to hold.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from flask import Flask
from flask.testing import FlaskClient

from search_back.config import IndexOptions
from search_back.index.build import BuildSettings, build
from search_back.types import FloatArray
from tests.folders import unit_rows

ROWS = 3
PARTITIONS = 11
N = ROWS * PARTITIONS
PANDAS_TYPES = {
    "string": ("unicode", "object"),
    "int64": ("int64", "int64"),
    "double": ("float64", "float64"),
    "null": ("empty", "object"),
    "list<element: string>": ("list[unicode]", "object"),
}
COLUMNS = ("image_path", "caption", "url", "width", "height", "NSFW", "tags", "extra.a")


def write_partition(file: Path, columns: dict[str, Any], rows: int) -> None:
    """As pandas writes a frame whose index is a range, which makes no column."""
    about = []
    for name, values in columns.items():
        pandas, numpy = PANDAS_TYPES[str(values.type)]
        names = {"name": name, "field_name": name}
        about.append({**names, "pandas_type": pandas, "numpy_type": numpy, "metadata": None})
    of_names = {"pandas_type": "unicode", "numpy_type": "object"}
    key = {
        "index_columns": [{"kind": "range", "name": None, "start": 0, "stop": rows, "step": 1}],
        "column_indexes": [
            {"name": None, "field_name": None, **of_names, "metadata": {"encoding": "UTF-8"}}
        ],
        "columns": about,
        "creator": {"library": "pyarrow", "version": "15.0.2"},
        "pandas_version": "2.3.3",
    }
    table = pa.table(columns).replace_schema_metadata({"pandas": json.dumps(key)})
    pq.write_table(table, file, version="2.6", compression="snappy")


def columns_of(part: int) -> dict[str, Any]:
    """Of one partition; odd ones know the width, late ones the safety, one has tags."""
    numbers = range(part * ROWS, part * ROWS + ROWS)
    columns = {
        "image_path": pa.array([f"{part:05d}{i:04d}" for i in range(ROWS)]),
        "caption": pa.array([f" caption {n} é\n" for n in numbers]),
        "url": pa.array([f"https://example.org/{n}.jpg" for n in numbers]),
        "width": pa.array([640 if part % 2 else None] * ROWS),
        # pandas makes floats of integers where one is missing.
        "height": pa.array([480.0, None, 480.0]) if part == 0 else pa.array([480] * ROWS),
        "NSFW": pa.array(["UNLIKELY" if part > 4 else None] * ROWS),
    }
    if part == 3:
        kind = pa.list_(pa.field("element", pa.string()))
        columns["tags"] = pa.array([["t", str(n)] for n in numbers], kind)
        columns["extra.a"] = pa.array([float(n) for n in numbers])
    return columns


def write_output(folder: Path, rows: dict[str, FloatArray]) -> Path:
    """`rows`: by `img_emb` and `text_emb`, or one of them."""
    for kind in (*rows, "metadata", "stats"):
        (folder / kind).mkdir(parents=True)
    (folder / "stats" / "0.json").write_text('{"sample_count": 33}')
    for part in range(PARTITIONS):
        for kind, vectors in rows.items():
            own = vectors[part * ROWS : part * ROWS + ROWS].astype(np.float16)
            np.save(folder / kind / f"{kind}_{part:02d}.npy", own)
        columns = columns_of(part)
        for kind, column in (("img_emb", "image_path"), ("text_emb", "caption")):
            if kind not in rows:
                del columns[column]
        write_partition(folder / "metadata" / f"metadata_{part:02d}.parquet", columns, ROWS)
    return folder


@pytest.fixture
def rows() -> dict[str, FloatArray]:
    return {"img_emb": unit_rows(N, seed=1), "text_emb": unit_rows(N, seed=2)}


def index_of(source: Path) -> Path:
    report = build(BuildSettings(embeddings_folder=source, index_folder=source.parent / "index"))
    assert any("--clip-model" in note for note in report.notes)
    return report.folder


def nearest(client: FlaskClient, embedding: FloatArray, modality: str) -> dict[str, Any]:
    body = {"embedding_input": embedding.tolist(), "modality": modality, "num_images": 1}
    answer = client.post("/knn-service", data=json.dumps(body))
    assert answer.status_code == 200, answer.text
    (found,) = answer.json
    return dict(found)


@pytest.mark.parametrize("enable_hdf5", [False, True], ids=["parquet", "hdf5"])
def test_every_row_is_found_with_its_own_metadata(
    serve_app: Callable[..., Flask],
    tmp_path: Path,
    rows: dict[str, FloatArray],
    enable_hdf5: bool,
) -> None:
    folder = index_of(write_output(tmp_path / "embeddings", rows))
    options = IndexOptions(folder, columns_to_return=COLUMNS, enable_hdf5=enable_hdf5)
    client = serve_app({"i": options}).test_client()
    for modality, vectors in (("image", rows["img_emb"]), ("text", rows["text_emb"])):
        for n, vector in enumerate(vectors):
            found = nearest(client, vector, modality)
            part, i = divmod(n, ROWS)
            assert found.pop("similarity") == pytest.approx(1, abs=1e-4)
            assert found == {
                "id": n,
                "image_path": f"{part:05d}{i:04d}",
                "caption": f" caption {n} é\n",
                "url": f"https://example.org/{n}.jpg",
                "width": 640 if part % 2 else None,
                "height": None if n == 1 else 480,
                "NSFW": "UNLIKELY" if part > 4 else None,
                "tags": ["t", str(n)] if part == 3 else None,
                "extra.a": n if part == 3 else None,
            }


@pytest.mark.parametrize("kind", ["img_emb", "text_emb"])
def test_one_kind_of_embeddings_is_enough(
    serve_app: Callable[..., Flask],
    tmp_path: Path,
    rows: dict[str, FloatArray],
    kind: str,
) -> None:
    folder = index_of(write_output(tmp_path / "embeddings", {kind: rows[kind]}))
    client = serve_app({"i": IndexOptions(folder)}).test_client()
    column = {"img_emb": "image_path", "text_emb": "caption"}
    modality = {"img_emb": "image", "text_emb": "text"}[kind]
    found = nearest(client, rows[kind][31], modality)
    assert (found["id"], found["url"]) == (31, "https://example.org/31.jpg")
    assert found[column.pop(kind)] == {"image": "000100001", "text": " caption 31 é\n"}[modality]
    assert not column.keys() & found.keys()
