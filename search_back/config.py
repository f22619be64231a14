"""Settings, frozen once read; every limit is one, and says its name when it is hit."""

from __future__ import annotations

import difflib
import json
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Any

from search_back.errors import ConfigError

DEFAULT_PORT = 1234
DEFAULT_COLUMNS = ("url", "image_path", "caption", "NSFW")
# Made for the pictures of ViT-B/32, as clip-retrieval takes it.
DEFAULT_TEXT_MODEL = "sentence-transformers/clip-ViT-B-32-multilingual-v1"


@dataclass(frozen=True, slots=True)
class Limits:
    """What one request may ask for. Bytes, pixels, seconds and counts."""

    max_body_bytes: int = 32 * 2**20
    max_picture_bytes: int = 20 * 2**20
    max_picture_pixels: int = 64_000_000
    max_text_characters: int = 10_000
    max_results: int = 100_000
    max_metadata_ids: int = 10_000
    max_map_points: int = 10_000
    max_inline_pictures: int = 200
    max_inline_side: int = 1024
    max_thumbnail_side: int = 1024
    max_url_bytes: int = 4096
    fetch_timeout_s: float = 10.0
    max_redirects: int = 5
    max_downloads: int = 16
    max_query_terms: int = 64
    max_query_addresses: int = 4
    allow_private_addresses: bool = False


@dataclass(frozen=True, slots=True)
class PinnedFile:
    """A file, or a folder of files, to read; ``sha256``: what the file must have, None: any."""

    path: Path
    sha256: str | None = None

    @classmethod
    def parse(cls, value: object, base: Path) -> PinnedFile:
        """From ``head.npy``, ``head.npy#sha256=…`` or ``{"path": …, "sha256": …}``.

        A relative path is relative to ``base``. Raises ``ConfigError``.
        """
        path, sha256 = value, None
        if isinstance(value, str):
            path, pinned, digest = value.partition("#sha256=")
            sha256 = digest if pinned else None
        elif isinstance(value, Mapping) and set(value) <= {"path", "sha256"}:
            path, sha256 = value.get("path"), value.get("sha256")
        if not isinstance(path, str) or not path:
            raise ConfigError(
                "that names no file",
                value=value,
                remedy='write "FILE", "FILE#sha256=…" or {"path": "FILE", "sha256": "…"}',
            )
        if sha256 is not None and not re.fullmatch("[0-9a-fA-F]{64}", str(sha256)):
            raise ConfigError("a sha256 is 64 hexadecimal digits", value=sha256)
        return cls(base / path, str(sha256).lower() if sha256 is not None else None)


@dataclass(frozen=True, slots=True)
class Rate:
    """``count`` requests at once, then as many in each ``per_s`` seconds, evenly."""

    count: int
    per_s: int

    @classmethod
    def parse(cls, value: object) -> Rate:
        """From ``20/s``, ``600/m`` or ``5000/h``. Raises ``ConfigError``."""
        form = re.fullmatch("([1-9][0-9]{0,8})/([smh])", value) if isinstance(value, str) else None
        if form is None:
            raise ConfigError(
                "that is no rate", value=value, remedy="write 20/s, 600/m or 5000/h: a whole number"
            )
        return cls(int(form[1]), _SECONDS[form[2]])

    def __str__(self) -> str:
        unit = next(name for name, seconds in _SECONDS.items() if seconds == self.per_s)
        return f"{self.count}/{unit}"


_SECONDS = {"s": 1, "m": 60, "h": 3600}


@dataclass(frozen=True, slots=True)
class IndexOptions:
    """One entry of indices_paths.json; names as its users write them.

    ``image_roots``: folders whose pictures may be shown; None: the ones recorded when the index
    was built. ``clip_model``: None: the encoder recorded when the index was built.
    ``encoder_runtime``, ``encoder_precision``: auto: the fastest export there is, else torch.
    ``jpeg_draft``: at what scale the JPEGs of queries are decoded.
    ``mclip_model``: encodes the words of queries that ask for it, where ``enable_mclip_option``;
    None: clip-retrieval's.
    ``safety_head``, ``violence_head``: what queries with ``use_safety_model`` and
    ``use_violence_detector`` leave hits out by; ``safety_threshold``, ``violence_threshold``: the
    score above which they do, None: by the kind of head. ``aesthetic_embeddings``: a folder or a
    file with an embedding for each ``aesthetic_score``. ``provide_*``: clip-retrieval's switches;
    a file there means what it means at the newer option, which goes before it.
    ``open_on_first_query``: not at the start.
    """

    indice_folder: Path
    clip_model: str | None = None
    encoder_runtime: str = "auto"
    encoder_precision: str = "auto"
    jpeg_draft: str = "off"
    enable_hdf5: bool = False
    enable_faiss_memory_mapping: bool = False
    columns_to_return: tuple[str, ...] = DEFAULT_COLUMNS
    reorder_metadata_by_ivf_index: bool = False
    enable_mclip_option: bool = False
    mclip_model: str | None = None
    use_jit: bool = False
    use_arrow: bool = False
    safety_head: PinnedFile | None = None
    safety_threshold: float | None = None
    violence_head: PinnedFile | None = None
    violence_threshold: float | None = None
    aesthetic_embeddings: PinnedFile | None = None
    provide_safety_model: bool | PinnedFile = False
    provide_violence_detector: bool | PinnedFile = False
    provide_aesthetic_embeddings: bool | PinnedFile = False
    image_roots: tuple[Path, ...] | None = None
    allow_encoder_mismatch: bool = False
    open_on_first_query: bool = False


@dataclass(frozen=True, slots=True)
class ServerSettings:
    """What ``search-back back`` runs with.

    ``threads``: requests answered at a time. ``encoder_threads``: that one call of an encoder may
    use, 0 for the runtime's choice. ``encoder_idle_s``: seconds after which an encoder that is
    not used gives its memory back, 0 for never. ``batching``: whether concurrent queries are
    encoded together. ``query_cache_entries``: queries whose embeddings are kept, 0 for none.
    ``max_queued_queries``: texts, and pictures, that may wait for an encoder.

    ``server``: ``gunicorn`` (processes that are watched and replaced), ``waitress`` (one process),
    ``auto`` (gunicorn where it can be had). ``workers``: processes, 0 for as many as suit the
    machine. Of each process: ``max_waiting_requests`` that wait for a thread, and
    ``max_connections``. ``request_timeout_s``: from a request's arrival to its answer, after which
    it is given up. ``stop_timeout_s``: for answers under way when the server is told to stop.
    ``access_log``: whether each request is logged. ``otlp_endpoint``: the collector that traces
    are sent to, None for no traces.

    ``keys_file``: the keys without which little is answered; None: whoever reaches the server may
    ask. ``public_metrics``: whether /metrics needs none. ``rate_per_address``: how often one
    address may ask; None: without a limit. ``trusted_proxies``: networks whose word for who asks
    is taken; ``trusted_proxy_count``: how many of them a request comes through.
    """

    indices: Mapping[str, IndexOptions]
    host: str = "127.0.0.1"
    port: int = DEFAULT_PORT
    default_backend: str | None = None
    default_index: str | None = None
    url_column: str = "url"
    cors_origins: tuple[str, ...] = ("*",)
    threads: int = 32
    encoder_threads: int = 0
    encoder_idle_s: float = 0.0
    batching: bool = True
    query_cache_entries: int = 10_000
    max_queued_queries: int = 64
    server: str = "auto"
    workers: int = 0
    max_waiting_requests: int = 256
    max_connections: int = 1024
    request_timeout_s: float = 30.0
    stop_timeout_s: float = 10.0
    access_log: bool = False
    otlp_endpoint: str | None = None
    keys_file: Path | None = None
    public_metrics: bool = False
    rate_per_address: Rate | None = None
    trusted_proxies: tuple[IPv4Network | IPv6Network, ...] = ()
    trusted_proxy_count: int = 1
    limits: Limits = field(default_factory=Limits)


_KEYS = {f.name: f for f in fields(IndexOptions)}
_PATHS = {"indice_folder"}
_NAMES = {"clip_model", "mclip_model"}
SERVERS = ("auto", "gunicorn", "waitress")
RUNTIMES = ("auto", "torch", "onnx", "openvino")
PRECISIONS = ("auto", "fp32", "fp16", "bf16", "int8")
JPEG_DRAFTS = ("off", "close", "fast")
_CHOICES = {
    "encoder_runtime": RUNTIMES,
    "encoder_precision": PRECISIONS,
    "jpeg_draft": JPEG_DRAFTS,
}
_TUPLES = {"columns_to_return", "image_roots"}
_FILES = {"safety_head", "violence_head", "aesthetic_embeddings"}
_NUMBERS = {"safety_threshold", "violence_threshold"}
# Switches that may name a file instead.
_SWITCHES = {"provide_safety_model", "provide_violence_detector", "provide_aesthetic_embeddings"}


def load_indices(path: Path, defaults: IndexOptions) -> dict[str, IndexOptions]:
    """Read indices_paths.json: ``{"name": "folder"}`` or ``{"name": {"indice_folder": …}}``.

    ``defaults`` serve every entry that does not say otherwise; an entry never changes another.
    Relative folders are relative to the file. Raises ``ConfigError``.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(
            "the file that names the indices cannot be read",
            value=str(path),
            remedy=f"{error.strerror}; give --indices-paths",
        ) from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path} is not text in UTF-8", remedy=str(error)) from error
    try:
        value = json.loads(text)
    except json.JSONDecodeError as error:
        raise ConfigError(f"{path} is not valid JSON", remedy=str(error)) from error
    if not isinstance(value, dict) or not value:
        raise ConfigError(
            f"{path} should hold an object of at least one index",
            remedy='write {"name": "path/to/index/folder"}',
        )
    base = path.resolve().parent
    return {name: _entry(name, entry, base, defaults) for name, entry in value.items()}


def _entry(name: str, entry: object, base: Path, defaults: IndexOptions) -> IndexOptions:
    if isinstance(entry, str):
        entry = {"indice_folder": entry}
    if not isinstance(entry, dict):
        raise ConfigError(f"index {name!r} should be a folder or an object of options", value=entry)
    if "indice_folder" not in entry:
        raise ConfigError(f"index {name!r} has no indice_folder", remedy="add it")
    changes = {key: _value(name, key, value, base) for key, value in entry.items()}
    return replace(defaults, **changes)


def _value(name: str, key: str, value: object, base: Path) -> Any:
    if key not in _KEYS:
        near = difflib.get_close_matches(key, _KEYS, n=1)
        raise ConfigError(
            f"index {name!r} has an unknown option {key!r}",
            remedy=f"did you mean {near[0]!r}?" if near else f"known: {', '.join(_KEYS)}",
        )
    wrong = ConfigError(f"option {key!r} of index {name!r} has the wrong type", value=value)
    if key in _PATHS:
        if not isinstance(value, str):
            raise wrong
        return base / value
    if key in _TUPLES:
        return _tuple(key, value, base, wrong)
    if key in _CHOICES:
        if value not in _CHOICES[key]:
            raise ConfigError(
                f"option {key!r} of index {name!r} has an unknown value",
                value=value,
                remedy=f"give one of {', '.join(_CHOICES[key])}",
            )
        return value
    if key in _NAMES:
        if value is not None and not isinstance(value, str):
            raise wrong
        return value
    if key in _NUMBERS:
        return _number(value, wrong)
    if key in _FILES or (key in _SWITCHES and not isinstance(value, bool)):
        return _file(name, key, value, base)
    if not isinstance(value, bool):
        raise wrong
    return value


def _tuple(key: str, value: object, base: Path, wrong: ConfigError) -> tuple[Any, ...] | None:
    if isinstance(value, str):
        value = [value]
    if value is None and key == "image_roots":
        return None
    if not isinstance(value, list) or not all(isinstance(v, str) for v in value):
        raise wrong
    return tuple(base / v for v in value) if key == "image_roots" else tuple(value)


def _file(name: str, key: str, value: object, base: Path) -> PinnedFile | None:
    if value is None and key in _FILES:
        return None
    try:
        return PinnedFile.parse(value, base)
    except ConfigError as error:
        raise ConfigError(
            f"option {key!r} of index {name!r}: {error.what}",
            value=error.value,
            remedy=error.remedy,
        ) from error


def _number(value: object, wrong: ConfigError) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise wrong
    if not abs(value) <= sys.float_info.max:  # nor is NaN
        raise wrong
    return float(value)
