"""From an embeddings folder to an index folder."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from search_back.errors import BadFolder, ConfigError, CorruptFile
from search_back.files import sha256_file
from search_back.index import SearchPlan, SearchSettings, open_index
from search_back.index.build import BuildSettings, build
from search_back.index.choose import choose, number_of_lists, parse_bytes
from search_back.index.embeddings import open_embeddings
from search_back.index.exact import Questions, exact_neighbours
from search_back.types import EncoderIdentity, FloatArray
from search_back.vectors import normalise

D = 16
IDENTITY = EncoderIdentity("tiny", D, "a" * 64, "b" * 64)


def write_embeddings(
    folder: Path, vectors: FloatArray, *, parts: int = 1, text: bool = False, manifest: bool = True
) -> Path:
    """An embeddings folder as inference leaves it."""
    for name in ["img_emb", "text_emb"] if text else ["img_emb"]:
        (folder / name).mkdir(parents=True)
    (folder / "metadata").mkdir()
    for i, rows in enumerate(np.array_split(np.arange(len(vectors)), parts)):
        np.save(folder / f"img_emb/img_emb_{i}.npy", vectors[rows].astype(np.float16))
        if text:
            np.save(folder / f"text_emb/text_emb_{i}.npy", vectors[rows].astype(np.float16))
        table = pa.table({"image_path": [f"{r}.jpg" for r in rows]})
        pq.write_table(table, folder / f"metadata/metadata_{i}.parquet")
    if manifest:
        about = {"encoder": IDENTITY.to_json(), "image_root": "/pictures"}
        (folder / "embeddings.json").write_text(json.dumps(about))
    return folder


@pytest.fixture
def vectors() -> FloatArray:
    return normalise(np.random.default_rng(0).standard_normal((900, D)))


def settings(tmp_path: Path, **changes: object) -> BuildSettings:
    return BuildSettings(tmp_path / "embeddings", tmp_path / "index", **changes)  # type: ignore[arg-type]


def test_a_folder_is_built_whole(tmp_path: Path, vectors: FloatArray) -> None:
    write_embeddings(tmp_path / "embeddings", vectors, parts=3, text=True)
    report = build(settings(tmp_path))
    manifest = json.loads((tmp_path / "index/index.json").read_text())
    assert manifest == json.loads(json.dumps(report.manifest))
    assert EncoderIdentity.from_json(manifest["encoder"]).matches(IDENTITY)
    assert manifest["image_root"] == "/pictures"
    assert manifest["columns"] == ["image_path"]
    assert set(manifest["indices"]) == {"image", "text"}
    assert manifest["indices"]["image"]["measured"]["recall_at_10"] == {"image": 1.0, "text": 1.0}
    files = {p.relative_to(tmp_path / "index").as_posix() for p in _files(tmp_path / "index")}
    assert set(manifest["checksums"]) == files - {"index.json"}
    for name, digest in manifest["checksums"].items():
        assert sha256_file(tmp_path / "index" / name) == digest
    index = open_index(tmp_path / "index/image.index")
    assert index.search(vectors, 1)[1][:, 0].tolist() == list(range(900))


def _files(folder: Path) -> list[Path]:
    return [p for p in folder.rglob("*") if p.is_file()]


def test_an_inverted_file_is_tuned_to_its_recall(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    vectors = normalise(rng.standard_normal((4000, D)))
    write_embeddings(tmp_path / "embeddings", vectors)
    report = build(settings(tmp_path, factory="IVF32,Flat"))
    about = report.manifest["indices"]["image"]
    assert about["measured"]["recall_at_10"]["image"] >= 0.95
    step = about["search"]["image"][0]
    assert step["k"] == 10
    assert 1 < step["nprobe"] < 32
    # Half as much would not have been enough, else the search settings waste time.
    index = open_index(tmp_path / "index/image.index", plan=SearchPlan.from_json(about["search"]))
    stored = open_embeddings(tmp_path / "embeddings").vectors["image"]
    queries = stored.sample(256, seed=1)[0]
    (truth,) = exact_neighbours(stored.blocks(), [Questions(queries, np.full(256, -1), 10)])

    def recall(nprobe: int) -> float:
        found = index.with_settings(SearchSettings(nprobe=nprobe)).search(queries, 10)[1]
        return float(np.mean([np.isin(t, f).mean() for t, f in zip(truth, found, strict=True)]))

    assert recall(step["nprobe"]) >= 0.95 > recall(step["nprobe"] // 2)
    assert about["search"]["image"][-1] == {"k": 4000, "nprobe": 32}


def test_partitions_are_read_by_their_numbers(tmp_path: Path, vectors: FloatArray) -> None:
    write_embeddings(tmp_path / "embeddings", vectors, parts=12)  # 10 sorts before 2 as text
    found = open_embeddings(tmp_path / "embeddings").vectors["image"]
    stored = np.concatenate(list(found.blocks(100)))
    assert stored == pytest.approx(vectors, abs=1e-3)
    rows, numbers = found.sample(50)
    assert rows == pytest.approx(vectors[numbers], abs=1e-3)


def test_a_folder_of_another_program_is_taken(tmp_path: Path, vectors: FloatArray) -> None:
    write_embeddings(tmp_path / "embeddings", vectors, manifest=False)
    report = build(settings(tmp_path))
    assert report.manifest["encoder"] is None
    assert any("--clip-model" in note for note in report.notes)


def test_an_index_is_not_replaced_unasked(tmp_path: Path, vectors: FloatArray) -> None:
    write_embeddings(tmp_path / "embeddings", vectors)
    build(settings(tmp_path))
    before = (tmp_path / "index/index.json").read_bytes()
    with pytest.raises(BadFolder, match="--overwrite"):
        build(settings(tmp_path))
    assert (tmp_path / "index/index.json").read_bytes() == before
    build(settings(tmp_path, overwrite=True, factory="IVF4,Flat"))
    again = json.loads((tmp_path / "index/index.json").read_text())
    assert again["indices"]["image"]["factory"] == "IVF4,Flat"


def test_a_folder_of_something_else_is_never_replaced(tmp_path: Path, vectors: FloatArray) -> None:
    write_embeddings(tmp_path / "embeddings", vectors)
    (tmp_path / "index").mkdir()
    (tmp_path / "index/photo.jpg").write_bytes(b"dear")
    with pytest.raises(BadFolder, match="something else"):
        build(settings(tmp_path, overwrite=True))
    assert (tmp_path / "index/photo.jpg").read_bytes() == b"dear"


def test_a_build_that_fails_leaves_nothing(
    tmp_path: Path, vectors: FloatArray, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_embeddings(tmp_path / "embeddings", vectors)

    def fail(*_: object, **__: object) -> None:
        raise OSError("the disk is full")

    monkeypatch.setattr("search_back.index.build.tune", fail)
    with pytest.raises(OSError, match="full"):
        build(settings(tmp_path))
    # But for what the next build goes on with.
    assert sorted(p.name for p in tmp_path.iterdir()) == [".index.work", "embeddings"]
    monkeypatch.undo()
    build(settings(tmp_path))
    assert sorted(p.name for p in tmp_path.iterdir()) == ["embeddings", "index"]


def test_broken_embeddings_are_named(tmp_path: Path, vectors: FloatArray) -> None:
    with pytest.raises(BadFolder, match="does not exist"):
        build(settings(tmp_path))
    folder = write_embeddings(tmp_path / "embeddings", vectors, parts=2, text=True)
    (folder / "img_emb/img_emb_1.npy").write_bytes(b"\x93NUMPY cut")
    with pytest.raises(CorruptFile, match=r"img_emb_1\.npy"):
        build(settings(tmp_path))
    np.save(folder / "img_emb/img_emb_1.npy", np.zeros((3, D), np.float16))
    with pytest.raises(CorruptFile, match="rows"):
        build(settings(tmp_path))
    for file in folder.rglob("*.npy"):
        file.unlink()
    with pytest.raises(BadFolder, match="search-back inference"):
        build(settings(tmp_path))


def test_a_factory_that_faiss_does_not_know(tmp_path: Path, vectors: FloatArray) -> None:
    write_embeddings(tmp_path / "embeddings", vectors)
    with pytest.raises(ConfigError, match="Nonsense"):
        build(settings(tmp_path, factory="Nonsense"))


@pytest.mark.parametrize(
    ("count", "dimension", "memory", "expected"),
    [
        (2_000, 192, "4G", "Flat"),
        (1_000_000, 512, "4G", "IVF8192(PQ256x4fs,RFlat),PQ256x4fsr,Refine(SQ8)"),
        (1_000_000, 512, "1G", "IVF8192(PQ256x4fs,RFlat),PQ256x4fsr,Refine(SQ8)"),
        (1_000_000, 512, "600M", "IVF8192(PQ256x4fs,RFlat),PQ128x4fsr,Refine(SQ8)"),
        (1_000_000, 512, "570M", "IVF8192(PQ256x4fs,RFlat),SQ8"),
        (200_000, 512, "1G", "IVF2048(PQ256x4fs,RFlat),PQ256x4fsr,Refine(SQ8)"),
        (1_000_000, 510, "4G", "IVF8192(PQ255x4fs,RFlat),PQ255x4fsr,Refine(SQ8)"),
        (1_000_000, 512, "200M", "OPQ128_512,IVF8192(PQ256x4fs,RFlat),PQ128x8np"),
        (1_000_000, 333, "4G", "IVF8192,SQfp16"),
        (20_000, 512, "100K", ConfigError),
    ],
)
def test_the_kind_follows_count_and_memory(
    count: int, dimension: int, memory: str, expected: str | type[Exception]
) -> None:
    budget = parse_bytes(memory, setting="max_index_memory_usage")
    if not isinstance(expected, str):
        with pytest.raises(expected, match="max-index-memory-usage"):
            choose(count, dimension, memory=budget, build_memory=2**40)
        return
    choice = choose(count, dimension, memory=budget, build_memory=2**40)
    assert choice.factory == expected
    assert choice.bytes <= budget
    assert choice.reason


@pytest.mark.parametrize("count", [50_000, 200_000, 10**6])
def test_a_graph_of_neighbours_fits_in_half_of_hnsw(count: int) -> None:
    hnsw = count * (4 * 512 + 4 * (2 * 32 + 2))  # HNSW32: fp32 vectors, 64 links, a little more
    choice = choose(count, 512, memory=hnsw // 2, build_memory=2**42, graph=True)
    assert choice.graph
    assert choice.bytes < hnsw / 2
    assert choice.factory.endswith(",PQ256x4fsr,Refine(SQ8)")


@pytest.mark.parametrize(
    ("count", "memory", "graph", "expected"),
    [
        (1_000_000, "1G", None, True),
        (1_000_000, "1G", False, False),
        (1_000_000, "800M", None, True),
        (1_000_000, "700M", None, False),
        (1_000_000, "600M", None, False),
        (100_000, "1G", None, False),
        (100_000, "1G", True, True),
    ],
)
def test_large_collections_get_a_graph_where_it_fits(
    count: int, memory: str, graph: bool | None, expected: bool
) -> None:
    budget = parse_bytes(memory, setting="max_index_memory_usage")
    choice = choose(count, 512, memory=budget, build_memory=2**40, graph=graph)
    assert choice.graph is expected
    assert choice.bytes <= budget


def test_a_graph_that_does_not_fit_is_refused() -> None:
    with pytest.raises(ConfigError, match="max-index-memory-usage"):
        choose(1_000_000, 512, memory=600 * 2**20, build_memory=2**40, graph=True)


def test_a_high_recall_is_not_left_to_8_bits() -> None:
    for memory, expected in ((2, "PQ256x4fsr,Refine(SQfp16)"), (1, "SQfp16")):
        sure = choose(10**6, 512, memory=memory * 2**30, build_memory=2**40, recall=0.99)
        assert sure.factory == f"IVF8192(PQ256x4fs,RFlat),{expected}"


def test_the_memory_of_the_build_bounds_the_kind() -> None:
    choice = choose(10**6, 512, memory=4 * 2**30, build_memory=2 * 2**30)
    assert choice.factory == "IVF8192(PQ256x4fs,RFlat),PQ256x4fsr,Refine(SQ8)"
    with pytest.raises(ConfigError, match="current-memory-available"):
        choose(10**6, 512, memory=4 * 2**30, build_memory=2**20)


def test_lists_have_enough_points() -> None:
    for count in (1, 30, 1_000, 10**6, 10**8):
        assert number_of_lists(count) == 1 or count / number_of_lists(count) >= 60


@pytest.mark.parametrize("text", ["", "4X", "-1G", "0", "many"])
def test_sizes_that_are_none(text: str) -> None:
    with pytest.raises(ConfigError, match="current_memory_available"):
        parse_bytes(text, setting="current_memory_available")


def test_sizes() -> None:
    assert parse_bytes("4G", setting="x") == 4 * 2**30
    assert parse_bytes(" 1.5 mb ", setting="x") == int(1.5 * 2**20)
    assert parse_bytes(1000, setting="x") == 1000


def test_exact_neighbours_are_exact_over_many_blocks(tmp_path: Path) -> None:
    vectors = normalise(np.random.default_rng(2).standard_normal((20_000, D)))
    write_embeddings(tmp_path / "embeddings", vectors, parts=3)
    stored = open_embeddings(tmp_path / "embeddings").vectors["image"]
    exact = np.concatenate(list(stored.blocks()))
    queries, numbers = stored.sample(20)
    scores = queries @ exact.T
    nobody = np.full(20, -1)
    whole, others, many = exact_neighbours(
        stored.blocks(3_000),
        [
            Questions(queries, nobody, 5),
            Questions(queries, numbers, 5),
            Questions(queries, numbers, 15_000),
        ],
    )
    assert (whole[:, 0] == numbers).all()
    scores[np.arange(20), numbers] = -np.inf
    expected = np.argsort(-scores, axis=1, kind="stable")
    assert others.tolist() == expected[:, :5].tolist()
    assert [set(row) for row in many] == [set(row) for row in expected[:, :15_000]]


def test_one_row_is_enough(tmp_path: Path, vectors: FloatArray) -> None:
    write_embeddings(tmp_path / "embeddings", vectors[:1])
    report = build(settings(tmp_path))
    assert report.manifest["indices"]["image"]["count"] == 1


def test_metadata_without_leading_zeros_keeps_its_order(
    tmp_path: Path, vectors: FloatArray
) -> None:
    write_embeddings(tmp_path / "embeddings", vectors, parts=12)
    build(settings(tmp_path))
    files = sorted((tmp_path / "index/metadata").glob("*.parquet"))
    paths = [path for file in files for path in pq.read_table(file)["image_path"].to_pylist()]
    assert paths == [f"{i}.jpg" for i in range(900)]


def test_metadata_of_another_length_is_refused(tmp_path: Path, vectors: FloatArray) -> None:
    folder = write_embeddings(tmp_path / "embeddings", vectors)
    pq.write_table(pa.table({"image_path": ["1.jpg"]}), folder / "metadata/metadata_0.parquet")
    with pytest.raises(CorruptFile, match="1 rows"):
        build(settings(tmp_path))


def test_the_description_tells_how_it_was_made(tmp_path: Path, vectors: FloatArray) -> None:
    write_embeddings(tmp_path / "embeddings", vectors)
    command = "search-back index --embeddings-folder embeddings"
    manifest = build(settings(tmp_path, command=command, factory="IVF4,Flat")).manifest
    assert manifest["command"] == command
    assert manifest["embeddings_folders"] == [str(tmp_path / "embeddings")]
    about = manifest["indices"]["image"]
    assert (about["factory"], about["target_recall_at_10"]) == ("IVF4,Flat", 0.95)
    assert set(about["measured"]) == {
        *("recall_at_1", "recall_at_10", "recall_at_100", "p50_ms", "p95_ms", "queries")
    }
