"""A parsed filter, and which rows of a table pass it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from search_back.search.filters.evaluate import truth
from search_back.search.filters.nodes import Node, columns_of


@dataclass(frozen=True, slots=True)
class Filter:
    """Which rows may be found. ``str`` is a canonical text that parses to an equal filter.

    The canonical text may be longer than the one that was parsed, since it has all its spaces;
    otherwise it asks no more of the limits.
    """

    root: Node

    def __str__(self) -> str:
        return str(self.root)

    @property
    def key(self) -> str:
        """Equal for filters that are equal."""
        return str(self)

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns it reads, each once; none where it asks for the ids of rows only."""
        found = (column.path[0] for column in columns_of(self.root) if not column.is_id)
        return tuple(dict.fromkeys(found))

    def mask(self, table: pa.Table, start_id: int = 0) -> NDArray[np.bool_]:
        """Which rows pass: ``(rows,)`` bool, true where the whole is true and not unknown.

        The table has the types of the schema that the filter was parsed for. ``start_id``: the id
        of its first row; the others follow.
        """
        passing = np.zeros(table.num_rows, np.bool_)
        if not self.columns:
            table = pa.table({"": pa.nulls(table.num_rows)})
        start = 0
        for batch in table.to_batches():
            end = start + batch.num_rows
            known = truth(self.root, batch, start_id + start)
            passing[start:end] = known.fill_null(False).to_numpy(zero_copy_only=False)
            start = end
        return passing
