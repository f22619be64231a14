"""Index folders that other tools made: every kind of index loads, searches and answers."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import faiss
import h5py
import numpy as np
import pyarrow as pa
import pytest
from flask import Flask

from search_back.config import IndexOptions
from tests.folders import captions, ids_of, unit_rows, write_folder, write_metadata, write_on_disk

N = 400
KINDS = (
    "Flat",
    "HNSW16,Flat",
    "IVF8,Flat",
    "IVF8,SQ8",
    "OPQ4_16,IVF8,PQ4x4",
    "IDMap,Flat",
    "IDMap,IVF8,Flat",
    "IDMap2,Flat",
    "SQfp16",
    "IVF8,Flat,Refine(Flat)",
)


def ask(client: Any, embedding: Any, **fields: Any) -> Any:
    body = {"embedding_input": np.asarray(embedding).tolist(), **fields}
    answer = client.post("/knn-service", data=json.dumps(body))
    assert answer.status_code == 200, answer.text
    return answer.json


@pytest.mark.parametrize("mapped", [True, False], ids=["mapped", "in memory"])
@pytest.mark.parametrize("factory", KINDS)
def test_every_kind_of_index_answers(
    serve_app: Callable[..., Flask], tmp_path: Path, factory: str, mapped: bool
) -> None:
    rows = unit_rows(N)
    folder = write_folder(tmp_path / "i", rows, factory=factory, partitions=3)
    options = IndexOptions(folder, enable_faiss_memory_mapping=mapped)
    client = serve_app({"i": options}).test_client()

    query = rows[5]
    found = ask(client, query, num_images=10)
    assert 5 in (ids_of(found) if "PQ" in factory else ids_of(found)[:1])
    assert all(item["caption"] == f"caption {item['id']}" for item in found)
    for item in found:
        exact = float(rows[item["id"]] @ query)
        assert item["similarity"] == pytest.approx(exact, abs=0.4 if "PQ" in factory else 0.02)

    everything = ids_of(ask(client, query, num_images=0, num_result_ids=10_000))
    assert sorted(everything) == list(range(N))
    deduplicated = ids_of(ask(client, query, num_images=50, deduplicate=True))
    assert len(set(deduplicated)) == len(deduplicated) > 0


@pytest.mark.parametrize("mapped", [True, False])
def test_an_index_may_be_a_folder_with_its_lists_beside_it(
    serve_app: Callable[..., Flask],
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    mapped: bool,
) -> None:
    rows = unit_rows(N)
    folder = write_on_disk(tmp_path / "made-here", rows)
    moved = folder.rename(tmp_path / "moved")
    with caplog.at_level(logging.INFO):
        options = IndexOptions(moved, enable_faiss_memory_mapping=mapped)
        client = serve_app({"i": options}).test_client()
    assert ids_of(ask(client, rows[7], num_images=1)) == [7]
    assert ids_of(ask(client, rows[7], num_images=9, deduplicate=True))[0] == 7
    assert ("image.index is a folder" in caplog.text) is mapped


def test_ids_of_an_id_map_are_rows_of_the_metadata(
    serve_app: Callable[..., Flask], tmp_path: Path
) -> None:
    rows = unit_rows(20)
    folder = write_folder(tmp_path / "i", rows)
    ids = np.arange(20, dtype=np.int64)[::-1].copy()
    index = faiss.IndexIDMap(faiss.IndexFlatIP(16))
    index.add_with_ids(rows, ids)
    faiss.write_index(index, str(folder / "image.index"))
    client = serve_app({"i": IndexOptions(folder)}).test_client()
    (found,) = ask(client, rows[3], num_images=1, deduplicate=True)
    assert (found["id"], found["caption"]) == (16, "caption 16")


def test_ids_beyond_the_metadata_are_said(serve_app: Callable[..., Flask], tmp_path: Path) -> None:
    rows = unit_rows(20)
    folder = write_folder(tmp_path / "i", rows)
    index = faiss.IndexIDMap(faiss.IndexFlatIP(16))
    index.add_with_ids(rows, np.arange(20, dtype=np.int64) + 10)
    faiss.write_index(index, str(folder / "image.index"))
    client = serve_app({"i": IndexOptions(folder)}).test_client()
    body = {"embedding_input": rows[15].tolist(), "num_images": 1}
    answer = client.post("/knn-service", data=json.dumps(body))
    assert answer.json["code"] == "unknown_id"
    assert "25" in answer.json["message"]
    assert "0 … 19" in answer.json["message"]


def test_an_l2_index_answers_in_inner_products(
    serve_app: Callable[..., Flask], tmp_path: Path
) -> None:
    rows = unit_rows(50)
    folder = write_folder(tmp_path / "i", rows)
    index = faiss.IndexFlatL2(16)
    index.add(rows)
    faiss.write_index(index, str(folder / "image.index"))
    client = serve_app({"i": IndexOptions(folder)}).test_client()
    found = ask(client, rows[3], num_images=5)
    assert ids_of(found) == np.argsort(-(rows @ rows[3]))[:5].tolist()
    assert found[0]["similarity"] == pytest.approx(1, abs=1e-5)


def test_float16_embeddings_make_the_same_index(tmp_path: Path) -> None:
    """`index` reads what the predecessor's `inference` left, which has no description."""
    from search_back.index.build import BuildSettings, build

    rows = unit_rows(120)
    for kind in ("img_emb", "text_emb"):
        (tmp_path / "e" / kind).mkdir(parents=True)
        for part in range(3):
            half = rows[part * 40 : part * 40 + 40].astype(np.float16)
            np.save(tmp_path / "e" / kind / f"{kind}_{part}.npy", half)
    write_metadata(tmp_path / "e", captions(120), partitions=3)
    report = build(BuildSettings(embeddings_folder=tmp_path / "e", index_folder=tmp_path / "i"))
    assert {m: about["count"] for m, about in report.manifest["indices"].items()} == {
        "image": 120,
        "text": 120,
    }
    assert report.manifest["encoder"] is None
    assert any("--clip-model" in note for note in report.notes)


def test_without_metadata_there_are_ids(
    serve_app: Callable[..., Flask], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = write_folder(tmp_path / "i", unit_rows(20))
    (folder / "metadata" / "metadata_0.parquet").unlink()
    (folder / "metadata").rmdir()
    client = serve_app({"i": IndexOptions(folder)}).test_client()
    assert set(ask(client, unit_rows(20)[1], num_images=1)[0]) == {"id", "similarity"}
    rows = client.post("/metadata", data='{"ids": [1, 99]}').json
    assert rows[0] == {"id": 1, "metadata": {}}
    assert rows[1]["code"] == "unknown_id"
    assert "no metadata" in caplog.text


@pytest.mark.parametrize("factory", ["Flat", "HNSW16,Flat"])
def test_an_order_that_does_not_apply_is_said(
    serve_app: Callable[..., Flask],
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    factory: str,
) -> None:
    rows = unit_rows(N)
    folder = write_folder(tmp_path / "i", rows, factory=factory)
    options = IndexOptions(folder, reorder_metadata_by_ivf_index=True)
    client = serve_app({"i": options}).test_client()
    assert ask(client, rows[3], num_images=1)[0]["caption"] == "caption 3"
    assert "reorder_metadata_by_ivf_index does not apply" in caplog.text
    assert factory[:4] in caplog.text


@pytest.mark.parametrize(
    "factory", ["IVF8,Flat", "OPQ4_16,IVF8,PQ4x4", "IDMap,IVF8,Flat", "folder"]
)
def test_metadata_in_the_order_of_the_lists_is_the_same_metadata(
    serve_app: Callable[..., Flask], tmp_path: Path, factory: str
) -> None:
    rows = unit_rows(N)
    if factory == "folder":
        folder = write_on_disk(tmp_path / "i", rows)
    else:
        folder = write_folder(tmp_path / "i", rows, factory=factory)
    options = IndexOptions(folder, reorder_metadata_by_ivf_index=True)
    for _ in ("built", "read again"):
        client = serve_app({"i": options}).test_client()
        found = ask(client, rows[3], num_images=N)
        assert all(item["caption"] == f"caption {item['id']}" for item in found)
    assert (folder / "metadata_reordered.hdf5").is_file()


def test_lists_that_number_by_themselves_cannot_be_followed(
    serve_app: Callable[..., Flask], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    rows = unit_rows(N)
    folder = write_folder(tmp_path / "i", rows, factory="IVF8,Flat")
    index = faiss.index_factory(16, "IVF8,Flat", faiss.METRIC_INNER_PRODUCT)
    index.train(rows)
    index.add_with_ids(rows, np.arange(N, dtype=np.int64) * 3)
    faiss.write_index(index, str(folder / "image.index"))
    options = IndexOptions(folder, reorder_metadata_by_ivf_index=True)
    client = serve_app({"i": options}).test_client()
    assert ask(client, rows[3], num_images=1)[0]["id"] == 9
    assert "the metadata stays in its order" in caplog.text


def test_options_without_effect_are_said(
    serve_app: Callable[..., Flask], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = write_folder(tmp_path / "i", unit_rows(20))
    options = IndexOptions(folder, provide_safety_model=True, mclip_model="hf:some/model")
    serve_app({"i": options})
    assert "provide_safety_model" in caplog.text
    assert "mclip_model has no effect without enable_mclip_option" in caplog.text
    assert "provide_violence_detector" not in caplog.text


def legacy_hdf5(path: Path, table: pa.Table, order: Any = None) -> None:
    """As the predecessor writes it: a group `dataset` of gzipped variable-length strings."""
    with h5py.File(path, "w") as file:
        group = file.create_group("dataset")
        for name in table.column_names:
            values = np.array(table[name].to_pylist(), dtype=object)
            group.create_dataset(
                name,
                data=values if order is None else values[order],
                dtype=h5py.string_dtype(),
                compression="gzip",
            )


@pytest.mark.parametrize("sources", [True, False], ids=["with parquet", "alone"])
def test_the_cache_of_an_older_server_is_used_and_left_alone(
    serve_app: Callable[..., Flask], tmp_path: Path, sources: bool
) -> None:
    rows = unit_rows(50)
    folder = write_folder(tmp_path / "i", rows)
    # Told apart from the Parquet by what it says.
    said = pa.table({"image_path": ["x"] * 50, "caption": [f"cached {i}" for i in range(50)]})
    legacy_hdf5(folder / "metadata.hdf5", said)
    if not sources:
        (folder / "metadata" / "metadata_0.parquet").unlink()
        (folder / "metadata").rmdir()
    before = (folder / "metadata.hdf5").read_bytes()

    client = serve_app({"i": IndexOptions(folder, enable_hdf5=True)}).test_client()
    assert ask(client, rows[8], num_images=1)[0]["caption"] == "cached 8"
    assert (folder / "metadata.hdf5").read_bytes() == before


def test_so_is_its_reordered_cache(serve_app: Callable[..., Flask], tmp_path: Path) -> None:
    rows = unit_rows(N)
    folder = write_folder(tmp_path / "i", rows, factory="IVF8,Flat")
    order = np.random.default_rng(3).permutation(N)
    said = pa.table({"image_path": ["x"] * N, "caption": [f"cached {i}" for i in range(N)]})
    legacy_hdf5(folder / "metadata_reordered.hdf5", said, order)
    mapping = np.empty(N, np.int64)
    mapping[order] = np.arange(N)
    mapping.tofile(folder / "ivf_old_to_new_mapping.npy")
    files = ("metadata_reordered.hdf5", "ivf_old_to_new_mapping.npy")
    before = [(folder / file).read_bytes() for file in files]

    options = IndexOptions(folder, reorder_metadata_by_ivf_index=True)
    client = serve_app({"i": options}).test_client()
    found = ask(client, rows[8], num_images=20)
    assert [item["caption"] for item in found] == [f"cached {i}" for i in ids_of(found)]
    assert [(folder / file).read_bytes() for file in files] == before


def test_arrow_metadata_as_of_laion(serve_app: Callable[..., Flask], tmp_path: Path) -> None:
    rows = unit_rows(30)
    folder = write_folder(tmp_path / "i", rows)
    (folder / "metadata" / "metadata_0.parquet").unlink()
    table = captions(30)
    for name, start in (("0_en", 0), ("1_multi", 10), ("2_nolang", 20)):
        part = table.slice(start, 10)
        path = str(folder / "metadata" / f"{name}.arrow")
        with pa.OSFile(path, "wb") as sink, pa.ipc.new_file(sink, part.schema) as writer:
            writer.write_table(part)
    client = serve_app({"i": IndexOptions(folder, use_arrow=True)}).test_client()
    for id_ in (0, 10, 29):
        assert ask(client, rows[id_], num_images=1)[0]["caption"] == f"caption {id_}"
