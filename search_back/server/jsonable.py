"""Values of metadata as valid JSON."""

from __future__ import annotations

import base64
import datetime
import json
import math
from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import orjson

_OPTIONS: Final = (
    orjson.OPT_NON_STR_KEYS | orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_PASSTHROUGH_DATETIME
)


def dumps(value: Any) -> bytes:
    """JSON in UTF-8: NaN and infinities become null, times ISO 8601, bytes text."""
    try:
        return orjson.dumps(value, jsonable, _OPTIONS)
    except (TypeError, orjson.JSONEncodeError):
        # Integers beyond 64 bits, halves of surrogate pairs, keys of odd types.
        text = json.dumps(jsonable(value), ensure_ascii=False, allow_nan=False)
        return text.encode("utf-8", "replace")


def jsonable(value: Any) -> Any:
    """The same value in what the standard library writes as valid JSON."""
    if value is None or isinstance(value, (str, bool, int)):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(k): jsonable(v) for k, v in value.items()}
    if isinstance(value, (list, tuple, set)):
        return [jsonable(v) for v in value]
    if isinstance(value, np.generic):
        return jsonable(value.item())
    if isinstance(value, np.ndarray):
        return jsonable(value.tolist())
    if isinstance(value, (datetime.datetime, datetime.date, datetime.time)):
        return value.isoformat()
    if isinstance(value, datetime.timedelta):
        return value.total_seconds()
    if isinstance(value, bytes):
        try:
            return value.decode("utf-8")
        except UnicodeDecodeError:
            return base64.b64encode(value).decode("ascii")
    return str(value)
