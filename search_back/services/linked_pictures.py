"""Pictures that the rows of a table link to."""

from __future__ import annotations

from collections.abc import Callable

from search_back.config import Limits
from search_back.errors import BadFolder
from search_back.fetch import Fetcher
from search_back.remote import RemoteFile, look
from search_back.remote.addresses import HTTP, scheme_of, shown


def linked_pictures(limits: Limits) -> Callable[[str], bytes]:
    """Gets the bytes behind an address; for any thread.

    Tables come from strangers, so http(s) addresses are fetched under the same rules as those that
    strangers type: public ones only, within the limits. Others (``s3://…``) are read with the
    user's own means. Raises what ``Fetcher`` does, ``BadFolder`` and ``OSError``.
    """
    fetcher = Fetcher(limits)

    def fetch(url: str) -> bytes:
        if scheme_of(url) in HTTP:
            return fetcher.fetch(url)
        found = look(url)
        if not isinstance(found, RemoteFile):
            raise BadFolder("it is a folder", value=shown(url))
        return found.read()

    return fetch
