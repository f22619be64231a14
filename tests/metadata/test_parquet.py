"""What Parquet files may hold that Arrow does not read at once."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from search_back.metadata.parquet import ParquetStore


def test_dictionaries_within_objects_may_differ_between_row_groups(tmp_path: Path) -> None:
    kind = pa.struct([("a", pa.dictionary(pa.int8(), pa.string()))])
    values = [{"a": "x"}, {"a": "y"}, None, {"a": None}]
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"x": pa.array(values, kind)}), path, row_group_size=2)
    with pytest.raises(pa.ArrowNotImplementedError):
        pq.ParquetFile(path).read()
    with ParquetStore(tmp_path) as store:
        assert store.take(np.arange(4))["x"].to_pylist() == values
