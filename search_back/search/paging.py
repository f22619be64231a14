"""Pages of one result that join without gaps or repeats."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from search_back.search.cursor import Cursor, CursorSeal
from search_back.search.result_cache import Key, Ranking, ResultCache
from search_back.types import FloatArray, IdArray

AHEAD = 4  # pages that the first search looks at


@dataclass(frozen=True, slots=True, eq=False)
class Section:
    """One page of a ranking: ``offset`` hits stand before it; ``next``: the cursor behind it.

    ``next`` is None on the last page.
    """

    similarities: FloatArray
    ids: IdArray
    offset: int
    next: str | None


class Pager:
    """Cuts rankings into pages, and searches again only where one was evicted or is too short.

    Safe to call from several threads as far as the search is.
    """

    def __init__(self, cache: ResultCache, seal: CursorSeal) -> None:
        self._cache = cache
        self._seal = seal

    def page(
        self,
        search: Callable[[int], Ranking],
        *,
        version: str,
        query: str,
        k: int,
        cursor: str | None = None,
    ) -> Section:
        """The ``k`` hits behind a cursor, or the first ones.

        ``search`` looks at that many candidates, or at fewer and calls that complete. The hits of
        fewer candidates must be the beginning of those of more (:func:`settled` sees to that),
        but for those that turn out to be duplicates. Raises ``InvalidField`` for a cursor of
        another query, or of a snapshot that was replaced.
        """
        last = self._seal.read(cursor, version=version, query=query) if cursor else None
        key: Key = (version, query)
        ranking = self._cache.get(key)
        if ranking is None:
            ranking = search(max(k * AHEAD, last.candidates if last else 0))
        start = _start(ranking, last)
        while not ranking.complete and len(ranking) <= start + k:  # one more tells of a next page
            ranking = search(ranking.candidates * 2)
            start = _start(ranking, last)
        self._cache.put(key, ranking)
        offset = last.offset if last else 0
        stop = min(start + k, len(ranking))
        following = None
        if stop < len(ranking):
            following = self._seal.write(
                Cursor(
                    version=version,
                    query=query,
                    offset=offset + stop - start,
                    last_id=int(ranking.ids[stop - 1]),
                    last_similarity=float(ranking.similarities[stop - 1]),
                    candidates=ranking.candidates,
                )
            )
        return Section(ranking.similarities[start:stop], ranking.ids[start:stop], offset, following)


def settled(
    similarities: FloatArray, ids: IdArray, *, candidates: int
) -> tuple[FloatArray, IdArray, bool]:
    """What more candidates cannot change of the nearest neighbours, and whether that is all.

    ``similarities``: ``(≤ candidates,)`` falling. Where as many were found as were asked for, those
    of the lowest similarity are left out: of equals an index returns whichever it likes, so others
    that belong before them may be missing.
    """
    if len(ids) < candidates:
        return similarities, ids, True
    certain = int(np.searchsorted(-similarities, -similarities[-1], side="left"))
    return similarities[:certain], ids[:certain], False


def _start(ranking: Ranking, last: Cursor | None) -> int:
    """The first position behind the last hit shown.

    That hit may have turned out to be a duplicate of an earlier one since; then what follows in
    similarity, ties in the order of ids, follows.
    """
    if last is None:
        return 0
    found = np.flatnonzero(ranking.ids == last.last_id)
    if found.size:
        return int(found[0]) + 1
    similarity = np.float32(last.last_similarity)
    before = (ranking.similarities > similarity) | (
        (ranking.similarities == similarity) & (ranking.ids < last.last_id)
    )
    return int(np.count_nonzero(before))
