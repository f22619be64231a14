"""Metrics: the names dashboards query, and a summary that people read."""

from __future__ import annotations

import re
import threading
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from search_back.encoders.batching import EncoderObserver
from search_back.errors import FetchFailed
from search_back.interfaces import StepTimer
from search_back.metrics import BUCKETS, STEPS, IndexState, Metrics

ROOT = Path(__file__).parents[2]
NAMES = [
    "full_knn_request_time",
    "download_time",
    "text_clip_inference_time",
    "image_clip_inference_time",
    "metadata_get_time",
    "knn_index_time",
    "dedup_time",
    "safety_time",
    "image_prepro_time",
    "text_prepro_time",
]


def samples(metrics: Metrics) -> dict[str, float]:
    body, _ = metrics.exposition()
    families = text_string_to_metric_families(body.decode())
    return {
        sample.name + "".join(sample.labels.values()): sample.value
        for family in families
        for sample in family.samples
    }


def test_every_histogram_of_the_contract_is_exposed_from_the_start() -> None:
    values = samples(Metrics())
    assert list(STEPS) == NAMES
    for name in NAMES:
        assert values[f"{name}_count"] == 0
        assert values[f"{name}_sum"] == 0
        assert values[f"{name}_bucket+Inf"] == 0


@pytest.mark.parametrize("name", NAMES)
def test_a_help_text_says_the_words_of_its_name(name: str) -> None:
    for word in name.removesuffix("_time").split("_"):
        assert word in STEPS[name]


def test_buckets_go_from_half_a_millisecond_to_half_a_minute() -> None:
    assert (BUCKETS[0], BUCKETS[-1]) == (0.0005, 30.0)
    assert list(BUCKETS) == sorted(set(BUCKETS))


def test_timer_counts_a_block_also_where_it_raises() -> None:
    metrics = Metrics()
    timer: StepTimer = metrics.timer
    with timer("knn_index_time"):
        pass
    with pytest.raises(RuntimeError), timer("knn_index_time"):
        raise RuntimeError
    values = samples(metrics)
    assert values["knn_index_time_count"] == 2
    assert values["knn_index_time_bucket30.0"] == 2
    assert values["download_time_count"] == 0


def test_timer_refuses_a_step_nobody_would_find() -> None:
    with pytest.raises(ValueError, match="'knn_time' is not one of full_knn_request_time"):
        Metrics().timer("knn_time")


def test_errors_are_counted_by_code() -> None:
    metrics = Metrics()
    for code in ("unknown_index", "bad_picture", "unknown_index"):
        metrics.count_error(code)
    values = samples(metrics)
    assert values["search_back_errors_totalunknown_index"] == 2
    assert values["search_back_errors_totalbad_picture"] == 1


def test_what_encoders_do_is_exposed_by_tower() -> None:
    metrics = Metrics()
    watch: EncoderObserver = metrics
    watch.batch("text", 1)
    watch.batch("text", 12)
    watch.waited("text", 0.0)
    watch.waited("text", 0.2)
    watch.batch("image", 3)
    watch.cache("text", hit=True)
    watch.cache("text", hit=True)
    watch.cache("image", hit=False)
    values = samples(metrics)
    assert values["search_back_encoder_batch_rows_counttext"] == 2
    assert values["search_back_encoder_batch_rows_sumtext"] == 13
    assert values["search_back_encoder_batch_rows_bucket1.0text"] == 1
    assert values["search_back_encoder_batch_rows_sumimage"] == 3
    assert values["search_back_encoder_queue_seconds_counttext"] == 2
    assert values["search_back_encoder_queue_seconds_bucket0.0005text"] == 1
    assert values["search_back_encoder_queue_seconds_sumtext"] == pytest.approx(0.2)
    assert values["search_back_encoder_queue_seconds_countimage"] == 0
    assert values["search_back_query_cache_totalhittext"] == 2
    assert values["search_back_query_cache_totalmisstext"] == 0
    assert values["search_back_query_cache_totalmissimage"] == 1


def test_encoders_and_cached_queries_are_counted_when_they_are_read() -> None:
    metrics, there = Metrics(), [0, 0]
    assert samples(metrics)["search_back_encoders_loaded"] == 0
    metrics.watched.encoders(loaded=lambda: there[0], remembered=lambda: there[1])
    there[:] = 2, 30
    values = samples(metrics)
    assert values["search_back_encoders_loaded"] == 2
    assert values["search_back_query_cache_entries"] == 30


def test_exposition_is_prometheus_text_and_tells_the_process() -> None:
    body, content_type = Metrics().exposition()
    assert content_type.startswith("text/plain; version=")
    assert b"process_cpu_seconds_total" in body


def test_two_apps_do_not_share_counts() -> None:
    one, other = Metrics(), Metrics()
    with one.timer("dedup_time"):
        pass
    assert samples(one)["dedup_time_count"] == 1
    assert samples(other)["dedup_time_count"] == 0


def test_threads_lose_no_count() -> None:
    metrics = Metrics()

    def work() -> None:
        for _ in range(200):
            with metrics.timer("dedup_time"):
                pass

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert samples(metrics)["dedup_time_count"] == 800


def test_summary_without_a_call_divides_by_nothing() -> None:
    summary = Metrics().summary()
    assert summary.startswith("0 calls to /knn-service, 0.000000 s on average")
    for name in NAMES:
        assert f"\n{name} " in summary


def test_summary_orders_the_steps_by_total_cost() -> None:
    metrics = Metrics()
    observe = {"full_knn_request_time": [0.5, 1.5], "dedup_time": [0.4], "download_time": [1.0]}
    for step, values in observe.items():
        for value in values:
            metrics._steps[step].observe(value)
    lines = metrics.summary().splitlines()
    assert lines[0].startswith("2 calls to /knn-service, 1.0000")
    assert lines[2].split() == ["name", "calls", "average", "share", "description"]
    assert [line.split()[:5] for line in lines[3:6]] == [
        ["full_knn_request_time", "2", "1.000000", "s", "100.0%"],
        ["download_time", "1", "1.000000", "s", "50.0%"],
        ["dedup_time", "1", "0.400000", "s", "20.0%"],
    ]
    assert len(lines) == 3 + len(NAMES)


def test_requests_are_counted_by_route_method_and_status() -> None:
    metrics = Metrics()
    for method, status in (("GET", 200), ("GET", 200), ("POST", 404), ("BREW", 405)):
        metrics.count_request("/indices/<name>", method=method, status=status, seconds=0.02)
    values = samples(metrics)
    found = {name: value for name, value in values.items() if "requests_total" in name}
    assert found == {
        "search_back_requests_totalGET/indices/<name>200": 2,
        "search_back_requests_totalPOST/indices/<name>404": 1,
        "search_back_requests_totalother/indices/<name>405": 1,
    }
    assert values["search_back_request_seconds_count/indices/<name>"] == 4


def test_waits_and_refusals_are_counted() -> None:
    metrics = Metrics()
    metrics.waited_for_thread(0.003)
    metrics.count_refusal("overloaded")
    values = samples(metrics)
    assert values["search_back_request_wait_seconds_sum"] == 0.003
    assert values["search_back_requests_refused_totaloverloaded"] == 1
    assert values["search_back_requests_refused_totaltoo_slow"] == 0


def test_downloads_are_counted_by_how_they_end() -> None:
    metrics = Metrics()
    with metrics.download():
        pass
    with pytest.raises(FetchFailed), metrics.download():
        raise FetchFailed("gone")
    values = samples(metrics)
    assert values["search_back_downloads_totalok"] == 1
    assert values["search_back_downloads_totalfetch_failed"] == 1
    assert values["download_time_count"] == 2


def test_reloads_are_counted_by_index() -> None:
    metrics = Metrics()
    metrics.expect_reloads("a")
    assert samples(metrics)["search_back_index_reloads_totalaok"] == 0
    metrics.count_reload("a", failed=False)
    metrics.count_reload("b", failed=True)
    values = samples(metrics)
    assert values["search_back_index_reloads_totalaok"] == 1
    assert values["search_back_index_reloads_totalbfailed"] == 1


def test_look_ups_are_counted_by_cache() -> None:
    metrics = Metrics()
    for hit in (True, False, False):
        metrics.look_up["masks"](hit=hit)
    values = samples(metrics)
    assert values["search_back_cache_lookups_totalmaskshit"] == 1
    assert values["search_back_cache_lookups_totalmasksmiss"] == 2
    assert values["search_back_cache_lookups_totalresultshit"] == 0


def test_what_is_watched_is_read_again_when_it_is_old() -> None:
    metrics, there = Metrics(), [1]
    metrics.watched.server(waiting=lambda: there[0], connections=lambda: 3)
    metrics.watched.refresh()
    there[0] = 2
    metrics.watched.refresh(every_s=3600)
    assert metrics.watched._waiting._value.get() == 1
    metrics.watched.refresh()
    assert metrics.watched._waiting._value.get() == 2
    assert samples(metrics)["search_back_connections"] == 3


def test_indices_come_and_go() -> None:
    metrics = Metrics()
    states = [IndexState("a", up=True, encodes=False, items={"image": 3}, size=10)]
    metrics.watched.indices(lambda: states)
    values = samples(metrics)
    assert values["search_back_index_upa"] == 1
    assert values["search_back_index_encoder_upa"] == 0
    assert values["search_back_index_itemsaimage"] == 3
    assert values["search_back_index_bytesa"] == 10

    states[:] = [IndexState("b", up=False)]
    values = samples(metrics)
    assert values["search_back_index_upb"] == 0
    assert [name for name in values if name.startswith("search_back_index_")] == [
        "search_back_index_upb"
    ]


def test_the_operator_is_told_what_every_metric_says() -> None:
    metrics = Metrics()
    metrics.watched.indices(lambda: [IndexState("a", up=True, items={"image": 1})])
    text = (ROOT / "docs/operations.md").read_text(encoding="utf-8")
    families = list(text_string_to_metric_families(metrics.exposition()[0].decode()))
    assert len(families) > 30
    for family in families:
        if not family.name.endswith("_created"):
            suffix = "_total" if family.type == "counter" else ""
            assert re.search(rf"`{family.name}{suffix}[`{{]", text), family.name
