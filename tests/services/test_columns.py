"""Filters, facets, groups and duplicates see every column; answers carry those that are set."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from search_back.config import IndexOptions
from search_back.errors import InputError
from search_back.metadata import open_metadata
from search_back.search import SearchEngine
from search_back.services import FolderSnapshot, open_snapshot
from search_back.types import EmbeddingTerm, Query
from tests.folders import unit_rows, write_folder

TABLE = pa.table({"caption": list("abcdef"), "width": [1, 2, 3, 4, 5, 6], "site": list("xxyyzz")})


def engine(snapshot: FolderSnapshot) -> SearchEngine:
    return SearchEngine(lambda: snapshot, lambda: pytest.fail("no encoder is needed"), nullcontext)


def asked(**changes: object) -> Query:
    vector = np.ones(16, dtype=np.float32)
    return Query((EmbeddingTerm(vector),), columns=("caption",), **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", ["parquet", "hdf5", "arrow"])
def test_columns_that_answers_do_not_carry(tmp_path: Path, kind: str) -> None:
    folder = write_folder(tmp_path / "i", unit_rows(6), TABLE)
    if kind == "arrow":
        with pa.ipc.new_file(str(folder / "metadata/0.arrow"), TABLE.schema) as writer:
            writer.write_table(TABLE)
    options = IndexOptions(
        folder,
        columns_to_return=("caption",),
        enable_hdf5=kind == "hdf5",
        use_arrow=kind == "arrow",
    )
    snapshot = open_snapshot("i", options)
    search = engine(snapshot).search
    assert sorted(search(asked(filter="width > 2 and width < 5")).ids.tolist()) == [2, 3]
    assert len(search(asked(deduplicate_by="site")).ids) == 3
    assert len(search(asked(group_by="site", per_group=1)).ids) == 3
    page = search(asked(facets=("site",)))
    assert dict(page.facets["site"].values) == {"x": 2, "y": 2, "z": 2}  # type: ignore[union-attr]
    assert page.metadata.column_names == ["caption"]
    with pytest.raises(InputError, match="height") as error:
        search(asked(filter="height > 2"))
    assert all(name in str(error.value) for name in TABLE.column_names)
    snapshot.close()


def test_a_file_built_with_the_columns_of_answers_still_serves(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "i", unit_rows(6), TABLE)
    open_metadata(folder, kind="hdf5", columns=["caption", "image_path"]).close()
    before = (folder / "metadata.hdf5").read_bytes()
    options = IndexOptions(folder, columns_to_return=("caption",), enable_hdf5=True)
    snapshot = open_snapshot("i", options)
    search = engine(snapshot).search
    assert sorted(search(asked(filter="caption in ('a', 'c')")).ids.tolist()) == [0, 2]
    with pytest.raises(InputError, match="width") as error:
        search(asked(filter="width > 2"))
    assert "caption" in str(error.value)
    snapshot.close()
    assert (folder / "metadata.hdf5").read_bytes() == before
