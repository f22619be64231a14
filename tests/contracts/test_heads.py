"""Safety, violence and aesthetic scores over HTTP, with the files of an index's options."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from flask import Flask
from flask.testing import FlaskClient

from search_back.config import IndexOptions, PinnedFile
from search_back.errors import CorruptFile, DimensionMismatch, SearchBackError
from tests.folders import ids_of, unit_rows, write_folder

N, D = 80, 16
ROWS = unit_rows(N, D)
RATED = unit_rows(10, D, seed=5)
AXES = np.eye(D, dtype=np.float32)
UNSAFE = ROWS[:, 3] > 0.1
VIOLENT = ROWS[:, 5] > ROWS[:, 4]
HEADERS = "X-Ignored-Options"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_folder(tmp_path / "index", ROWS)


@pytest.fixture
def safety(tmp_path: Path) -> PinnedFile:
    """Scores above 0.5 where the fourth number is above 0.1."""
    path = tmp_path / "safety.pth"
    torch.save({"weight": torch.from_numpy(AXES[3:4]), "bias": torch.tensor([0.4])}, path)
    return PinnedFile(path)


@pytest.fixture
def violence(tmp_path: Path) -> PinnedFile:
    path = tmp_path / "violence.npy"
    np.save(path, AXES[4:6])
    return PinnedFile(path)


@pytest.fixture
def rated(tmp_path: Path) -> PinnedFile:
    path = tmp_path / "rated"
    path.mkdir()
    for score, row in enumerate(RATED):
        np.save(path / f"rating{score}.npy", row)
    return PinnedFile(path)


def ask(client: FlaskClient, **fields: Any) -> tuple[list[int], str | None]:
    """The ids of all hits, and which options were ignored."""
    body = {"embedding_input": AXES[0].tolist(), "num_images": 5, "num_result_ids": N, **fields}
    answer = client.post("/knn-service", data=json.dumps(body))
    assert answer.status_code == 200, answer.text
    assert all("caption" in item for item in answer.json[:5])
    return ids_of(answer.json), answer.headers.get(HEADERS)


def ranking(query: Any) -> list[int]:
    return np.argsort(-(ROWS @ query), kind="stable").tolist()


def test_flagged_items_are_gone_where_it_is_wished(
    serve_app: Callable[..., Flask], folder: Path, safety: PinnedFile, violence: PinnedFile
) -> None:
    options = IndexOptions(folder, safety_head=safety, violence_head=violence)
    client = serve_app({"i": options}).test_client()
    whole = ranking(AXES[0])
    assert ask(client) == (whole, None)
    for fields, gone in (
        ({"use_safety_model": True}, UNSAFE),
        ({"use_violence_detector": True}, VIOLENT),
        ({"use_safety_model": True, "use_violence_detector": True}, UNSAFE | VIOLENT),
    ):
        assert 0 < np.count_nonzero(gone) < N
        assert ask(client, **fields) == ([id_ for id_ in whole if not gone[id_]], None)
    assert "safety_time_count 3.0" in client.get("/metrics").text


def test_from_quantised_vectors_too(
    serve_app: Callable[..., Flask], tmp_path: Path, safety: PinnedFile
) -> None:
    """Within what eight bits a number can be off."""
    folder = write_folder(tmp_path / "sq", ROWS, factory="IVF1,SQ8")
    client = serve_app({"i": IndexOptions(folder, safety_head=safety)}).test_client()
    kept, _ = ask(client, use_safety_model=True)
    assert ROWS[kept, 3].max() < 0.12
    assert ROWS[list(set(range(N)) - set(kept)), 3].min() > 0.08


def test_how_strict_is_an_option(
    serve_app: Callable[..., Flask], folder: Path, safety: PinnedFile, violence: PinnedFile
) -> None:
    options = IndexOptions(
        folder,
        safety_head=safety,
        safety_threshold=0.8,
        violence_head=violence,
        violence_threshold=0.2,
    )
    client = serve_app({"i": options}).test_client()
    kept, _ = ask(client, use_safety_model=True)
    assert sorted(kept) == np.flatnonzero(ROWS[:, 3] + 0.4 <= 0.8).tolist()
    kept, _ = ask(client, use_violence_detector=True)
    assert sorted(kept) == np.flatnonzero(ROWS[:, 5] - ROWS[:, 4] <= 0.2).tolist()


def test_a_score_draws_the_query(
    serve_app: Callable[..., Flask], folder: Path, rated: PinnedFile
) -> None:
    options = IndexOptions(folder, aesthetic_embeddings=rated)
    client = serve_app({"i": options}).test_client()
    for fields, score, weight in (
        ({"aesthetic_score": 9}, 9, 0.5),
        ({"aesthetic_score": "0", "aesthetic_weight": "0.7"}, 0, 0.7),
        ({"aesthetic_score": 4, "aesthetic_weight": ""}, 4, 0.5),
    ):
        assert ask(client, **fields) == (ranking(AXES[0] + weight * RATED[score]), None)
    assert ask(client, aesthetic_score="") == (ranking(AXES[0]), None)


def test_what_is_not_loaded_is_ignored_and_said_so(
    serve_app: Callable[..., Flask], folder: Path, safety: PinnedFile
) -> None:
    client = serve_app({"i": IndexOptions(folder, safety_head=safety)}).test_client()
    wishes = {"use_safety_model": True, "use_violence_detector": True, "aesthetic_score": 9}
    kept, ignored = ask(client, **wishes)
    assert kept == [id_ for id_ in ranking(AXES[0]) if not UNSAFE[id_]]
    assert ignored == "use_violence_detector, aesthetic_score"


def test_an_old_switch_names_the_file_where_the_option_is_silent(
    serve_app: Callable[..., Flask],
    folder: Path,
    safety: PinnedFile,
    violence: PinnedFile,
    rated: PinnedFile,
    caplog: pytest.LogCaptureFixture,
) -> None:
    options = IndexOptions(
        folder,
        provide_safety_model=safety,
        violence_head=violence,
        provide_violence_detector=True,
        provide_aesthetic_embeddings=rated,
    )
    client = serve_app({"i": options}).test_client()
    wishes = {"use_safety_model": True, "use_violence_detector": True, "aesthetic_score": 9}
    drawn = ranking(AXES[0] + 0.5 * RATED[9])
    assert ask(client, **wishes) == ([i for i in drawn if not (UNSAFE | VIOLENT)[i]], None)
    assert "has no effect" not in caplog.text


def test_an_old_switch_without_a_file_is_said_at_the_start(
    serve_app: Callable[..., Flask], folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    options = IndexOptions(
        folder,
        provide_safety_model=True,
        provide_aesthetic_embeddings=True,
        violence_threshold=0.3,
    )
    client = serve_app({"i": options}).test_client()
    said = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert [line.partition(";")[0] for line in said] == [
        "index 'i': provide_safety_model has no effect without a file: give safety_head",
        "index 'i': violence_threshold has no effect without violence_head",
        "index 'i': provide_aesthetic_embeddings has no effect without a file: "
        "give aesthetic_embeddings",
    ]
    assert ask(client, use_safety_model=True) == (ranking(AXES[0]), "use_safety_model")


def test_the_log_says_what_was_loaded(
    serve_app: Callable[..., Flask],
    folder: Path,
    safety: PinnedFile,
    caplog: pytest.LogCaptureFixture,
) -> None:
    digest = hashlib.sha256(safety.path.read_bytes()).hexdigest()
    with caplog.at_level(logging.INFO):
        serve_app({"i": IndexOptions(folder, safety_head=PinnedFile(safety.path, digest))})
    assert f"read {safety.path}, sha256 {digest}" in caplog.text
    assert "index 'i': safety_head is 16 → 1, linear" in caplog.text


@pytest.mark.parametrize(
    ("option", "content", "error"),
    [
        ("safety_head", b"damaged", CorruptFile),
        ("violence_head", b"", CorruptFile),
        ("aesthetic_embeddings", b"\x93NUMPY", CorruptFile),
        ("safety_head", np.ones(D + 5), DimensionMismatch),
        ("violence_head", np.ones((2, D - 1)), DimensionMismatch),
        ("aesthetic_embeddings", np.ones((10, D - 1)), DimensionMismatch),
        ("provide_safety_model", b"damaged", CorruptFile),
        ("safety_head", None, SearchBackError),
    ],
)
def test_a_file_that_does_not_fit_stops_the_start(
    serve_app: Callable[..., Flask],
    tmp_path: Path,
    folder: Path,
    option: str,
    content: Any,
    error: type[SearchBackError],
) -> None:
    path = tmp_path / "head.npy"
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content is not None:
        np.save(path, content)
    with pytest.raises(error) as caught:
        serve_app({"i": IndexOptions(folder, **{option: PinnedFile(path)})})
    assert str(path) in str(caught.value)


def test_another_file_than_was_asked_for_stops_the_start(
    serve_app: Callable[..., Flask], folder: Path, safety: PinnedFile
) -> None:
    pinned = PinnedFile(safety.path, "ab" * 32)
    with pytest.raises(CorruptFile, match=r"safety\.pth has not the sha256"):
        serve_app({"i": IndexOptions(folder, safety_head=pinned)})
