"""Many queries at once, queries that were asked before, and queries that were cut, over HTTP."""

from __future__ import annotations

import base64
import json
import selectors
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import requests
from flask import Flask
from prometheus_client.parser import text_string_to_metric_families

from search_back.config import IndexOptions, ServerSettings
from search_back.encoders.batching import BatchingEncoder
from search_back.encoders.cache import CachingEncoder
from search_back.interfaces import Encoder
from search_back.server import create_app
from search_back.server.listening import Bounds, HttpServer
from search_back.server.serve import bind
from search_back.services import Services
from search_back.types import FloatArray, Tokens
from tests.conftest import Chain
from tests.fakes import FakeEncoder
from tests.folders import unit_rows, write_folder

PATIENCE_S = 60.0
ORIGIN = {"Origin": "http://elsewhere"}


def samples(app: Flask) -> dict[str, float]:
    """The metrics of an app by `name`, or `name{label values}`."""
    families = text_string_to_metric_families(app.test_client().get("/metrics").text)
    return {
        s.name + (f"{{{','.join(s.labels.values())}}}" if s.labels else ""): s.value
        for family in families
        for s in family.samples
    }


def ask(app: Flask, text: str) -> Any:
    return app.test_client().post("/knn-service", json={"text": text}, headers=ORIGIN)


class Held(FakeEncoder):
    """Encodes texts when it is told to."""

    def __init__(self) -> None:
        super().__init__(dimension=16)
        self.running, self.released = threading.Event(), threading.Event()

    def encode_tokens(self, tokens: Tokens) -> FloatArray:
        self.running.set()
        assert self.released.wait(PATIENCE_S)
        return super().encode_tokens(tokens)


@pytest.fixture
def serve_encoder(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Iterator[Callable[..., Services]]:
    """`serve_encoder(encoder, **settings)` → services that answer words with it."""
    opened: list[Services] = []

    def serve(encoder: Encoder, **settings: Any) -> Services:
        monkeypatch.setattr("search_back.services.load_encoder", lambda name, **_: encoder)
        folder = write_folder(tmp_path / "index", unit_rows(20))
        indices = {"index": IndexOptions(folder, clip_model="emoji")}
        opened.append(Services(ServerSettings(indices=indices, **settings)))
        return opened[-1]

    yield serve
    for services in opened:
        services.close()


def test_a_full_queue_is_503_and_says_when_to_come_again(
    serve_encoder: Callable[..., Services],
) -> None:
    held = Held()
    services = serve_encoder(held, max_queued_queries=2)
    app = create_app(services)
    with ThreadPoolExecutor(3) as threads:
        first = threads.submit(ask, app, "first")
        assert held.running.wait(PATIENCE_S)
        waiting = [threads.submit(ask, app, f"waits {number}") for number in range(2)]
        deadline = time.monotonic() + PATIENCE_S
        while queued_texts(services) < 2:
            assert time.monotonic() < deadline, "they did not come to the queue"
            time.sleep(0.001)
        refused = ask(app, "too many")
        held.released.set()
        assert [call.result().status_code for call in (first, *waiting)] == [200] * 3
    assert refused.status_code == 503
    assert refused.json["code"] == "overloaded"
    assert "max_queued_queries is 2" in refused.json["message"]
    assert int(refused.headers["Retry-After"]) >= 1
    assert "Retry-After" in refused.headers["Access-Control-Expose-Headers"]
    values = samples(app)
    assert values["search_back_errors_total{overloaded}"] == 1
    assert values["search_back_encoder_batch_rows_count{text}"] == 2
    assert values["search_back_encoder_batch_rows_sum{text}"] == 3
    assert values["search_back_encoder_queue_seconds_count{text}"] == 3
    assert values["search_back_encoder_queue_seconds_sum{text}"] > 0
    assert ask(app, "again").status_code == 200


def test_of_hundreds_at_once_some_wait_and_the_rest_are_told_at_once(
    serve_encoder: Callable[..., Services],
) -> None:
    held = Held()
    listener = bind("127.0.0.1", 0)
    app = create_app(serve_encoder(held))
    server = HttpServer(
        app, listener, Bounds(threads=4, max_waiting=20, max_body_bytes=1000, max_connections=500)
    )
    stop = threading.Event()
    loop = threading.Thread(target=server.serve, args=(stop.is_set,))
    loop.start()
    try:
        statuses = Counter[int]()
        with ExitStack() as stack, selectors.DefaultSelector() as ready:
            for number in range(400):
                client = stack.enter_context(socket.create_connection(listener.getsockname()))
                client.sendall(query_for(f"text {number}"))
                ready.register(client, selectors.EVENT_READ)
            # As long as the encoder is at work nobody else comes through.
            count_answers(ready, statuses, until=376)
            assert statuses == {503: 376}
            health = requests.get(
                f"http://127.0.0.1:{listener.getsockname()[1]}/health", timeout=60
            )
            assert health.status_code == 200
            held.released.set()
            count_answers(ready, statuses, until=400)
        assert statuses == {503: 376, 200: 24}
    finally:
        held.released.set()
        stop.set()
        server.pull_trigger()
        loop.join(PATIENCE_S)
        server.drain(PATIENCE_S)
        server.close()
        listener.close()


def query_for(text: str) -> bytes:
    body = json.dumps({"text": text}).encode()
    head = f"POST /knn-service HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n"
    return f"{head}Content-Type: application/json\r\n\r\n".encode() + body


def count_answers(ready: selectors.BaseSelector, statuses: Counter[int], *, until: int) -> None:
    """Take one answer of each client, until so many have come in all."""
    while statuses.total() < until:
        chosen = ready.select(PATIENCE_S)
        assert chosen, f"no more answers after {statuses}"
        for key, _ in chosen:
            assert isinstance(key.fileobj, socket.socket)
            statuses[int(key.fileobj.recv(12)[9:])] += 1
            ready.unregister(key.fileobj)


def queued_texts(services: Services) -> int:
    encoder = services.encoders.get("emoji")
    assert isinstance(encoder, CachingEncoder)
    assert isinstance(encoder._encoder, BatchingEncoder)
    return len(encoder._encoder._texts.queue)


def test_without_batching_nothing_is_refused(serve_encoder: Callable[..., Services]) -> None:
    encoder = FakeEncoder(dimension=16)
    app = create_app(serve_encoder(encoder, batching=False, max_queued_queries=1))
    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(lambda n: ask(app, f"text {n}"), range(32)))
    assert {answer.status_code for answer in answers} == {200}
    assert samples(app)["search_back_encoder_batch_rows_count{text}"] == 0


def test_queries_at_once_have_the_answers_of_queries_alone(
    serve_app: Callable[..., Flask], chain: Chain
) -> None:
    texts = [f"{colour} {thing}" for colour in ("red", "green") for thing in ("car", "cat", "hat")]
    app = serve_app({"emoji": IndexOptions(chain.index)}, query_cache_entries=0)
    alone = [[hit["id"] for hit in ask(app, text).json[:5]] for text in texts]
    with ThreadPoolExecutor(6) as threads:
        together = list(threads.map(lambda text: ask(app, text).json[:5], texts))
    assert [[hit["id"] for hit in hits] for hits in together] == alone


def test_a_query_asked_again_is_answered_from_the_cache(
    serve_app: Callable[..., Flask], chain: Chain
) -> None:
    app = serve_app({"emoji": IndexOptions(chain.index)})
    first, second = ask(app, "a red car"), ask(app, "a red car")
    assert first.json == second.json
    values = samples(app)
    assert values["search_back_query_cache_total{miss,text}"] == 1
    assert values["search_back_query_cache_total{hit,text}"] == 1
    assert values["search_back_query_cache_total{hit,image}"] == 0
    assert values["search_back_query_cache_entries"] == 1
    assert values["search_back_encoders_loaded"] == 1
    assert values["search_back_encoder_batch_rows_count{text}"] == 1
    # A query from the cache is one of which every step took next to nothing.
    assert values["text_prepro_time_count"] == values["text_clip_inference_time_count"] == 2


def test_a_picture_asked_again_is_answered_from_the_cache(
    serve_app: Callable[..., Flask], chain: Chain
) -> None:
    app = serve_app({"emoji": IndexOptions(chain.index)})
    data = next(chain.pictures.glob("*.jpg")).read_bytes()
    body = {"image": base64.b64encode(data).decode()}
    first, second = (app.test_client().post("/knn-service", json=body) for _ in range(2))
    assert first.json == second.json
    values = samples(app)
    assert values["search_back_query_cache_total{hit,image}"] == 1
    assert values["search_back_encoder_batch_rows_sum{image}"] == 1
    assert values["image_prepro_time_count"] == values["image_clip_inference_time_count"] == 2


def test_warming_up_leaves_no_trace_in_the_metrics(chain: Chain) -> None:
    services = Services(ServerSettings(indices={"emoji": IndexOptions(chain.index)}))
    services.warm_up()
    values = samples(create_app(services))
    services.close()
    assert values["search_back_encoders_loaded"] == 1
    assert values["search_back_encoder_batch_rows_count{text}"] == 0
    assert values["search_back_query_cache_entries"] == 0
    assert values["text_clip_inference_time_count"] == 0


def test_a_text_that_was_cut_is_told_also_from_the_cache(
    serve_app: Callable[..., Flask], chain: Chain
) -> None:
    app = serve_app({"emoji": IndexOptions(chain.index)})
    for _ in range(2):
        answer = ask(app, "apple " * 50)
        assert answer.headers["X-Truncated-Texts"] == "1"
        assert "X-Truncated-Texts" in answer.headers["Access-Control-Expose-Headers"]
    assert "X-Truncated-Texts" not in ask(app, "apple").headers
