"""Traces of requests, sent to a collector of OpenTelemetry where one is named.

A span a request, and in it one for each step that the metrics time. OpenTelemetry is an extra, and
imported only for this.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, Final

import search_back
from search_back.errors import ConfigError

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider

WSGI = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]
# What is left to send when the server stops has so long, in seconds.
FLUSH_S: Final = 2.0
_PATH: Final = "/v1/traces"


class Tracing:
    """Makes spans. Thread-safe; belongs to the process that made it, and not to its forks."""

    def __init__(self, provider: TracerProvider) -> None:
        from opentelemetry import propagate, trace

        self._provider = provider
        self._tracer = provider.get_tracer("search_back", search_back.__version__)
        self._extract = propagate.extract
        self._trace = trace
        self._closed = False

    def step(self, step: str) -> AbstractContextManager[object]:
        """A span below the current one: a ``StepTimer``."""
        # Messages of errors repeat what was asked, which is nobody's business here.
        return self._tracer.start_as_current_span(
            step, record_exception=False, set_status_on_exception=False
        )

    def around(self, app: WSGI) -> WSGI:
        """Have ``app`` answer each request in a span, below the one that its sender names."""

        def traced(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
            headers = {
                name: environ[key]
                for name in ("traceparent", "tracestate")
                if (key := f"HTTP_{name.upper()}") in environ
            }
            method = environ.get("REQUEST_METHOD", "")
            with self._tracer.start_as_current_span(
                method, context=self._extract(headers), kind=self._trace.SpanKind.SERVER
            ):
                return app(environ, start_response)

        return traced

    def answered(self, route: str, *, method: str, status: int, request_id: str) -> None:
        """Say of the current request what it was and how it ended; nothing of what it asked."""
        span = self._trace.get_current_span()
        span.update_name(f"{method} {route}")
        span.set_attributes(
            {
                "http.request.method": method,
                "http.route": route,
                "http.response.status_code": status,
                "search_back.request_id": request_id,
            }
        )
        if status >= 500:
            span.set_status(self._trace.StatusCode.ERROR)

    def close(self) -> None:
        """Send what is left, for ``FLUSH_S`` at most; once."""
        if self._closed:
            return
        self._closed = True
        # A collector that does not answer would hold the end up for longer.
        sending = threading.Thread(target=self._provider.shutdown, daemon=True)
        sending.start()
        sending.join(FLUSH_S)


def check_tracing(endpoint: str | None) -> None:
    """Raise ``ConfigError`` where traces are wanted and cannot be made."""
    if endpoint:
        _import_sdk()


def open_tracing(endpoint: str | None) -> Tracing | None:
    """Traces sent to ``endpoint``, the address of a collector (OTLP over HTTP); None without one.

    The standard variables of OpenTelemetry say the rest: ``OTEL_SERVICE_NAME``,
    ``OTEL_TRACES_SAMPLER``, ``OTEL_EXPORTER_OTLP_HEADERS``.
    """
    if not endpoint:
        return None
    _import_sdk()
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    name = os.environ.get("OTEL_SERVICE_NAME", "search-back")
    resource = Resource.create({"service.name": name, "service.version": search_back.__version__})
    provider = TracerProvider(resource=resource, shutdown_on_exit=False)
    endpoint = endpoint.rstrip("/")
    address = endpoint if endpoint.endswith(_PATH) else endpoint + _PATH
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint=address)))
    return Tracing(provider)


def _import_sdk() -> None:
    try:
        import opentelemetry.exporter.otlp.proto.http
        import opentelemetry.sdk  # noqa: F401
    except ImportError as error:
        raise ConfigError(
            "traces need OpenTelemetry, which is not installed",
            value=error.name,
            remedy="pip install 'search_back[tracing]', or leave out --otlp-endpoint and "
            "OTEL_EXPORTER_OTLP_ENDPOINT",
        ) from error
