"""Traces: a span a request, one for each of its steps, and nothing where they are not wanted."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import requests
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from search_back.config import IndexOptions, ServerSettings
from search_back.server import create_app
from search_back.services import Services
from search_back.tracing import Tracing, check_tracing, open_tracing
from tests.conftest import Chain, start_server, wait_for

TRACE, SENDER = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
Ask = Callable[..., dict[str, ReadableSpan]]


@pytest.fixture
def ask(chain: Chain, monkeypatch: pytest.MonkeyPatch) -> Iterator[Ask]:
    """Sends a request to a server that traces: its spans, by name."""
    kept, provider = InMemorySpanExporter(), TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(kept))
    monkeypatch.setattr("search_back.services.open_tracing", lambda _: Tracing(provider))
    services = Services(ServerSettings(indices={"emoji": IndexOptions(chain.index)}))
    client = create_app(services).test_client()

    def send(path: str, body: str, **headers: str) -> dict[str, ReadableSpan]:
        kept.clear()
        client.post(path, data=body, headers=headers)
        return {span.name: span for span in kept.get_finished_spans()}

    yield send
    services.close()


def test_a_request_is_a_span_and_its_steps_are_below_it(ask: Ask) -> None:
    spans = ask("/knn-service", '{"text": "a"}', **{"X-Request-Id": "mine"})
    whole = spans.pop("POST /knn-service")
    assert whole.kind is SpanKind.SERVER
    assert whole.parent is None
    assert whole.status.status_code is StatusCode.UNSET
    assert whole.attributes == {
        "http.request.method": "POST",
        "http.route": "/knn-service",
        "http.response.status_code": 200,
        "search_back.request_id": "mine",
    }
    below = ("text_prepro_time", "text_clip_inference_time", "knn_index_time", "metadata_get_time")
    assert set(spans) == {"full_knn_request_time", *below}
    knn = spans["full_knn_request_time"]
    assert knn.parent == whole.context
    assert all(spans[name].parent == knn.context for name in below)


def test_a_span_is_below_the_one_that_the_sender_names(ask: Ask) -> None:
    spans = ask("/metadata", '{"ids": [1]}', traceparent=f"00-{TRACE}-{SENDER}-01")
    span = spans["POST /metadata"]
    assert span.parent is not None
    assert f"{span.parent.trace_id:032x}" == TRACE
    assert f"{span.parent.span_id:016x}" == SENDER
    assert span.context.trace_id == span.parent.trace_id


def test_a_mistake_of_the_caller_is_no_error_of_the_server(ask: Ask) -> None:
    spans = ask("/knn-service", '{"text": "secret", "indice_name": "nobody"}')
    whole = spans["POST /knn-service"]
    assert whole.status.status_code is StatusCode.UNSET
    assert whole.attributes is not None
    assert whole.attributes["http.response.status_code"] == 404
    assert not any("secret" in span.to_json() for span in spans.values())


def test_an_answer_that_failed_is_an_error(ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(self: Services, name: str | None) -> None:
        raise RuntimeError

    monkeypatch.setattr(Services, "index", broken)
    spans = ask("/metadata", '{"ids": [1]}')
    assert spans["POST /metadata"].status.status_code is StatusCode.ERROR


def test_nothing_of_it_is_loaded_where_no_traces_are_wanted() -> None:
    assert open_tracing(None) is None
    assert open_tracing("") is None
    code = (
        "import sys; from search_back.server import create_app; import search_back.tracing; "
        "search_back.tracing.open_tracing(None); "
        "print([name for name in sys.modules if name.startswith('opentelemetry')])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_without_the_extra_the_start_says_what_to_install(chain: Chain, tmp_path: Path) -> None:
    code = (
        "import sys; sys.modules['opentelemetry.sdk'] = None; "
        "from search_back.cli import main; main()"
    )
    options = ["--port", "0", "--index-folder", str(chain.index), "--otlp-endpoint", "http://x"]
    done = subprocess.run(
        [sys.executable, "-c", code, "back", *options], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert "pip install 'search_back[tracing]'" in done.stderr
    check_tracing(None)


@pytest.mark.parametrize("kind", ["gunicorn", "waitress"])
def test_a_server_sends_its_traces_before_it_ends(
    chain: Chain, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    got: list[tuple[str, ExportTraceServiceRequest]] = []

    class Collector(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.headers.get("Content-Encoding") == "gzip":
                body = gzip.decompress(body)
            got.append((self.path, ExportTraceServiceRequest.FromString(body)))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    collector = ThreadingHTTPServer(("127.0.0.1", 0), Collector)
    threading.Thread(target=collector.serve_forever, daemon=True).start()
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{collector.server_port}")
    arguments = ["--index-folder", str(chain.index), "--server", kind, "--workers", "2"]
    server = start_server(arguments, log=tmp_path / "log")
    try:
        body = json.dumps({"text": "a"})
        assert requests.post(f"{server.url}/knn-service", data=body, timeout=30).status_code == 200
        assert server.stop() == 0, server.log.read_text()
    finally:
        collector.shutdown()
        collector.server_close()

    assert {path for path, _ in got} == {"/v1/traces"}
    resources = [found for _, request in got for found in request.resource_spans]
    names = [s.name for r in resources for scope in r.scope_spans for s in scope.spans]
    assert "POST /knn-service" in names
    assert "knn_index_time" in names
    about = {a.key: a.value.string_value for r in resources for a in r.resource.attributes}
    assert about["service.name"] == "search-back"


def test_a_collector_that_is_not_there_holds_nothing_up(chain: Chain, tmp_path: Path) -> None:
    arguments = ["--index-folder", str(chain.index), "--otlp-endpoint", "http://127.0.0.1:9"]
    server = start_server(arguments, log=tmp_path / "log")
    body = json.dumps({"text": "a"})
    assert requests.post(f"{server.url}/knn-service", data=body, timeout=30).status_code == 200
    assert server.stop(within_s=10.0) == 0
    wait_for(lambda: "stopped" in server.log.read_text(), log=server.log)
