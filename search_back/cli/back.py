"""``search-back back``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Any

import click

from search_back.cli.options import (
    F,
    flag,
    limits,
    networks,
    option,
    pinned_file,
    rate,
    switch_or_file,
    take_limits,
    words,
)
from search_back.cli.progress import say
from search_back.config import (
    DEFAULT_COLUMNS,
    DEFAULT_PORT,
    DEFAULT_TEXT_MODEL,
    JPEG_DRAFTS,
    PRECISIONS,
    RUNTIMES,
    SERVERS,
    IndexOptions,
    Rate,
    ServerSettings,
    load_indices,
)
from search_back.errors import ConfigError

DEFAULT_INDICES = "indices_paths.json"


def old_switch(name: str, *, means: str) -> Callable[[F], F]:
    """A switch of clip-retrieval's that took its models from the network, and may name a file."""
    return option(
        name,
        is_flag=False,
        flag_value="True",
        default="False",
        callback=switch_or_file,
        metavar="BOOL|FILE",
        help=f"Accepted for old scripts; with a file, the same as --{means}.",
    )


@click.command("back", short_help="Serve indices: the page and the HTTP API.")
@option(
    "indices-paths",
    type=click.Path(path_type=Path),
    help=f'The file that names the indices: {{"name": "folder"}}. [default: {DEFAULT_INDICES}]',
)
@option(
    "index-folder",
    multiple=True,
    type=click.Path(path_type=Path),
    help="Serve this index folder under its own name; instead of --indices-paths.",
)
@option("host", default="127.0.0.1", help="Address to listen on; 0.0.0.0 is everyone.")
@option("port", type=click.IntRange(0, 65535), default=DEFAULT_PORT, help="Port to listen on.")
@option("threads", type=click.IntRange(1), default=32, help="Requests answered at a time.")
@option(
    "server",
    type=click.Choice(SERVERS),
    default="auto",
    help="gunicorn: processes that are watched and replaced; waitress: this process. auto: "
    "gunicorn where it can be had.",
)
@option(
    "workers",
    type=click.IntRange(0),
    default=0,
    help="Processes of gunicorn, each with an encoder of its own; 0: one for two processors, at "
    "most 4.",
)
@option(
    "max-waiting-requests",
    type=click.IntRange(1),
    default=256,
    help="Requests that may wait for a thread, in each process; more are refused with status 503.",
)
@option(
    "max-connections",
    type=click.IntRange(1),
    default=1024,
    help="Connections of each process; past them, those go that wait longest without a request.",
)
@option(
    "request-timeout-s",
    type=click.FloatRange(0, min_open=True),
    default=30.0,
    help="Seconds after its arrival at which a request is given up.",
)
@option(
    "stop-timeout-s",
    type=click.FloatRange(0),
    default=10.0,
    help="Seconds for answers under way when the server is told to stop.",
)
@flag("access-log", default=False, help="Log each request: route, status, time, bytes, sender.")
@option(
    "otlp-endpoint",
    envvar=("SEARCH_BACK_BACK_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"),
    metavar="URL",
    help="Send a trace of each request to this collector of OpenTelemetry (OTLP over HTTP), such "
    "as http://localhost:4318. [default: OTEL_EXPORTER_OTLP_ENDPOINT]",
)
@option(
    "encoder-threads",
    type=click.IntRange(0),
    default=0,
    help="Threads of one call of an encoder; 0: as many as its runtime chooses.",
)
@option(
    "encoder-idle-s",
    type=click.FloatRange(0),
    default=0.0,
    help="Seconds after which an encoder that is not used gives its memory back, until the next "
    "query loads it again; 0: never.",
)
@flag("batching", default=True, help="Encode queries together that arrive together.")
@option(
    "query-cache-entries",
    type=click.IntRange(0),
    default=10_000,
    help="Queries whose embeddings are kept, at some 2 to 4 kB each; 0: none.",
)
@option(
    "max-queued-queries",
    type=click.IntRange(1),
    default=64,
    help="Texts, and pictures, that may wait for an encoder; more are refused with status 503.",
)
@option("clip-model", help="The encoder. [default: the one that made the index]")
@option(
    "encoder-runtime",
    type=click.Choice(RUNTIMES),
    default="auto",
    help="What runs it. auto: an export where there is one (see `export`), else torch.",
)
@option(
    "encoder-precision",
    type=click.Choice(PRECISIONS),
    default="auto",
    help="Of its computation. auto: the fastest export there is.",
)
@option(
    "jpeg-draft",
    type=click.Choice(JPEG_DRAFTS),
    default="off",
    help="Decode the JPEGs of queries at a fraction of their size: sooner, with slightly other "
    "pixels.",
)
@option(
    "columns-to-return",
    callback=words,
    default=",".join(DEFAULT_COLUMNS),
    help="Metadata columns of the answers.",
)
@option(
    "image-roots",
    multiple=True,
    type=click.Path(path_type=Path),
    help="Folder whose pictures may be shown. May be given again. "
    "[default: the folder that was embedded]",
)
@flag("enable-hdf5", default=False, help="Read metadata from HDF5, made at the first start.")
@flag("enable-faiss-memory-mapping", default=True, help="Leave the vectors on the disk.")
@flag(
    "reorder-metadata-by-ivf-index",
    default=False,
    help="Lay the metadata out in the order of the index.",
)
@flag("use-arrow", default=False, help="Read metadata from Arrow files.")
@flag(
    "enable-mclip-option",
    default=False,
    help="Let --mclip-model read the words of queries with use_mclip.",
)
@option(
    "mclip-model",
    help="A text encoder that fits the index's: hf:FOLDER, or a model hub's name. "
    f"[default: {DEFAULT_TEXT_MODEL}]",
)
@option(
    "safety-head",
    callback=pinned_file,
    metavar="FILE",
    help="Leaves hits out of the answers to queries with use_safety_model: a .npy, .safetensors, "
    ".pt, .pth or .h5 file; FILE#sha256=… checks it.",
)
@option(
    "safety-threshold",
    type=float,
    help="The score above which it does. [default: 0.5; 0 for class prototypes]",
)
@option(
    "violence-head",
    callback=pinned_file,
    metavar="FILE",
    help="The same for queries with use_violence_detector.",
)
@option(
    "violence-threshold",
    type=float,
    help="The score above which it does. [default: 0.5; 0 for class prototypes]",
)
@option(
    "aesthetic-embeddings",
    callback=pinned_file,
    metavar="FILE",
    help="What aesthetic_score adds to a query: a folder of rating0.npy … rating9.npy, or a .npy "
    "file of ten rows.",
)
@old_switch("provide-safety-model", means="safety-head")
@old_switch("provide-violence-detector", means="violence-head")
@old_switch("provide-aesthetic-embeddings", means="aesthetic-embeddings")
@flag(
    "open-on-first-query",
    default=False,
    help="Open each index when it is first asked, not at the start.",
)
@flag("use-jit", default=False, help="Accepted for old scripts; has no effect.")
@flag(
    "allow-encoder-mismatch",
    default=False,
    help="Answer even where another encoder made the index.",
)
@option("default-backend", help="Address the page talks to. [default: this server]")
@option("default-index", help="Index the page opens. [default: the first]")
@option("url-column", default="url", help="Column that holds the address of a picture.")
@option(
    "cors-origins", callback=words, default="*", help="Origins whose pages may call the JSON API."
)
@option(
    "keys-file",
    type=click.Path(path_type=Path),
    help="Answer those only who have a key of this file, which `keys` writes. [default: everyone]",
)
@flag("public-metrics", default=False, help="Show /metrics without a key too.")
@option(
    "rate-limit-per-address",
    callback=rate,
    metavar="RATE",
    help="How often one address may ask, such as 20/s or 600/m; a picture counts as a tenth. More "
    "is refused with status 429. [default: no limit]",
)
@option(
    "trusted-proxy",
    multiple=True,
    callback=networks,
    metavar="ADDRESS",
    help="Reverse proxy, or network of such, whose X-Forwarded-For, -Proto and -Host are believed. "
    "May be given again. [default: none]",
)
@option(
    "trusted-proxy-count",
    type=click.IntRange(1),
    default=1,
    help="How many such proxies a request comes through.",
)
@limits
def command(
    indices_paths: Path | None,
    index_folder: tuple[Path, ...],
    host: str,
    port: int,
    threads: int,
    server: str,
    workers: int,
    max_waiting_requests: int,
    max_connections: int,
    request_timeout_s: float,
    stop_timeout_s: float,
    access_log: bool,
    otlp_endpoint: str | None,
    encoder_threads: int,
    encoder_idle_s: float,
    batching: bool,
    query_cache_entries: int,
    max_queued_queries: int,
    default_backend: str | None,
    default_index: str | None,
    url_column: str,
    cors_origins: tuple[str, ...],
    image_roots: tuple[Path, ...],
    keys_file: Path | None,
    public_metrics: bool,
    rate_limit_per_address: Rate | None,
    trusted_proxy: tuple[IPv4Network | IPv6Network, ...],
    trusted_proxy_count: int,
    **values: Any,
) -> None:
    """Serve indices: the page and the HTTP API.

    \b
    Examples:
      search-back back --index-folder index
      search-back back --indices-paths indices_paths.json --host 0.0.0.0
    """
    from search_back.guard import read_keys
    from search_back.server.serve import bind, serve

    bounds = take_limits(values)
    defaults = IndexOptions(indice_folder=Path(), image_roots=image_roots or None, **values)
    if indices_paths and index_folder:
        raise ConfigError("give --indices-paths or --index-folder, not both")
    read = partial(_indices, index_folder, indices_paths or Path(DEFAULT_INDICES), defaults)
    indices = read()
    if default_index is not None and default_index not in indices:
        raise ConfigError(
            "--default-index names no index", value=default_index, remedy=", ".join(indices)
        )
    if keys_file is not None:
        read_keys(keys_file)  # what is wrong with it is known at once
    settings = ServerSettings(
        indices=indices,
        host=host,
        port=port,
        default_backend=default_backend,
        default_index=default_index,
        url_column=url_column,
        cors_origins=cors_origins,
        threads=threads,
        server=server,
        workers=workers,
        max_waiting_requests=max_waiting_requests,
        max_connections=max_connections,
        request_timeout_s=request_timeout_s,
        stop_timeout_s=stop_timeout_s,
        access_log=access_log,
        otlp_endpoint=otlp_endpoint,
        keys_file=keys_file,
        public_metrics=public_metrics,
        rate_per_address=rate_limit_per_address,
        trusted_proxies=trusted_proxy,
        trusted_proxy_count=trusted_proxy_count,
        encoder_threads=encoder_threads,
        encoder_idle_s=encoder_idle_s,
        batching=batching,
        query_cache_entries=query_cache_entries,
        max_queued_queries=max_queued_queries,
        limits=bounds,
    )
    listener = bind(host, port)
    try:
        serve(
            settings,
            listener,
            ready=lambda url: say(f"serving {', '.join(indices)} at {url}"),
            read_indices=read,
        )
    finally:
        listener.close()


def _indices(
    folders: tuple[Path, ...], paths: Path, defaults: IndexOptions
) -> dict[str, IndexOptions]:
    """The indices to serve, as the command and the file that it names say now."""
    if not folders:
        return load_indices(paths, defaults)
    indices: dict[str, IndexOptions] = {}
    for folder in folders:
        name = folder.resolve().name
        if name in indices:
            raise ConfigError("two index folders have one name", value=name)
        indices[name] = replace(defaults, indice_folder=folder)
    return indices
