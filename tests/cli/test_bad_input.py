"""What people get wrong: a clear sentence and an exit status, never a trace."""

from __future__ import annotations

import json
import shutil
import socket
import time
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner, Result

from search_back.cli import main
from tests.conftest import Chain
from tests.fakes import picture_bytes
from tests.folders import unit_rows, write_folder


def run(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def fails(*arguments: object, status: int | None = None) -> str:
    """The one sentence a failing command says; without a status, 1 and 2 are both right."""
    result = run(*arguments)
    assert result.exit_code in ((1, 2) if status is None else (status,)), result.output
    assert "Traceback" not in result.output
    assert result.stdout == ""
    errors = [line for line in result.stderr.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1, result.stderr
    return errors[0]


def embed(source: object, target: object, *more: object) -> tuple[object, ...]:
    return (
        *("inference", "--clip-model", "emoji"),
        *("--input-dataset", source, "--output-folder", target, *more),
    )


def test_a_folder_without_pictures(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "notes.txt").write_text("nothing")
    said = fails(*embed(tmp_path / "in", tmp_path / "out"))
    assert str(tmp_path / "in") in said
    assert not (tmp_path / "out").exists()


def test_a_folder_that_does_not_exist(tmp_path: Path) -> None:
    said = fails(*embed(tmp_path / "none", tmp_path / "out"))
    assert str(tmp_path / "none") in said


def test_a_broken_picture_and_an_unreadable_caption_among_good_ones(
    chain: Chain, tmp_path: Path
) -> None:
    source = tmp_path / "in"
    source.mkdir()
    for path in sorted(chain.pictures.glob("*.jpg"))[:3]:
        shutil.copy(path, source)
        shutil.copy(path.with_suffix(".txt"), source)
    (source / "broken.jpg").write_bytes(picture_bytes(format="JPEG")[:80])
    (source / "broken.txt").write_text("a broken one")
    (source / "odd.png").write_bytes(picture_bytes())
    (source / "odd.txt").write_bytes(b"\xff\xfe\x80 not text")

    result = run(*embed(source, tmp_path / "out", "--json"))
    assert result.exit_code == 0, result.output
    assert "broken.jpg" in result.stderr
    report = json.loads(result.stdout)
    table = pq.read_table(tmp_path / "out" / "metadata").to_pylist()
    assert report["count"] == len(table)
    assert not any(row["image_path"].endswith("broken.jpg") for row in table)
    failures = pq.read_table(tmp_path / "out" / "failures.parquet").to_pylist()
    assert "broken.jpg" in str(failures)
    assert "odd" in str(failures) + str(table)
    assert report["failures"] == len(failures) >= 1


def test_an_output_that_exists(chain: Chain, tmp_path: Path) -> None:
    said = fails(*embed(chain.pictures, chain.embeddings))
    assert str(chain.embeddings) in said
    assert "--overwrite" in said

    said = fails("index", "--embeddings-folder", chain.embeddings, "--index-folder", chain.index)
    assert str(chain.index) in said
    assert "--overwrite" in said

    (tmp_path / "letters.txt").write_text("mine")
    said = fails("index", "--embeddings-folder", chain.embeddings, "--index-folder", tmp_path)
    assert str(tmp_path) in said
    assert (tmp_path / "letters.txt").read_text() == "mine"


def test_an_output_that_is_a_file(chain: Chain, tmp_path: Path) -> None:
    (tmp_path / "out").write_text("mine")
    for command in (
        embed(chain.pictures, tmp_path / "out"),
        ("index", "--embeddings-folder", chain.embeddings, "--index-folder", tmp_path / "out"),
    ):
        assert str(tmp_path / "out") in fails(*command)
    assert (tmp_path / "out").read_text() == "mine"


def test_an_unknown_model(tmp_path: Path, chain: Chain) -> None:
    arguments = ("inference", "--input-dataset", chain.pictures, "--output-folder", tmp_path / "o")
    said = fails(*arguments, "--clip-model", "ViT-Z/1", status=2)
    assert "ViT-Z/1" in said
    assert "ViT-B/32" in said
    said = fails(
        *("back", "--index-folder", chain.index, "--port", 0, "--clip-model", "ViT-Z/1"),
        *("--server", "waitress"),
        status=2,
    )
    assert "ViT-Z/1" in said


def test_embeddings_that_do_not_exist(tmp_path: Path) -> None:
    target = tmp_path / "index"
    said = fails("index", "--embeddings-folder", tmp_path / "none", "--index-folder", target)
    assert str(tmp_path / "none") in said
    (tmp_path / "empty").mkdir()
    said = fails("index", "--embeddings-folder", tmp_path / "empty", "--index-folder", target)
    assert "search-back inference" in said
    assert not target.exists()


@pytest.mark.parametrize("missing", ["--embeddings-folder", "--index-folder"])
def test_an_option_that_is_missing(missing: str, tmp_path: Path) -> None:
    given = {"--embeddings-folder": tmp_path, "--index-folder": tmp_path / "i"}
    arguments = [a for name, value in given.items() if name != missing for a in (name, value)]
    assert missing in fails("index", *arguments, status=2)


def test_memory_and_factory_that_make_no_sense(chain: Chain, tmp_path: Path) -> None:
    arguments = ("index", "--embeddings-folder", chain.embeddings, "--index-folder", tmp_path / "i")
    assert "lots" in fails(*arguments, "--max-index-memory-usage", "lots", status=2)
    assert "IVF" in fails(*arguments, "--factory", "IVFx", status=2)
    assert not (tmp_path / "i").exists()


def test_an_index_folder_without_index(tmp_path: Path) -> None:
    (tmp_path / "i").mkdir()
    back = ("back", "--port", 0, "--server", "waitress", "--index-folder")
    said = fails(*back, tmp_path / "i")
    assert str(tmp_path / "i") in said
    assert "search-back index" in said
    assert str(tmp_path / "j") in fails(*back, tmp_path / "j")


def test_a_port_in_use_is_said_before_anything_is_loaded(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "i", unit_rows(3))
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        began = time.monotonic()
        said = fails("back", "--index-folder", folder, "--port", port, status=1)
        assert time.monotonic() - began < 5
    assert str(port) in said
    assert "--port" in said


def test_an_address_that_is_not_ours(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "i", unit_rows(3))
    said = fails("back", "--index-folder", folder, "--port", 0, "--host", "192.0.2.1")
    assert "192.0.2.1" in said
    assert "--host" in said


def test_a_folder_of_something_else_for_the_demo(tmp_path: Path) -> None:
    (tmp_path / "letters.txt").write_text("mine")
    said = fails("demo", "--serve", "False", "--folder", tmp_path)
    assert str(tmp_path) in said
    assert (tmp_path / "letters.txt").read_text() == "mine"


def test_what_the_kernel_refuses_is_one_sentence_too(
    chain: Chain, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device", str(tmp_path / "o"))

    monkeypatch.setattr("search_back.index.build.build", full)
    said = fails("index", "--embeddings-folder", chain.embeddings, "--index-folder", tmp_path / "o")
    assert "No space left on device" in said
    assert str(tmp_path / "o") in said
