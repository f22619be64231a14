"""A finished folder to an address."""

from __future__ import annotations

from pathlib import Path

import fsspec
import pytest
from fsspec.implementations.memory import MemoryFileSystem

from search_back.errors import BadFolder, ConfigError
from search_back.remote import Retries, journal_of, remote_state, upload
from tests.remote.conftest import Flaky, FlakySystem

URL = "flaky://out/run"
LAST = "embeddings.json"
FILES = {"a/0.npy": b"0", "a/1.npy": b"11", "embeddings.json": b"{}", "z.parquet": b"zzz"}
ORDER = ["a/0.npy", "a/1.npy", "z.parquet", LAST]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "folder"
    for name, data in FILES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    return folder


def there(flaky: Flaky) -> dict[str, bytes]:
    return {path.removeprefix("/out/run/"): data for path, data in flaky.files().items()}


def put(flaky: Flaky) -> list[str]:
    """What was put since the last call, in order."""
    names = [path.removeprefix("/out/run/") for path in flaky.of("put_file")]
    flaky.calls.clear()
    return names


def test_every_file_is_put_and_the_manifest_last(flaky: Flaky, folder: Path) -> None:
    told: list[tuple[int, int]] = []
    upload(folder, URL, last=LAST, progress=lambda done, total: told.append((done, total)))
    assert there(flaky) == FILES
    assert put(flaky) == ORDER
    assert told == [(0, 8), (1, 8), (3, 8), (6, 8), (8, 8)]


def test_a_local_address_works_alike(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "new folder/run"
    upload(folder, out.as_uri(), last=LAST)
    assert {
        path.relative_to(out).as_posix(): path.read_bytes()
        for path in out.rglob("*")
        if path.is_file()
    } == FILES


def test_after_a_kill_only_the_rest_is_put(flaky: Flaky, folder: Path) -> None:
    class Killed(BaseException):
        pass

    def kill(done: int, total: int) -> None:
        if done == 3:
            raise Killed

    with pytest.raises(Killed):
        upload(folder, URL, last=LAST, progress=kill)
    assert put(flaky) == ["a/0.npy", "a/1.npy"]
    told: list[tuple[int, int]] = []
    upload(folder, URL, last=LAST, progress=lambda done, total: told.append((done, total)))
    assert put(flaky) == ["z.parquet", LAST]
    assert told == [(3, 8), (6, 8), (8, 8)]
    assert there(flaky) == FILES


def test_a_second_call_puts_and_deletes_nothing(flaky: Flaky, folder: Path) -> None:
    upload(folder, URL, last=LAST)
    flaky.calls.clear()
    upload(folder, URL, last=LAST)
    assert (flaky.count("put_file"), flaky.count("rm_file")) == (0, 0)


def test_what_changed_on_either_side_is_put_again_with_the_manifest(
    flaky: Flaky, folder: Path
) -> None:
    upload(folder, URL, last=LAST)
    put(flaky)
    (folder / "a/0.npy").write_bytes(b"9")
    flaky.put("out/run/z.parquet", b"ZZZ")
    del MemoryFileSystem.store["/out/run/a/1.npy"]
    upload(folder, URL, last=LAST)
    assert put(flaky) == ORDER
    assert there(flaky) == {**FILES, "a/0.npy": b"9"}


@pytest.mark.parametrize("journal", [None, b"{", b'{"url": "flaky://out/other", "files": {}}'])
def test_without_its_journal_all_is_put(flaky: Flaky, folder: Path, journal: bytes | None) -> None:
    upload(folder, URL, last=LAST)
    put(flaky)
    journal_of(folder).unlink()
    if journal is not None:
        journal_of(folder).write_bytes(journal)
    upload(folder, URL, last=LAST)
    assert put(flaky) == ORDER


def test_the_journal_lies_beside_the_folder(flaky: Flaky, folder: Path) -> None:
    upload(folder, URL, last=LAST)
    assert {path.name for path in folder.parent.iterdir()} == {
        "folder",
        ".folder.uploaded.json",
    }
    assert journal_of(folder).name == ".folder.uploaded.json"


def test_an_old_manifest_is_gone_before_the_first_file_is_put(flaky: Flaky, folder: Path) -> None:
    flaky.put(f"out/run/{LAST}", b"older")
    upload(folder, URL, last=LAST)
    changes = [call for call in flaky.calls if call[0] in ("put_file", "rm_file")]
    assert changes[0] == ("rm_file", f"/out/run/{LAST}")
    assert [method for method, _ in changes] == ["rm_file", *["put_file"] * 4]
    assert there(flaky) == FILES


def test_a_file_that_failed_is_put_again(
    flaky: Flaky, folder: Path, retries: Retries, waits: list[float]
) -> None:
    flaky.fail("put_file", TimeoutError(), ConnectionResetError())
    upload(folder, URL, last=LAST, retries=retries)
    assert put(flaky) == ["a/0.npy", "a/0.npy", *ORDER]
    assert waits == [0.5, 1.0]
    assert there(flaky) == FILES


def test_a_part_that_arrived_is_not_taken_for_the_file(
    flaky: Flaky, folder: Path, retries: Retries, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        MemoryFileSystem,
        "put_file",
        lambda self, lpath, rpath, **kwargs: self.pipe_file(rpath, b"?????"),
    )
    with pytest.raises(OSError, match="5 bytes arrived of 1"):
        upload(folder, URL, last=LAST, retries=retries)
    assert flaky.count("put_file") == 5
    assert LAST not in there(flaky)
    assert not journal_of(folder).exists()


def test_a_refusal_ends_the_upload(flaky: Flaky, folder: Path, retries: Retries) -> None:
    flaky.fail("put_file", PermissionError("bucket"))
    with pytest.raises(PermissionError) as caught:
        upload(folder, URL, last=LAST, retries=retries)
    assert caught.value.filename == f"{URL}/a/0.npy"
    assert flaky.count("put_file") == 1


def test_in_an_object_store_no_folder_and_so_no_bucket_is_made(
    flaky: Flaky, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[str] = []
    monkeypatch.setattr(
        MemoryFileSystem,
        "put_file",
        lambda self, lpath, rpath: self.pipe_file(rpath, Path(lpath).read_bytes()),
    )
    monkeypatch.setattr(
        MemoryFileSystem, "makedirs", lambda self, path, exist_ok=False: made.append(path)
    )
    upload(folder, URL, last=LAST)
    assert made == ["/out/run", "/out/run/a"]
    made.clear()

    class Store(FlakySystem):
        @classmethod
        def _strip_protocol(cls, path: str) -> str:
            stripped: str = FlakySystem._strip_protocol(str(path).removeprefix("oss://"))
            return stripped

    fsspec.register_implementation("oss", Store, clobber=True)
    upload(folder, "oss://bucket/run", last=LAST)
    assert made == []
    assert len([path for path in flaky.files() if path.startswith("/bucket/run/")]) == 4


def test_an_unfinished_folder_is_refused(flaky: Flaky, folder: Path) -> None:
    (folder / LAST).unlink()
    with pytest.raises(BadFolder, match=r"has no embeddings\.json: finish it"):
        upload(folder, URL, last=LAST)
    assert flaky.calls == []


def test_a_web_server_takes_no_files(folder: Path) -> None:
    with pytest.raises(ConfigError, match="a web server takes no files"):
        upload(folder, "https://host/out", last=LAST)
    with pytest.raises(ConfigError, match="a web server takes no files"):
        remote_state("https://host/out", LAST)


def test_the_state_of_an_address(flaky: Flaky, folder: Path) -> None:
    assert remote_state(URL, LAST) == "absent"
    MemoryFileSystem().makedirs("/out/run/empty")
    assert remote_state(URL, LAST) == "absent"
    flaky.put("out/run/deep/other", b"")
    assert remote_state(URL, LAST) == "other"
    upload(folder, URL, last=LAST)
    assert remote_state(URL, LAST) == "complete"
    assert remote_state(f"{URL}/{LAST}", LAST) == "other"


def test_the_state_of_a_local_address(folder: Path) -> None:
    assert remote_state(folder.as_uri(), LAST) == "complete"
    assert remote_state((folder / LAST).as_uri(), LAST) == "other"
    assert remote_state((folder / "none").as_uri(), LAST) == "absent"


def test_an_address_that_cannot_be_reached_has_no_state(
    flaky: Flaky, retries: Retries, waits: list[float]
) -> None:
    flaky.fail("info", *[TimeoutError()] * 5)
    with pytest.raises(BadFolder, match=r"cannot be read \(Connection timed out\)"):
        remote_state(URL, LAST, retries=retries)
    assert len(waits) == 4
