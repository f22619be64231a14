"""Every error this package raises on purpose.

::

    SearchBackError
    ├── InputError              the caller's mistake: a field, a picture, a name
    │   ├── InvalidField
    │   │   └── BadFilter       a filter that cannot be read, and where
    │   ├── BadPicture
    │   ├── LimitExceeded
    │   ├── UnknownIndex
    │   ├── UnknownColumn
    │   ├── UnknownId
    │   ├── NoSuchModality
    │   ├── DimensionMismatch
    │   ├── FetchRefused        an address that the rules do not allow
    │   └── FetchFailed         an allowed address that gave no picture
    ├── EncoderMismatch         index and encoder were not made for each other
    ├── ModelUnavailable        weights that cannot be had or loaded
    ├── IndexUnavailable        an index whose files cannot be served now
    ├── Overloaded              more queries wait than may
    ├── DeadlineExceeded        a request's time was over before its answer was there
    ├── Unauthorized            a request without a key that is known
    ├── Forbidden               a key that may not do that
    ├── RateLimited             somebody who asks more often than they may
    ├── ConfigError             settings, indices_paths.json
    ├── BadFolder               a folder without what it should hold
    ├── CorruptFile             a file that is not what its name says
    ├── NothingToDo             an input without one usable item
    ├── TooManyFailures         a run stopped by ``max_failures``
    └── PortInUse

Each carries data, so that a transport can translate it: ``what`` went wrong, the ``value`` it went
wrong with, and the ``remedy``. ``str(error)`` joins them in one sentence.
"""

from __future__ import annotations

import re

_SHOWN = 200


class SearchBackError(Exception):
    """Base of all; ``code`` is the snake-case class name."""

    def __init__(self, what: str, *, value: object = None, remedy: str = "") -> None:
        super().__init__(what, value, remedy)
        self.what = what
        self.value = value
        self.remedy = remedy

    @property
    def code(self) -> str:
        """The name that programs test, e.g. ``unknown_index``."""
        return re.sub(r"(?<!^)(?=[A-Z])", "_", type(self).__name__).lower()

    def __str__(self) -> str:
        text = self.what
        if self.value is not None:
            shown = self.value if isinstance(self.value, str) else repr(self.value)
            text += f" (got: {shown[:_SHOWN]}{'…' if len(shown) > _SHOWN else ''})"
        return f"{text}: {self.remedy}" if self.remedy else text


class InputError(SearchBackError):
    """The caller's mistake."""


class InvalidField(InputError):
    """A field of a request with an unusable value; ``field`` names it."""

    def __init__(self, field: str, what: str, *, value: object = None, remedy: str = "") -> None:
        super().__init__(what, value=value, remedy=remedy)
        self.field = field


class BadFilter(InvalidField):
    """A metadata filter that cannot be read; ``position``: of which character, from 0."""

    def __init__(self, what: str, *, position: int, value: object = None, remedy: str = "") -> None:
        super().__init__(
            "filter", f"{what}, at character {position + 1}", value=value, remedy=remedy
        )
        self.position = position


class BadPicture(InputError):
    """Bytes that cannot be decoded as a picture."""


class LimitExceeded(InputError):
    """A limit was hit; ``limit`` is the name of the setting."""

    def __init__(self, limit: str, *, value: float | str, maximum: float) -> None:
        super().__init__(
            f"{limit} is {maximum}",
            value=value,
            remedy="send less, or raise that setting of the server",
        )
        self.limit = limit
        self.maximum = maximum


class UnknownIndex(InputError):
    """An index name that this server does not have."""


class UnknownColumn(InputError):
    """A metadata column that the index does not have."""


class UnknownId(InputError):
    """An id that the index does not have."""


class NoSuchModality(InputError):
    """The index holds no vectors of that modality."""


class DimensionMismatch(InputError):
    """Vectors of another length than the index holds."""


class FetchRefused(InputError):
    """An address that the rules do not allow."""


class FetchFailed(InputError):
    """An allowed address that gave no picture."""


class EncoderMismatch(SearchBackError):
    """Index and encoder were not made for each other."""


class ModelUnavailable(SearchBackError):
    """Weights that cannot be found or loaded."""


class IndexUnavailable(SearchBackError):
    """An index whose files cannot be served now."""


class DeadlineExceeded(SearchBackError):
    """A request's time was over before its answer was there."""


class Unauthorized(SearchBackError):
    """A request without a key that is known."""


class Forbidden(SearchBackError):
    """A key that may not do that."""


class RateLimited(SearchBackError):
    """Somebody asks more often than they may; ``retry_after_s``: seconds until they may again."""

    def __init__(
        self, what: str, *, retry_after_s: float, value: object = None, remedy: str = ""
    ) -> None:
        super().__init__(what, value=value, remedy=remedy)
        self.retry_after_s = retry_after_s


class Overloaded(SearchBackError):
    """More queries wait than may; ``retry_after_s``: seconds until there may be room."""

    def __init__(
        self, what: str, *, retry_after_s: float, value: object = None, remedy: str = ""
    ) -> None:
        super().__init__(what, value=value, remedy=remedy)
        self.retry_after_s = retry_after_s


class ConfigError(SearchBackError):
    """Settings that cannot be used."""


class BadFolder(SearchBackError):
    """A folder without what it should hold."""


class CorruptFile(SearchBackError):
    """A file that is not what its name says."""


class NothingToDo(SearchBackError):
    """An input without one usable item."""


class TooManyFailures(SearchBackError):
    """A run stopped because more items failed than allowed."""


class PortInUse(SearchBackError):
    """Another program listens on the port."""
