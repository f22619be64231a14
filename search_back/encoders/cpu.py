"""What this machine's processor can do."""

from __future__ import annotations

import platform
from functools import cache
from pathlib import Path
from typing import Final

_FLAGS: Final = Path("/proc/cpuinfo")


@cache
def adds_bytes_exactly() -> bool | None:
    """Whether sums of products of 8-bit numbers are exact; None where that cannot be told.

    x86 processors without VNNI add pairs of them in 16 bits, which full 8-bit weights overflow.
    """
    if platform.machine() not in ("x86_64", "AMD64"):
        return True
    try:
        flags = _FLAGS.read_text(encoding="utf-8")
    except OSError:
        return None
    return "vnni" in flags
