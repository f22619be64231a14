"""The log: lines for people, or objects of JSON for programs."""

from __future__ import annotations

import json
import logging
import sys
import threading
from datetime import datetime, timezone
from types import TracebackType
from typing import Any, Final

LOGGER = logging.getLogger("search_back")
LOG_FORMATS: Final = ("text", "json")
_NOISY: Final = (
    *("urllib3", "PIL", "waitress", "h5py", "faiss", "huggingface_hub", "httpx"),
    *("onnx_ir", "transformers"),
)


class JsonFormatter(logging.Formatter):
    """A record as an object on one line.

    ``time`` (RFC 3339, UTC), ``level``, ``logger``, ``message``; ``request_id`` where a filter has
    set it; what a call gave as ``extra={"fields": {…}}``; ``exception`` with its traceback.
    """

    def format(self, record: logging.LogRecord) -> str:
        at = datetime.fromtimestamp(record.created, timezone.utc)
        line: dict[str, Any] = {
            "time": at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if (request_id := getattr(record, "request_id", None)) is not None:
            line["request_id"] = request_id
        line |= getattr(record, "fields", {})
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False, default=str)


def set_up(log_format: str, *, verbose: bool) -> None:
    """Log to stderr. With ``json``, what would end the process goes there as JSON too."""
    handler = logging.StreamHandler(sys.stderr)
    # open_clip tells each step of loading to the root logger.
    handler.addFilter(_not_of_the_root)
    logging.basicConfig(
        handlers=[handler],
        level=logging.DEBUG if verbose else logging.INFO,
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
        datefmt="%H:%M:%S",
    )
    if log_format == "json":
        handler.setFormatter(JsonFormatter())
        logging.captureWarnings(True)
        sys.excepthook = _log_uncaught
        threading.excepthook = lambda ended: _log_uncaught(
            ended.exc_type, ended.exc_value, ended.exc_traceback
        )
    for noisy in _NOISY:
        logging.getLogger(noisy).setLevel(logging.WARNING)
    # It warns of every step of a model that it cannot shorten.
    logging.getLogger("onnxscript").setLevel(logging.ERROR)


def for_programs() -> bool:
    """Whether stderr is read by programs, so that people's lines should be records too."""
    return any(isinstance(h.formatter, JsonFormatter) for h in logging.getLogger().handlers)


def _not_of_the_root(record: logging.LogRecord) -> bool:
    return record.name != "root" or record.levelno >= logging.WARNING


def _log_uncaught(
    kind: type[BaseException], error: BaseException | None, trace: TracebackType | None
) -> None:
    if error is None or issubclass(kind, (KeyboardInterrupt, SystemExit)):
        return
    LOGGER.critical("an unexpected error", exc_info=(kind, error, trace))
