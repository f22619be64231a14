"""An index without metadata."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa

from search_back.metadata.base import check_ids
from search_back.types import IdArray


class NoMetadata:
    """Rows without columns: hits carry ids and similarities only."""

    def __init__(self, rows: int) -> None:
        self._rows = rows

    @property
    def schema(self) -> pa.Schema:
        return pa.schema([])

    def __len__(self) -> int:
        return self._rows

    def take(self, ids: IdArray, columns: Sequence[str] | None = None) -> pa.Table:
        """A table without rows, since a row without columns cannot be told from none.

        Raises ``UnknownId`` as any store does.
        """
        check_ids(ids, self._rows)
        return pa.table({})

    def close(self) -> None:
        """Nothing is held."""
