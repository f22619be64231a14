"""A run that is stopped, and run again, ends as if it had never been stopped."""

from __future__ import annotations

import itertools
import multiprocessing
import os
import random
import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from search_back.errors import ConfigError
from search_back.inference.columns import ColumnShapes, Shape, joined
from search_back.types import FloatArray
from search_back.workfolder import work_folder
from tests.fakes import FakeEncoder, picture_bytes
from tests.inference.conftest import tar_bytes, write_files
from tests.inference.mortal import Killed, Mortal
from tests.inference.running import at_last, contents, embed_cut

COUNT = 60


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """Pictures in folders and some with metadata; broken ones; captions without a picture."""
    rng = random.Random(0)
    files: dict[str, bytes | str] = {}
    for i in range(COUNT):
        name = f"{i % 4}/{i:03}"
        colour = (rng.randrange(256), rng.randrange(256), rng.randrange(256))
        files[f"{name}.png"] = b"?" if i % 13 == 5 else picture_bytes(colour)
        files[f"{name}.txt"] = f"colour {colour}"
        if i % 3:
            files[f"{name}.json"] = f'{{"n": {i}, "k{i % 7}": {"1.5" if i % 2 else "null"}}}'
    return write_files(tmp_path / "pictures", files)


@pytest.fixture
def tars(tmp_path: Path) -> Path:
    folder = tmp_path / "tars"
    folder.mkdir()
    for t, size in enumerate((20, 0, 1, 25, 0)):
        members: list[tuple[str, bytes | str]] = []
        for i in range(size):
            members += [(f"{t}-{i}.jpg", picture_bytes((t, i, 200)))] if i % 6 else []
            members += [(f"{t}-{i}.txt", f"{t} {i}")]
        (folder / f"{t}.tar").write_bytes(tar_bytes(members))
    return folder


@pytest.mark.parametrize("threads", [0, 1])
@pytest.mark.parametrize("source", ["pictures", "tars"])
@pytest.mark.parametrize("changes", [{}, {"subset_size": 30}, {"enable_text": True}])
def test_stopped_at_every_batch_it_ends_in_the_same_bytes(
    threads: int,
    source: str,
    changes: dict[str, Any],
    tmp_path: Path,
    request: pytest.FixtureRequest,
) -> None:
    folder = request.getfixturevalue(source)
    expected = embed_cut(folder, tmp_path / "whole", Mortal(threads=threads), **changes)
    out = tmp_path / "out"
    report = at_last(lambda: embed_cut(folder, out, Mortal(4, threads=threads), **changes), out)
    assert contents(out) == contents(tmp_path / "whole")
    assert (report.count, report.failures, report.dropped, report.notes) == (
        *(expected.count, expected.failures, expected.dropped, expected.notes),
    )
    assert report.first_failures == expected.first_failures
    assert not work_folder(out).exists()


def test_what_is_done_is_not_done_again(pictures: Path, tmp_path: Path) -> None:
    whole = Mortal()
    embed_cut(pictures, tmp_path / "whole", whole)
    with pytest.raises(Killed):
        embed_cut(pictures, tmp_path / "out", Mortal(6))
    rest = Mortal()
    embed_cut(pictures, tmp_path / "out", rest)
    assert rest.calls == whole.calls - 5


def test_a_run_that_is_done_does_nothing(pictures: Path, tmp_path: Path) -> None:
    first = embed_cut(pictures, tmp_path / "out", FakeEncoder())
    before = {path: path.stat() for path in (tmp_path / "out").rglob("*")}
    again = embed_cut(pictures, tmp_path / "out", Mortal(1))
    assert {path: path.stat() for path in (tmp_path / "out").rglob("*")} == before
    assert "nothing was done" in again.notes[0]
    same = ("count", "partitions", "columns", "failures", "dropped", "first_failures")
    assert [getattr(again, name) for name in same] == [getattr(first, name) for name in same]


def test_an_input_that_grew_is_another_run(pictures: Path, tmp_path: Path) -> None:
    embed_cut(pictures, tmp_path / "out", FakeEncoder())
    (pictures / "new.png").write_bytes(picture_bytes())
    with pytest.raises(ConfigError, match="--overwrite"):
        embed_cut(pictures, tmp_path / "out", FakeEncoder())


@pytest.mark.parametrize("change", ["new", "changed", "gone"])
def test_an_input_that_changed_meanwhile_is_read_again_from_there(
    change: str, pictures: Path, tmp_path: Path
) -> None:
    with pytest.raises(Killed):
        embed_cut(pictures, tmp_path / "out", Mortal(13))
    if change == "new":
        (pictures / "2" / "000.png").write_bytes(picture_bytes("red"))
        (pictures / "2" / "000.txt").write_text("red")
    elif change == "changed":
        (pictures / "2" / "030.png").write_bytes(picture_bytes("red", size=(5, 5)))
    else:
        shutil.rmtree(pictures / "2")
    rest = Mortal()
    embed_cut(pictures, tmp_path / "out", rest)
    whole = Mortal()
    embed_cut(pictures, tmp_path / "whole", whole)
    assert contents(tmp_path / "out") == contents(tmp_path / "whole")
    assert rest.calls < whole.calls


@pytest.mark.parametrize(
    "changes",
    [{"batch_size": 5}, {"enable_metadata": False}, {"subset_size": 9}, {"enable_text": False}],
)
def test_other_settings_are_refused_until_told_to_begin_anew(
    changes: dict[str, Any], pictures: Path, tmp_path: Path
) -> None:
    with pytest.raises(Killed):
        embed_cut(pictures, tmp_path / "out", Mortal(6))
    (name,) = changes
    with pytest.raises(ConfigError, match=rf"other settings.*{name}.*--restart"):
        embed_cut(pictures, tmp_path / "out", FakeEncoder(), **changes)
    embed_cut(pictures, tmp_path / "out", FakeEncoder(), restart=True, **changes)
    embed_cut(pictures, tmp_path / "whole", FakeEncoder(), **changes)
    assert contents(tmp_path / "out") == contents(tmp_path / "whole")


def test_another_encoder_is_refused(pictures: Path, tmp_path: Path) -> None:
    with pytest.raises(Killed):
        embed_cut(pictures, tmp_path / "out", Mortal(6))
    with pytest.raises(ConfigError, match="encoder was"):
        embed_cut(pictures, tmp_path / "out", FakeEncoder(seed=1))


@pytest.mark.parametrize("harm", ["flip", "cut", "remove", "record"])
def test_a_damaged_shard_is_made_again(harm: str, pictures: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    with pytest.raises(Killed):
        embed_cut(pictures, out, Mortal(9))
    shards = sorted((work_folder(out) / "shards").iterdir())
    assert len(shards) == 8
    vectors = shards[4] / "img_emb.npy"
    if harm == "flip":
        data = bytearray(vectors.read_bytes())
        data[-1] ^= 1
        vectors.write_bytes(data)
    elif harm == "cut":
        vectors.write_bytes(vectors.read_bytes()[:-1])
    elif harm == "remove":
        shutil.rmtree(shards[4])
    else:
        (shards[4] / "shard.json").write_text("{}")
    embed_cut(pictures, out, Mortal())
    embed_cut(pictures, tmp_path / "whole", Mortal())
    assert contents(out) == contents(tmp_path / "whole")


def test_two_runs_for_one_output_do_not_mix(pictures: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"

    class Nosy(FakeEncoder):
        def encode_pixels(self, pixels: FloatArray) -> FloatArray:
            with pytest.raises(ConfigError, match="another run"):
                embed_cut(pictures, out, FakeEncoder())
            return super().encode_pixels(pixels)

    assert embed_cut(pictures, out, Nosy()).count > 0


def test_an_older_result_stays_until_the_new_one_is_whole(pictures: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    embed_cut(pictures, out, FakeEncoder())
    before = contents(out)
    with pytest.raises(Killed):
        embed_cut(pictures, out, Mortal(6), overwrite=True, batch_size=5)
    assert contents(out) == before
    embed_cut(pictures, out, Mortal(), overwrite=True, batch_size=5)
    embed_cut(pictures, tmp_path / "whole", Mortal(), batch_size=5)
    assert contents(out) == contents(tmp_path / "whole")


def test_partitions_may_be_counted_instead_of_sized(pictures: Path, tmp_path: Path) -> None:
    report = embed_cut(pictures, tmp_path / "out", FakeEncoder(), output_partition_count=4)
    sizes = [len(np.load(path)) for path in sorted((tmp_path / "out" / "img_emb").iterdir())]
    assert report.partitions == len(sizes) == 4
    assert sum(sizes) == report.count and max(sizes) - min(sizes) < 4


KEYS = st.sampled_from(["a", "b", "c", "d", "e"])
VALUES = st.one_of(
    st.none(), st.integers(), st.booleans(), st.text(max_size=2), st.lists(st.integers(0, 3))
)


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.dictionaries(KEYS, VALUES, max_size=4), max_size=12),
    st.lists(st.integers(0, 12), max_size=3),
    st.integers(0, 5),
)
def test_columns_do_not_depend_on_how_rows_are_cut(
    rows: list[dict[str, Any]], cuts: list[int], maximum: int
) -> None:
    whole = ColumnShapes(maximum)
    stored = [whole.observe(row) for row in rows]
    ends = [0, *sorted(cut for cut in cuts if cut < len(rows)), len(rows)]
    parts: list[dict[str, Shape]] = []
    left_out = 0
    kept: list[dict[str, Any]] = []
    for start, end in itertools.pairwise(ends):
        part = ColumnShapes(maximum, known=joined(parts))
        kept += [part.observe(row) for row in rows[start:end]]
        left_out += part.left_out
        parts.append({name: Shape.from_json(s.to_json()) for name, s in part.shapes().items()})
    assert list(joined(parts).items()) == list(whole.shapes().items())
    assert (left_out, kept) == (whole.left_out, stored)


@pytest.mark.skipif(os.name != "posix", reason="needs SIGKILL")
def test_killed_at_random_moments_it_ends_in_the_same_bytes(pictures: Path, tmp_path: Path) -> None:
    """Kills land wherever the process is after so many system calls of its own have passed."""
    embed_cut(pictures, tmp_path / "whole", Mortal(threads=1))
    expected = contents(tmp_path / "whole")
    rng = random.Random(1)
    kills = rounds = 0
    out = tmp_path / "out"
    while kills < 25:
        rounds += 1
        assert rounds < 200
        if _killed_after(_work_done(out, rng.randrange(1, 40)), pictures, out):
            kills += 1
        elif out.exists():
            assert contents(out) == expected
            shutil.rmtree(out)
    assert not _killed_after(lambda: False, pictures, out)
    assert contents(out) == expected
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "pictures", "whole"]


def _work_done(out: Path, changes: int) -> Callable[[], bool]:
    """Whether what lies beside the output has changed so many times."""
    seen: list[object] = []

    def check() -> bool:
        state = [
            (str(path), path.stat().st_size if path.is_file() else 0)
            for path in _listed(out.parent)
        ]
        if not seen or seen[-1] != state:
            seen.append(state)
        return len(seen) > changes

    return check


def _listed(folder: Path) -> list[Path]:
    found = []
    for root, _, names in os.walk(folder):
        if "pictures" not in root and "whole" not in root:
            found += [Path(root, name) for name in names]
    return [path for path in sorted(found) if path.exists()]


def _killed_after(moment: Callable[[], bool], pictures: Path, out: Path) -> bool:
    """Run until the moment, then kill -9; False where it ended before."""
    # Forks of a process that has imported what a run needs, and has no threads.
    forks = multiprocessing.get_context("forkserver")
    forks.set_forkserver_preload(["tests.inference.running"])
    process = forks.Process(target=embed_cut, args=(pictures, out, Mortal(threads=1)))
    process.start()
    while process.is_alive():
        try:
            if moment():
                process.kill()
                break
        except OSError:
            continue  # a file went while it was looked at
    process.join()
    status = process.exitcode
    process.close()
    assert status in (0, -signal.SIGKILL)
    return status != 0


def test_failures_of_unprintable_files_are_listed(tmp_path: Path) -> None:
    folder = write_files(tmp_path / "in", {"a.png": picture_bytes()})
    Path(os.fsdecode(os.fsencode(folder) + b"/b\xff.png")).write_bytes(b"")
    embed_cut(folder, tmp_path / "out", FakeEncoder())
    (row,) = pq.read_table(tmp_path / "out" / "failures.parquet").to_pylist()
    assert row["key"].endswith("/b\\udcff.png") and row["stage"] == "read"
