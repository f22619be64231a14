"""The lines of queries that every reader of them is tested with: here, and in the page."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

LINES: dict[str, Any] = json.loads(Path(__file__).with_name("lines.json").read_text("utf-8"))
"""``read``: lines and their parts; ``refused``: lines, the place and the reason; ``written``."""
