"""A client of the HTTP API."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any

import requests

from search_back.clients.results import Found
from search_back.clients.terms import Query, to_terms
from search_back.errors import SearchBackError

if TYPE_CHECKING:
    import pyarrow as pa

_ARROW = "application/vnd.apache.arrow.stream"


class SearchError(SearchBackError):
    """A server's refusal; ``status``: of the answer, ``reason``: its code, ``errors``: by field."""

    def __init__(
        self, what: str, *, status: int, reason: str = "", errors: Sequence[Any] = ()
    ) -> None:
        super().__init__(what)
        self.status = status
        self.reason = reason
        self.errors = tuple(errors)


class SearchClient:
    """Asks one server. Keeps its connections; not for several threads at a time.

    ``index``: the name of the one to ask, the server's first where it is left out; ``api_key``:
    where the server wants one; ``timeout_s``: for an answer to begin.

    ::

        with SearchClient("http://localhost:1234") as client:
            for hit in client.search("2:golden retriever + ./pool.jpg - leash", k=10):
                print(hit.similarity, hit.metadata["caption"])
    """

    def __init__(
        self,
        url: str = "http://localhost:1234",
        *,
        index: str | None = None,
        api_key: str | None = None,
        timeout_s: float = 60.0,
    ) -> None:
        self._url = url.rstrip("/")
        self._index = index
        self._timeout_s = timeout_s
        self._session = requests.Session()
        if api_key:
            self._session.headers["Authorization"] = f"Bearer {api_key}"

    def search(self, query: Query, k: int = 40, **options: Any) -> Found:
        """The k nearest; ``options``: any other field of ``POST /v1/search``.

        Raises ``SearchError`` for what the server refuses, ``InputError`` for a picture that
        cannot be read, and what requests raises where no server answers.
        """
        return Found.from_json(self._search(query, k, options, accept="application/json").json())

    def pages(self, query: Query, k: int = 40, **options: Any) -> Iterator[Found]:
        """Page after page of k results, until there are no more."""
        terms = to_terms(query)
        while True:
            page = self.search(terms, k, **options)
            yield page
            if page.cursor is None:
                return
            options["cursor"] = page.cursor

    def table(self, query: Query, k: int = 40, **options: Any) -> pa.Table:
        """The k nearest as an Arrow table of ``id``, ``similarity`` and the metadata columns."""
        import pyarrow as pa

        answer = self._search(query, k, {"pictures": "none", **options}, accept=_ARROW)
        with pa.ipc.open_stream(answer.content) as reader:
            return reader.read_all()

    def map(
        self, ids: Sequence[int] | None = None, *, sample: int | None = None, **options: Any
    ) -> dict[str, Any]:
        """Items laid out in two dimensions, in clusters with names: what ``POST /v1/map`` answers.

        ``ids``: which, or ``sample``: how many of the whole index; ``options``: any other field.
        """
        body: dict[str, Any] = {"index": self._index, "sample": sample, **options}
        if ids is not None:
            body["ids"] = [int(id_) for id_ in ids]
        found: dict[str, Any] = self._call("POST", "/v1/map", body).json()
        return found

    def metadata(self, ids: Sequence[int]) -> list[dict[str, Any]]:
        """The rows of items, as ``{"id", "metadata"}``, in the order of their ids."""
        body = {"ids": [int(id_) for id_ in ids], "indice_name": self._index, "images": "none"}
        rows: list[dict[str, Any]] = self._call("POST", "/metadata", body).json()
        return rows

    def indices(self) -> list[dict[str, Any]]:
        """What the server serves: names, sizes, encoders, columns."""
        found: list[dict[str, Any]] = self._call("GET", "/v1/indices").json()
        return found

    def close(self) -> None:
        self._session.close()

    def __enter__(self) -> SearchClient:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _search(
        self, query: Query, k: int, options: Mapping[str, Any], *, accept: str
    ) -> requests.Response:
        body = {"query": to_terms(query), "k": k, "index": self._index, **options}
        return self._call("POST", "/v1/search", body, accept=accept)

    def _call(
        self, method: str, path: str, body: Any = None, *, accept: str = "application/json"
    ) -> requests.Response:
        answer = self._session.request(
            method,
            self._url + path,
            data=None if body is None else json.dumps(body),
            headers={"Accept": accept, "Content-Type": "application/json"},
            timeout=self._timeout_s,
        )
        if answer.ok:
            return answer
        try:
            told = answer.json()
        except ValueError:
            told = {}
        raise SearchError(
            str(told.get("message") or f"the server answered with status {answer.status_code}"),
            status=answer.status_code,
            reason=str(told.get("code", "")),
            errors=told.get("errors", ()),
        )
