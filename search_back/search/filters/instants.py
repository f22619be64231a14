"""Points in time, exact to the nanosecond, from and to ISO 8601."""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import dataclass
from typing import Final

_ISO: Final = re.compile(
    r"(\d{4}-\d{2}-\d{2})"
    r"(?:[Tt ](\d{2}:\d{2})(?::(\d{2})(?:[.,](\d{1,9}))?)?([Zz]|[+-]\d{2}(?::?\d{2})?)?)?",
    re.ASCII,
)
_EPOCH: Final = dt.datetime(1970, 1, 1, tzinfo=dt.timezone.utc)
_SECOND: Final = 10**9
NS_OF_DAY: Final = 86_400 * _SECOND


@dataclass(frozen=True, slots=True)
class Instant:
    """``ns``: nanoseconds since 1970-01-01T00:00Z, within the years 1 … 9999."""

    ns: int

    @classmethod
    def parse(cls, text: str) -> Instant | None:
        """Of a date or a date and time, to nine decimals of a second; None of anything else.

        A date is its midnight. Without an offset (``Z``, ``+02:00``) a time is UTC.
        """
        found = _ISO.fullmatch(text.strip())
        if found is None:
            return None
        date, minutes, seconds, fraction, offset = found.groups()
        try:
            moment = dt.datetime.fromisoformat(f"{date}T{minutes or '00:00'}:{seconds or '00'}")
            since = moment.replace(tzinfo=dt.timezone.utc) - _offset(offset or "Z") - _EPOCH
        except (ValueError, OverflowError):
            return None
        whole = since.days * 86_400 + since.seconds
        return cls(whole * _SECOND + int((fraction or "0").ljust(9, "0")))

    def __str__(self) -> str:
        """The shortest text that parses to it, in UTC."""
        seconds, ns = divmod(self.ns, _SECOND)
        text = (_EPOCH + dt.timedelta(seconds=seconds)).replace(tzinfo=None).isoformat()
        if self.ns % NS_OF_DAY == 0:
            return text[:10]
        return text + (f".{ns:09}".rstrip("0") if ns else "") + "Z"


def _offset(text: str) -> dt.timedelta:
    """How far east of Greenwich; raises ``ValueError``."""
    if text in "Zz":
        return dt.timedelta(0)
    digits = text[1:].replace(":", "").ljust(4, "0")
    hours, minutes = int(digits[:2]), int(digits[2:])
    if hours > 23 or minutes > 59:
        raise ValueError(text)
    return dt.timedelta(hours=hours, minutes=minutes) * (-1 if text[0] == "-" else 1)
