from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator

import numpy as np

from search_back.inference.items import Item
from search_back.inference.mapper import batches
from search_back.inference.plan import Plan
from search_back.inference.report import Failure
from search_back.inference.source import Placed
from search_back.types import FloatArray
from tests.fakes import FakeEncoder, picture_bytes

IMAGES = Plan(image=True, text=False, pairs_only=False)


def items(count: int, read: list[int]) -> Iterator[Placed]:
    data = picture_bytes("red")
    for i in range(count):
        read.append(i)
        yield Placed(i // 10, Item(key=str(i), image_path=str(i), image=lambda: data))


def test_memory_is_bounded_by_the_batch_not_by_the_input(encoder: FakeEncoder) -> None:
    read: list[int] = []
    stream = batches(items(500, read), encoder, IMAGES, batch_size=8, workers=2)
    # A batch and what the workers have in hand; or twice as many batches as workers.
    ahead = 8 * 2 * 2 if encoder.runtime.threads else 8 + 2 * 2
    done = 0
    taken: Counter[int] = Counter()
    for batch in stream:
        done += len(batch.rows)
        taken += batch.taken
        assert len(read) <= done + ahead
    assert done == 500
    assert taken == dict.fromkeys(range(50), 10)


def test_the_next_batch_is_decoded_while_the_encoder_works() -> None:
    ahead = threading.Event()
    decoded = 0
    lock = threading.Lock()

    class Watching(FakeEncoder):
        def preprocess(self, picture: bytes) -> FloatArray:
            nonlocal decoded
            with lock:
                decoded += 1
                if decoded >= 8:
                    ahead.set()
            return super().preprocess(picture)

        def encode_pixels(self, pixels: FloatArray) -> FloatArray:
            assert ahead.wait(10), "the encoder waits for pictures that nobody decodes"
            return super().encode_pixels(pixels)

    stream = batches(items(40, []), Watching(), IMAGES, batch_size=4, workers=2)
    assert [len(batch.rows) for batch in stream] == [4] * 10


def test_a_vector_that_points_nowhere_costs_its_item_only() -> None:
    class Broken(FakeEncoder):
        def encode_pixels(self, pixels: FloatArray) -> FloatArray:
            vectors: FloatArray = super().encode_pixels(pixels).copy()
            vectors[1], vectors[2] = np.nan, 0
            return vectors

    (batch,) = batches(items(4, []), Broken(), IMAGES, batch_size=4, workers=1)
    assert [row.image_path for row in batch.rows] == ["0", "3"]
    assert batch.image is not None and len(batch.image) == 2
    assert [(f.key, f.stage) for f in batch.failures] == [("1", "encode"), ("2", "encode")]


def test_failures_reach_the_caller_though_no_batch_fills(encoder: FakeEncoder) -> None:
    failures = iter([Placed(0, Failure(str(i), "read", "bad")) for i in range(100)])
    found = list(batches(failures, encoder, IMAGES, batch_size=4, workers=1))
    assert len(found) > 1
    assert sum(len(batch.failures) for batch in found) == 100
    assert sum(batch.items for batch in found) == 0
