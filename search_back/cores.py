"""How many processors there are to use."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

_TOPOLOGY: Final = Path("/sys/devices/system/cpu")


def usable_cores() -> int:
    """Processors that this process may run on: fewer than the machine has, in a container."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def physical_cores(topology: Path = _TOPOLOGY) -> int | None:
    """The same, counted once where two share the units that compute; None where nobody tells."""
    if not hasattr(os, "sched_getaffinity"):
        return None
    try:
        cores = {
            (topology / f"cpu{number}/topology/thread_siblings_list").read_text().strip()
            for number in os.sched_getaffinity(0)
        }
    except OSError:
        return None
    return len(cores)
