from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from search_back.errors import BadFolder, ConfigError, NothingToDo, TooManyFailures
from search_back.files import sha256_file
from search_back.inference import InferenceReport, InferenceSettings, run
from search_back.types import EncoderIdentity, FloatArray
from search_back.vectors import normalise
from tests.fakes import FakeEncoder, picture_bytes
from tests.inference.conftest import Result, read_result, tar_bytes, write_files

COLOURS = ["red", "lime", "blue", "yellow", "cyan", "magenta", "white"]
Run = tuple[InferenceReport, Result]


class Recorder:
    def __init__(self) -> None:
        self.notes: list[str] = []
        self.behind = 0
        self.updates: list[tuple[int, int | None, int]] = []

    def note(self, sentence: str) -> None:
        self.notes.append(sentence)

    def resumed(self, done: int) -> None:
        self.behind = done

    def update(self, *, done: int, total: int | None, failures: int) -> None:
        self.updates.append((done, total, failures))


def execute(folder: Path | str, output: Path, encoder: FakeEncoder, **changes: Any) -> Run:
    values: dict[str, Any] = {"batch_size": 3, "num_prepro_workers": 2, **changes}
    progress = values.pop("progress", None)
    settings = InferenceSettings(input_dataset=(str(folder),), output_folder=output, **values)
    report = run(settings, encoder, progress=progress)
    return report, read_result(output)


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """Seven pictures, each captioned with its colour."""
    files: dict[str, bytes | str] = {}
    for i, colour in enumerate(COLOURS):
        files[f"{i}.png"] = picture_bytes(colour)
        files[f"{i}.txt"] = f"{colour}\n"
    return write_files(tmp_path / "pictures", files)


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "deep" / "out"


def assert_vectors(found: FloatArray | None, expected: FloatArray) -> None:
    """Equal as far as float16 goes."""
    assert found is not None
    np.testing.assert_allclose(found, expected, atol=1e-3)


def names(result: Result) -> list[str]:
    return [Path(path).name for path in result.column("image_path")]


def test_rows_of_images_texts_and_metadata_match(
    pictures: Path, out: Path, encoder: FakeEncoder
) -> None:
    report, result = execute(pictures, out, encoder)
    expected = encoder.encode_texts(COLOURS)
    assert_vectors(result.image, expected)
    assert_vectors(result.text, expected)
    assert result.column("caption") == COLOURS
    assert result.column("image_path") == [str(pictures / f"{i}.png") for i in range(7)]
    assert result.files == [
        "embeddings.json",
        "failures.parquet",
        "img_emb/img_emb_0.npy",
        "metadata/metadata_0.parquet",
        "stats/stats_0.json",
        "text_emb/text_emb_0.npy",
    ]
    assert (report.count, report.failures, report.dropped, report.notes) == (7, 0, 0, ())
    assert report.has_image and report.has_text and report.items_per_second > 0


def test_the_manifest_says_what_the_folder_holds(
    pictures: Path, out: Path, encoder: FakeEncoder
) -> None:
    _, result = execute(pictures, out, encoder)
    manifest = result.manifest
    assert EncoderIdentity.from_json(manifest["encoder"]) == encoder.identity
    assert manifest["encoder"]["computed_by"] == {
        "runtime": "numpy",
        "precision": "fp32",
        "device": "cpu",
        "threads": encoder.runtime.threads,
    }
    assert manifest["image_root"] == str(pictures) and manifest["input"] == [str(pictures)]
    assert manifest["columns"] == ["image_path", "caption"]
    times = {"stats/stats_0.json"}
    assert set(manifest["checksums"]) == set(result.files) - {"embeddings.json"} - times
    assert all(sha256_file(out / name) == sha for name, sha in manifest["checksums"].items())
    known = {key: manifest[key] for key in ("format", "count", "dimension", "partitions")}
    assert known == {"format": 1, "count": 7, "dimension": 8, "partitions": 1}


@pytest.mark.parametrize(("rows", "partitions"), [(1, 7), (2, 4), (3, 3), (7, 1), (100, 1)])
def test_partitions_hold_the_same_rows_whatever_their_size(
    rows: int, partitions: int, pictures: Path, out: Path, encoder: FakeEncoder
) -> None:
    report, result = execute(pictures, out, encoder, write_batch_size=rows)
    assert report.partitions == partitions
    assert len(list((out / "img_emb").iterdir())) == partitions
    assert result.column("caption") == COLOURS
    assert_vectors(result.text, encoder.encode_texts(COLOURS))


def test_one_bad_picture_costs_itself_only(pictures: Path, out: Path, encoder: FakeEncoder) -> None:
    (pictures / "3.png").write_bytes(picture_bytes("yellow")[:40])
    report, result = execute(pictures, out, encoder)
    kept = [colour for colour in COLOURS if colour != "yellow"]
    assert result.column("caption") == kept
    assert_vectors(result.image, encoder.encode_texts(kept))
    (failure,) = result.failures
    assert (failure["key"], failure["stage"]) == (str(pictures / "3.png"), "picture")
    assert report.failures == result.manifest["failures"] == 1
    assert report.first_failures[0].key == failure["key"]


@pytest.mark.skipif(os.name == "nt", reason="links need a privilege there")
def test_a_file_that_cannot_be_read_costs_itself_only(
    pictures: Path, out: Path, encoder: FakeEncoder
) -> None:
    (pictures / "3.png").unlink()
    (pictures / "3.png").symlink_to("nowhere")
    _, result = execute(pictures, out, encoder)
    assert len(result.column("caption")) == 6
    assert result.failures[0]["reason"] == "cannot be read: No such file or directory"


class TestMissingCaptions:
    """Pictures 2 and 5 have no caption."""

    @pytest.fixture(autouse=True)
    def _remove(self, pictures: Path) -> None:
        (pictures / "2.txt").unlink()
        (pictures / "5.txt").unlink()

    def test_left_alone_no_picture_is_lost(
        self, pictures: Path, out: Path, encoder: FakeEncoder
    ) -> None:
        progress = Recorder()
        report, result = execute(pictures, out, encoder, progress=progress)
        assert result.text is None and not report.has_text and report.dropped == 0
        assert result.column("caption") == [None if i in (2, 5) else COLOURS[i] for i in range(7)]
        (note,) = report.notes
        assert note.startswith("2 of 7 pictures have no caption: text embeddings are left out")
        assert "--enable-text True" in note
        assert progress.notes == [note]

    def test_asked_for_texts_the_pairs_are_kept(
        self, pictures: Path, out: Path, encoder: FakeEncoder
    ) -> None:
        progress = Recorder()
        report, result = execute(pictures, out, encoder, enable_text=True, progress=progress)
        kept = [COLOURS[i] for i in (0, 1, 3, 4, 6)]
        assert result.column("caption") == kept
        assert_vectors(result.image, encoder.encode_texts(kept))
        assert_vectors(result.text, encoder.encode_texts(kept))
        assert report.dropped == result.manifest["dropped"] == 2 and report.failures == 0
        assert report.notes[0].startswith("2 pictures without a readable caption were left out")
        assert progress.updates[-1] == (5, 5, 0)

    def test_asked_for_none_the_captions_stay_in_the_metadata(
        self, pictures: Path, out: Path, encoder: FakeEncoder
    ) -> None:
        report, result = execute(pictures, out, encoder, enable_text=False)
        assert result.text is None and result.column("caption")[:3] == ["red", "lime", None]
        assert report.notes == ()

    def test_a_subset_of_captioned_pictures_has_texts(
        self, pictures: Path, out: Path, encoder: FakeEncoder
    ) -> None:
        report, result = execute(pictures, out, encoder, subset_size=2)
        assert report.has_text and result.column("caption") == ["red", "lime"]

    def test_a_subset_of_pairs_counts_pairs(
        self, pictures: Path, out: Path, encoder: FakeEncoder
    ) -> None:
        _, result = execute(pictures, out, encoder, subset_size=4, enable_text=True)
        assert result.column("caption") == [COLOURS[i] for i in (0, 1, 3, 4)]


class TestUnreadableCaption:
    """The caption of picture 2 is Latin-1."""

    @pytest.fixture(autouse=True)
    def _spoil(self, pictures: Path) -> None:
        (pictures / "2.txt").write_bytes("un café".encode("latin-1"))

    def test_left_alone_the_picture_is_kept(
        self, pictures: Path, out: Path, encoder: FakeEncoder
    ) -> None:
        report, result = execute(pictures, out, encoder)
        assert len(names(result)) == 7 and result.column("caption")[1:4] == [
            "lime",
            None,
            "yellow",
        ]
        assert [(f["stage"], Path(f["key"]).name) for f in result.failures] == [
            ("caption", "2.png")
        ]
        assert "not UTF-8 (byte 6)" in result.failures[0]["reason"]
        assert report.notes[0].startswith("1 of 7 captions cannot be read: text embeddings are")

    def test_asked_for_texts_the_picture_is_dropped_and_listed(
        self, pictures: Path, out: Path, encoder: FakeEncoder
    ) -> None:
        report, result = execute(pictures, out, encoder, enable_text=True)
        assert names(result) == [f"{i}.png" for i in (0, 1, 3, 4, 5, 6)]
        assert (report.dropped, report.failures) == (1, 1)


def test_without_captions_there_is_no_caption_column(
    tmp_path: Path, out: Path, encoder: FakeEncoder
) -> None:
    folder = write_files(tmp_path / "in", {"a.png": picture_bytes()})
    report, result = execute(folder, out, encoder)
    assert result.metadata.column_names == ["image_path"] and not (out / "text_emb").exists()
    assert report.notes == ("no picture has a caption: text embeddings are left out",)


def test_captions_alone(pictures: Path, out: Path, encoder: FakeEncoder) -> None:
    (pictures / "0.png").unlink()
    report, result = execute(pictures, out, encoder, enable_image=False)
    assert result.image is None and result.column("caption") == COLOURS
    assert result.column("image_path")[:2] == [None, str(pictures / "1.png")]
    assert report.has_text and not report.has_image


@pytest.mark.parametrize("size", [1, 3, 5, 7, 9])
def test_a_subset_is_the_first_items(
    size: int, pictures: Path, out: Path, encoder: FakeEncoder
) -> None:
    progress = Recorder()
    _, result = execute(pictures, out, encoder, subset_size=size, progress=progress)
    assert result.column("caption") == COLOURS[:size]
    assert progress.updates[-1] == (min(size, 7), min(size, 7), 0)


def test_json_becomes_columns(tmp_path: Path, out: Path, encoder: FakeEncoder) -> None:
    objects = [
        '{"tags": ["a", "b"], "width": 3, "when": "2020", "caption": "json", "image_path": "x"}',
        '{"tags": [], "width": 2.5, "when": 2020, "late": true}',
        '{"width": NaN, "broken": ',
        "[1]",
        '{"half": "\\ud800"}',
    ]
    files: dict[str, bytes | str] = {f"{i}.json": text for i, text in enumerate(objects)}
    files |= {f"{i}.png": picture_bytes() for i in range(6)}
    folder = write_files(tmp_path / "in", files)
    report, result = execute(folder, out, encoder, enable_metadata=True, write_batch_size=1)
    none = [None] * 4
    assert result.column("tags") == [["a", "b"], [], *none]
    assert result.column("width") == [3.0, 2.5, *none]
    assert result.column("when") == ['"2020"', "2020", *none]
    assert result.column("late") == [None, True, *none]
    assert result.column("caption") == ["json", None, *none]
    assert names(result) == [f"{i}.png" for i in range(6)]
    assert [(f["stage"], Path(f["key"]).name) for f in result.failures] == [
        ("metadata", "2.png"),
        ("metadata", "3.png"),
        ("metadata", "4.png"),
    ]
    notes = " ".join(report.notes)
    assert "'image_path' is left out" in notes and "JSON texts: 'when'" in notes


def test_tars_by_a_brace_pattern(tmp_path: Path, out: Path, encoder: FakeEncoder) -> None:
    for t in range(3):
        members: list[tuple[str, bytes | str]] = []
        for i, colour in enumerate(COLOURS[2 * t : 2 * t + 2]):
            members += [(f"{t}{i}.jpg", picture_bytes(colour)), (f"{t}{i}.txt", colour)]
            members += [(f"{t}{i}.json", f'{{"n": {i}}}')]
        (tmp_path / f"{t:02}.tar").write_bytes(tar_bytes(members))
    progress = Recorder()
    report, result = execute(
        f"{tmp_path}/{{00..02}}.tar", out, encoder, enable_metadata=True, progress=progress
    )
    assert result.column("image_path") == ["00", "01", "10", "11", "20", "21"]
    assert result.column("n") == [0, 1, 0, 1, 0, 1] and report.has_text
    assert_vectors(result.image, encoder.encode_texts(COLOURS[:6]))
    assert result.manifest["image_root"] is None
    assert result.manifest["input"] == [str(tmp_path / f"{t:02}.tar") for t in range(3)]
    assert progress.updates[-1] == (6, 6, 0)


def test_a_folder_of_tars_is_read_as_such(tmp_path: Path, out: Path, encoder: FakeEncoder) -> None:
    write_files(tmp_path / "in", {"0.tar": tar_bytes([("a.jpg", picture_bytes())])})
    report, _ = execute(tmp_path / "in", out, encoder)
    assert report.count == 1
    with pytest.raises(NothingToDo, match="--input-format webdataset"):
        execute(tmp_path / "in", out.with_name("other"), encoder, input_format="files")


def test_a_truncated_tar_keeps_what_came_before(
    tmp_path: Path, out: Path, encoder: FakeEncoder
) -> None:
    members: list[tuple[str, bytes | str]] = [
        ("a.jpg", picture_bytes("red")),
        ("a.txt", "red"),
        ("b.jpg", picture_bytes("blue")),
        ("b.txt", "blue"),
    ]
    whole = len(tar_bytes(members[:3]).rstrip(b"\0")) // 512 * 512 + 512
    (tmp_path / "x.tar").write_bytes(tar_bytes(members)[: whole + 100])
    report, result = execute(tmp_path / "x.tar", out, encoder)
    assert result.column("image_path") == ["a"]
    assert report.has_text, "the picture that lost its caption turned texts off"
    assert [(f["key"], f["stage"]) for f in result.failures] == [(str(tmp_path / "x.tar"), "read")]


class TestNothingToDo:
    def test_no_pictures(self, tmp_path: Path, out: Path, encoder: FakeEncoder) -> None:
        write_files(tmp_path / "in", {"a.md": ""})
        with pytest.raises(NothingToDo, match=r"no picture in .*/in: looked for jpg jpeg png"):
            execute(tmp_path / "in", out, encoder)
        assert not out.exists() and not list(out.parent.iterdir())

    def test_only_broken_ones(self, tmp_path: Path, out: Path, encoder: FakeEncoder) -> None:
        write_files(tmp_path / "in", {f"{i}.jpg": b"?" for i in range(5)})
        with pytest.raises(NothingToDo, match=r"every item failed \(5 items.*0\.jpg: not a pict"):
            execute(tmp_path / "in", out, encoder)

    def test_no_pairs(self, tmp_path: Path, out: Path, encoder: FakeEncoder) -> None:
        write_files(tmp_path / "in", {f"{i}.jpg": picture_bytes() for i in range(5)})
        with pytest.raises(NothingToDo, match="none of 5 pictures has a readable caption"):
            execute(tmp_path / "in", out, encoder, enable_text=True)


def test_inputs_that_do_not_exist(tmp_path: Path, out: Path, encoder: FakeEncoder) -> None:
    with pytest.raises(BadFolder, match=r"1 of 1 inputs .*nowhere.*--input-dataset"):
        execute(tmp_path / "nowhere", out, encoder)
    (tmp_path / "a.zip").touch()
    with pytest.raises(ConfigError, match="one folder"):
        execute(tmp_path / "a.zip", out, encoder)
    assert not out.parent.exists(), "a folder was made for nothing"


@pytest.mark.parametrize("allowed", [0, 1, 2, None])
def test_too_many_failures_stop_the_run(
    allowed: int | None, pictures: Path, out: Path, encoder: FakeEncoder
) -> None:
    for i in (1, 2):
        (pictures / f"{i}.png").write_bytes(b"?")
    if allowed is None or allowed >= 2:
        assert execute(pictures, out, encoder, max_failures=allowed)[0].failures == 2
        return
    with pytest.raises(TooManyFailures, match=rf"--max-failures {allowed} .*1\.png"):
        execute(pictures, out, encoder, max_failures=allowed)
    assert not out.exists()
    with pytest.raises(TooManyFailures):
        execute(pictures, out, encoder, max_failures=allowed)
    # What has been seen to is read again.
    for i in (1, 2):
        (pictures / f"{i}.png").write_bytes(picture_bytes(COLOURS[i]))
    report, result = execute(pictures, out, encoder, max_failures=allowed)
    assert report.failures == 0 and result.column("caption") == COLOURS


class TestOverwrite:
    def test_a_result_is_replaced_only_when_asked(
        self, pictures: Path, out: Path, encoder: FakeEncoder
    ) -> None:
        execute(pictures, out, encoder, write_batch_size=2)
        with pytest.raises(ConfigError, match="--overwrite"):
            execute(pictures, out, encoder)
        with pytest.raises(ConfigError, match="--overwrite"):
            execute(pictures, out, FakeEncoder(seed=1), write_batch_size=2)
        _, result = execute(pictures, out, encoder, overwrite=True, subset_size=2)
        assert result.column("caption") == COLOURS[:2]
        assert len(result.files) == 6, "files of the older run are left"
        assert [path.name for path in out.parent.iterdir()] == [out.name]

    def test_a_run_that_fails_leaves_the_old_result(
        self, pictures: Path, out: Path, encoder: FakeEncoder
    ) -> None:
        execute(pictures, out, encoder)
        shutil.rmtree(pictures)
        write_files(pictures, {"a.png": b"?"})
        with pytest.raises(NothingToDo):
            execute(pictures, out, encoder, overwrite=True)
        assert read_result(out).column("caption") == COLOURS

    def test_other_files_are_never_replaced(self, pictures: Path, encoder: FakeEncoder) -> None:
        before = sorted(pictures.iterdir())
        with pytest.raises(ConfigError, match="no result of inference"):
            execute(pictures, pictures, encoder, overwrite=True)
        assert sorted(pictures.iterdir()) == before

    def test_an_empty_folder_may_be_filled(
        self, pictures: Path, out: Path, encoder: FakeEncoder
    ) -> None:
        out.mkdir(parents=True)
        assert execute(pictures, out, encoder)[0].count == 7


def test_embeddings_beside_their_pictures_are_no_input(
    pictures: Path, encoder: FakeEncoder
) -> None:
    first, _ = execute(pictures, pictures / "embeddings", encoder)
    second, _ = execute(pictures, pictures / "embeddings", encoder, overwrite=True)
    assert first.count == second.count == 7


def test_two_runs_give_the_same_bytes(pictures: Path, tmp_path: Path, encoder: FakeEncoder) -> None:
    sums = [
        execute(pictures, tmp_path / name, encoder, num_prepro_workers=workers)[1].manifest[
            "checksums"
        ]
        for name, workers in (("one", 1), ("two", 4))
    ]
    assert sums[0] == sums[1]


def test_the_fake_encoder_keeps_the_promises_of_an_encoder(encoder: FakeEncoder) -> None:
    vectors = encoder.encode_texts(["red", "a dog", "", "ü" * 200])
    np.testing.assert_allclose(vectors, normalise(vectors), atol=1e-6)
    np.testing.assert_allclose(encoder.encode_images([picture_bytes("red")])[0], vectors[0])
    np.testing.assert_array_equal(encoder.encode_texts(["a dog"])[0], vectors[1])
    assert not FakeEncoder(seed=1).identity.matches(encoder.identity)
