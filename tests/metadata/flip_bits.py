"""Flip bits in a metadata file again and again, and say what a store makes of it.

A program of its own, since a store that follows a broken offset takes its process along::

    python flip_bits.py INDEX_FOLDER KIND FILE ROUNDS SEED ORDERED

Prints one JSON object: how many rounds ended as ``refused`` (by name), ``equal`` or ``other`` (rows
that differ and were not refused), and ``problems``: anything else.
"""

from __future__ import annotations

import collections
import json
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa

from search_back.errors import CorruptFile, SearchBackError
from search_back.metadata import open_metadata

ROWS_AT_ONCE = 40


def outcome(folder: Path, kind: str, order: np.ndarray | None, expected: pa.Table) -> str:
    """What opening, checking and taking came to."""
    rows = expected.num_rows
    with open_metadata(folder, kind=kind, reorder=order) as store:  # type: ignore[arg-type]
        # Rows first: a store must not crash where nobody asked for a check.
        try:
            for start in range(0, len(store), ROWS_AT_ONCE):
                store.take(np.arange(start, min(start + ROWS_AT_ONCE, len(store))))
        except CorruptFile:
            pass
        store.verify()
        if len(store) != rows or store.schema != expected.schema:
            return "other"
        found = store.take(np.arange(rows))
    return "equal" if bits(found).equals(bits(expected)) else "other"


def bits(table: pa.Table) -> pa.Table:
    """The table with floats as integers of the same bits, so that NaN equals itself."""
    arrays = [column.combine_chunks() for column in table.columns]
    return pa.table(
        [array.view(pa.int64()) if pa.types.is_float64(array.type) else array for array in arrays],
        names=table.schema.names,
    )


def main() -> None:
    folder, kind, file = Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3])
    rounds, rng = int(sys.argv[4]), np.random.default_rng(int(sys.argv[5]))
    with open_metadata(folder, kind=kind) as store:  # type: ignore[arg-type]
        rows = len(store)
        expected = store.take(np.arange(rows))
    order = np.random.default_rng(0).permutation(rows) if sys.argv[6] == "ordered" else None
    data = file.read_bytes()
    counts: collections.Counter[str] = collections.Counter()
    problems = []
    for number in range(rounds):
        flipped = bytearray(data)
        for place in rng.integers(0, len(data), int(rng.integers(1, 4))):
            flipped[place] ^= 1 << int(rng.integers(8))
        file.write_bytes(flipped)
        try:
            result = outcome(folder, kind, order, expected)
        except SearchBackError as error:
            named = file.name in str(error) or str(folder) in str(error)
            result = "refused" if named else f"unnamed: {error}"
        except Exception as error:
            result = f"{type(error).__name__}: {error}"
        counts[result if result in ("refused", "equal", "other") else "problem"] += 1
        if result not in ("refused", "equal", "other"):
            problems.append(f"round {number}: {result}"[:300])
    file.write_bytes(data)
    print(json.dumps({**counts, "problems": problems}))


if __name__ == "__main__":
    main()
