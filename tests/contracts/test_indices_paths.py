"""indices_paths.json: what an entry may be, and what is said of one that cannot be."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from search_back.config import IndexOptions, PinnedFile, load_indices
from search_back.errors import ConfigError, SearchBackError
from tests.conftest import Chain
from tests.folders import ids_of, unit_rows, write_folder

DEFAULTS = IndexOptions(indice_folder=Path())
# What the predecessor's files may carry.
OPTIONS = {
    "clip_model": "open_clip:ViT-B-32//models/vitb32.pt",
    "encoder_runtime": "onnx",
    "encoder_precision": "int8",
    "jpeg_draft": "close",
    "enable_hdf5": True,
    "enable_faiss_memory_mapping": True,
    "columns_to_return": ["url", "caption"],
    "reorder_metadata_by_ivf_index": True,
    "enable_mclip_option": True,
    "mclip_model": "M-CLIP/XLM-Roberta-Large-Vit-B-32",
    "use_jit": True,
    "use_arrow": True,
    "safety_head": "heads/nsfw.pth",
    "safety_threshold": 0.4,
    "violence_head": {"path": "violence.npy", "sha256": "0A" * 32},
    "violence_threshold": None,
    "aesthetic_embeddings": "/rated#sha256=" + "ab" * 32,
    "provide_safety_model": True,
    "provide_violence_detector": True,
    "provide_aesthetic_embeddings": True,
    "image_roots": ["photos"],
    "allow_encoder_mismatch": True,
    "open_on_first_query": True,
}


def load(folder: Path, value: Any, defaults: IndexOptions = DEFAULTS) -> dict[str, IndexOptions]:
    path = folder / "indices_paths.json"
    path.write_text(value if isinstance(value, str) else json.dumps(value), encoding="utf-8")
    return load_indices(path, defaults)


def test_a_folder_or_an_object_of_options(tmp_path: Path) -> None:
    indices = load(tmp_path, {"a": "/one", "b": {"indice_folder": "/two"}})
    assert indices["a"] == replace(DEFAULTS, indice_folder=Path("/one"))
    assert indices["b"] == replace(DEFAULTS, indice_folder=Path("/two"))


def test_order_is_kept(tmp_path: Path) -> None:
    assert list(load(tmp_path, {"z": "1", "a": "2", "m": "3"})) == ["z", "a", "m"]


def test_every_option_is_known(tmp_path: Path) -> None:
    index = load(tmp_path, {"a": {"indice_folder": "i", **OPTIONS}})["a"]
    assert set(OPTIONS) | {"indice_folder"} == {field.name for field in fields(IndexOptions)}
    assert index.columns_to_return == ("url", "caption")
    assert index.image_roots == (tmp_path / "photos",)
    assert index.clip_model == "open_clip:ViT-B-32//models/vitb32.pt"
    assert index.use_arrow is True
    assert index.safety_head == PinnedFile(tmp_path / "heads" / "nsfw.pth")
    assert index.safety_threshold == 0.4
    assert index.violence_head == PinnedFile(tmp_path / "violence.npy", "0a" * 32)
    assert index.violence_threshold is None
    assert index.aesthetic_embeddings == PinnedFile(Path("/rated"), "ab" * 32)


def test_options_of_one_index_never_leak_into_the_next(tmp_path: Path) -> None:
    indices = load(
        tmp_path, {"a": {"indice_folder": "i", **OPTIONS}, "b": "i", "c": {"indice_folder": "i"}}
    )
    plain = replace(DEFAULTS, indice_folder=tmp_path / "i")
    assert indices["b"] == plain
    assert indices["c"] == plain


def test_an_old_switch_may_name_a_file(tmp_path: Path) -> None:
    entry = {"indice_folder": "i", "provide_safety_model": "nsfw.npy", "safety_head": None}
    index = load(tmp_path, {"a": entry})["a"]
    assert index.provide_safety_model == PinnedFile(tmp_path / "nsfw.npy")
    assert index.safety_head is None


def test_flags_of_the_command_line_serve_where_an_entry_is_silent(tmp_path: Path) -> None:
    defaults = replace(DEFAULTS, enable_hdf5=True, clip_model="emoji")
    indices = load(
        tmp_path, {"a": "i", "b": {"indice_folder": "i", "enable_hdf5": False}}, defaults
    )
    assert indices["a"].enable_hdf5
    assert not indices["b"].enable_hdf5
    assert indices["b"].clip_model == "emoji"


def test_relative_folders_are_relative_to_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "home"
    home.mkdir()
    (home / "indices_paths.json").write_text('{"a": "sub/i", "b": "/abs/i"}')
    monkeypatch.chdir(tmp_path)
    indices = load_indices(Path("home/indices_paths.json"), DEFAULTS)
    assert indices["a"].indice_folder == home / "sub" / "i"
    assert indices["b"].indice_folder == Path("/abs/i")


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ({"a": {"indice_folder": "i", "enable_hdf": True}}, "did you mean 'enable_hdf5'"),
        ({"a": {"indice_folder": "i", "clipmodel": "x"}}, "did you mean 'clip_model'"),
        ({"a": {"index_folder": "i"}}, "indice_folder"),
        ({"a": {"indice_folder": "i", "zzz": 1}}, "known: indice_folder"),
        ({"a": {}}, "index 'a' has no indice_folder"),
        ({"a": 5}, "index 'a' should be a folder"),
        ({"a": None}, "index 'a' should be a folder"),
        ({"a": ["i"]}, "index 'a' should be a folder"),
        ({"a": {"indice_folder": 5}}, "option 'indice_folder' of index 'a' has the wrong type"),
        ({"a": {"indice_folder": "i", "enable_hdf5": "yes"}}, "option 'enable_hdf5'"),
        ({"a": {"indice_folder": "i", "enable_hdf5": 1}}, "option 'enable_hdf5'"),
        ({"a": {"indice_folder": "i", "clip_model": 5}}, "option 'clip_model'"),
        ({"a": {"indice_folder": "i", "columns_to_return": [1]}}, "option 'columns_to_return'"),
        ({"a": {"indice_folder": "i", "columns_to_return": None}}, "option 'columns_to_return'"),
        ({"a": {"indice_folder": "i", "image_roots": 3}}, "option 'image_roots'"),
        ({"a": {"indice_folder": "i", "safety_head": 3}}, "option 'safety_head' of index 'a'"),
        ({"a": {"indice_folder": "i", "safety_head": ""}}, "that names no file"),
        ({"a": {"indice_folder": "i", "safety_head": {"sha256": "00"}}}, "that names no file"),
        ({"a": {"indice_folder": "i", "safety_head": {"file": "x"}}}, "that names no file"),
        ({"a": {"indice_folder": "i", "violence_head": "x#sha256=12"}}, "64 hexadecimal digits"),
        ({"a": {"indice_folder": "i", "violence_head": "x#sha256="}}, "64 hexadecimal digits"),
        ({"a": {"indice_folder": "i", "provide_safety_model": 1}}, "'provide_safety_model'"),
        ({"a": {"indice_folder": "i", "safety_threshold": True}}, "option 'safety_threshold'"),
        ({"a": {"indice_folder": "i", "safety_threshold": "1"}}, "option 'safety_threshold'"),
        ({"a": {"indice_folder": "i", "safety_threshold": 10**400}}, "'safety_threshold'"),
        ('{"a": {"indice_folder": "i", "safety_threshold": NaN}}', "'safety_threshold'"),
        ({}, "at least one index"),
        ([], "at least one index"),
        ("{", "not valid JSON"),
        ("", "not valid JSON"),
    ],
)
def test_what_cannot_be_is_said(tmp_path: Path, value: Any, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, value)
    assert said in str(caught.value)


def test_a_file_that_is_missing_or_no_text(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="--indices-paths"):
        load_indices(tmp_path / "none.json", DEFAULTS)
    with pytest.raises(ConfigError):
        load_indices(tmp_path, DEFAULTS)
    (tmp_path / "binary.json").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError):
        load_indices(tmp_path / "binary.json", DEFAULTS)


def test_several_indices_in_one_server(
    serve_app: Callable[..., Flask], tmp_path: Path, chain: Chain
) -> None:
    rows = unit_rows(30)
    write_folder(tmp_path / "plain", rows, text=unit_rows(30, seed=1))
    indices = load(
        tmp_path,
        {
            "emoji": {"indice_folder": str(chain.index), "columns_to_return": ["name"]},
            "plain": {"indice_folder": "plain", "enable_hdf5": True},
            "same": "plain",
        },
    )
    client = serve_app(indices).test_client()

    def ask(**fields: Any) -> Any:
        answer = client.post("/knn-service", data=json.dumps({"num_images": 2, **fields}))
        assert answer.status_code == 200, answer.text
        return answer.json

    assert set(ask(text="cat")[0]) == {"name", "image", "id", "similarity"}
    for name in ("plain", "same"):
        found = ask(embedding_input=rows[4].tolist(), indice_name=name)
        assert ids_of(found)[0] == 4
        assert found[0]["caption"] == "caption 4"
    embedding = unit_rows(30, seed=1)[6].tolist()
    assert ids_of(ask(embedding_input=embedding, indice_name="same", modality="text"))[0] == 6
    assert (tmp_path / "plain" / "metadata.hdf5").is_file()


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda path: None, "the index folder does not exist"),
        (lambda path: path.mkdir(), "holds no index"),
        (lambda path: path.write_text("x"), "the index folder does not exist"),
    ],
)
def test_a_folder_without_an_index(
    serve_app: Callable[..., Flask], tmp_path: Path, make: Callable[[Path], Any], said: str
) -> None:
    make(tmp_path / "i")
    with pytest.raises(SearchBackError) as caught:
        serve_app({"a": IndexOptions(tmp_path / "i")})
    assert said in str(caught.value)
    assert str(tmp_path / "i") in str(caught.value)


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("image.index", b""),
        ("image.index", b"no index of faiss" * 10),
        ("index.json", b"{"),
        ("index.json", b'{"encoder": {"name": "x"}}'),
        ("index.json", b'{"encoder": 5}'),
        ("index.json", b'{"indices": {"image": {"search": {"depth": 3}}}}'),
        ("index.json", b'{"indices": 5}'),
        ("metadata/metadata_0.parquet", b""),
        ("metadata/metadata_0.parquet", b"PAR1" + b"x" * 50),
    ],
)
def test_a_broken_file_is_named(
    serve_app: Callable[..., Flask], tmp_path: Path, file: str, content: bytes
) -> None:
    folder = write_folder(tmp_path / "i", unit_rows(10))
    (folder / file).write_bytes(content)
    with pytest.raises(SearchBackError) as caught:
        serve_app({"a": IndexOptions(folder)})
    assert str(folder / file) in str(caught.value)


def test_index_and_metadata_of_different_length(
    serve_app: Callable[..., Flask], tmp_path: Path
) -> None:
    folder = write_folder(tmp_path / "i", unit_rows(10))
    write_folder(tmp_path / "j", unit_rows(9))
    (tmp_path / "j" / "metadata" / "metadata_0.parquet").replace(
        folder / "metadata" / "metadata_0.parquet"
    )
    with pytest.raises(SearchBackError, match="not made together"):
        serve_app({"a": IndexOptions(folder)})


def test_a_model_nobody_knows_stops_the_start(
    serve_app: Callable[..., Flask], tmp_path: Path
) -> None:
    folder = write_folder(tmp_path / "i", unit_rows(10))
    with pytest.raises(ConfigError, match=r"no model of that name.*ViT-Z"):
        serve_app({"a": IndexOptions(folder, clip_model="ViT-Z")})
