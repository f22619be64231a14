"""A page of results as an Arrow IPC stream, for those who take thousands."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import pyarrow as pa
from flask import Response

from search_back.server.jsonable import dumps
from search_back.types import Page

ARROW_STREAM: Final = "application/vnd.apache.arrow.stream"


def to_arrow(page: Page, columns: Sequence[str], facets: Any) -> Response:
    """``id`` int64, ``similarity`` float32, then the metadata columns, one row a hit.

    The schema's metadata holds ``cursor`` (empty where there are no more), ``offset``, ``ignored``
    and ``facets`` as JSON. A metadata column called as one of the first two is left out.
    """
    names = [name for name in columns if name not in ("id", "similarity")]
    table = pa.table(
        {
            "id": pa.array(page.ids),
            "similarity": pa.array(page.similarities),
            **{name: page.metadata.column(name) for name in names},
        }
    ).replace_schema_metadata(
        {
            "cursor": page.next or "",
            "offset": str(page.offset),
            "ignored": dumps(list(page.ignored)),
            "facets": dumps(facets),
        }
    )
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return Response(sink.getvalue().to_pybytes(), mimetype=ARROW_STREAM)
