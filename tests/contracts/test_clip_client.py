"""clip-retrieval's own `ClipClient`, unmodified, against a running server."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import zipfile
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from tests.conftest import Chain, LiveServer

VERSION = "2.45.0"
CACHE = Path(__file__).parents[2] / "build" / "peer"


@pytest.fixture(scope="module")
def peer(tmp_path_factory: pytest.TempPathFactory) -> ModuleType:
    """The client's module out of the released wheel, which is downloaded once."""
    wheel = next(CACHE.glob(f"clip_retrieval-{VERSION}-*.whl"), None)
    if wheel is None:
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
        done = subprocess.run(
            [*command, "--dest", str(CACHE), f"clip-retrieval=={VERSION}"],
            capture_output=True,
            text=True,
            check=False,
        )
        wheel = next(CACHE.glob(f"clip_retrieval-{VERSION}-*.whl"), None)
        if wheel is None:
            reason = f"clip-retrieval {VERSION} cannot be downloaded: {done.stderr[-300:]}"
            if os.environ.get("SEARCH_BACK_REQUIRE_BROWSER"):
                pytest.fail(reason)
            pytest.skip(reason)
    folder = tmp_path_factory.mktemp("peer")
    with zipfile.ZipFile(wheel) as archive:
        path = archive.extract("clip_retrieval/clip_client.py", folder)
    spec = importlib.util.spec_from_file_location("peer_clip_client", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def clip_client(peer: ModuleType, live: LiveServer) -> Any:
    return peer.ClipClient(url=f"{live.url}/knn-service", indice_name="index", num_images=5)


def test_text(clip_client: Any) -> None:
    found = clip_client.query(text="a yellow face")
    assert 1 <= len(found) <= 5
    for item in found:
        assert {"id", "similarity", "caption", "image_path", "image"} <= set(item)


def test_a_picture_of_the_disk(clip_client: Any, chain: Chain) -> None:
    found = clip_client.query(image=chain.rows[12]["image_path"])
    assert found[0]["id"] == 12
    assert found[0]["caption"] == chain.rows[12]["caption"]


def test_a_picture_by_its_address(clip_client: Any, chain: Chain, picture_host: str) -> None:
    name = Path(chain.rows[3]["image_path"]).name
    assert clip_client.query(image=f"{picture_host}/{name}")[0]["id"] == 3


def test_an_embedding(clip_client: Any, chain: Chain) -> None:
    embedding = (chain.vectors("image")[8] * 3).tolist()
    assert clip_client.query(embedding_input=embedding)[0]["id"] == 8


def test_its_defaults(peer: ModuleType, live: LiveServer) -> None:
    client = peer.ClipClient(url=f"{live.url}/knn-service", indice_name="index")
    found = client.query(text="cat")
    # Forty, less those that are near-duplicates of a better one.
    assert 2 <= len(found) <= 40
    assert all("caption" in item for item in found)
    client.deduplicate = False
    assert len(client.query(text="cat")) == 40


def test_the_address_may_end_in_two_slashes(peer: ModuleType, live: LiveServer) -> None:
    client = peer.ClipClient(url=f"{live.url}//knn-service", indice_name="index")
    assert client.query(text="cat")


def test_captions_instead_of_pictures(peer: ModuleType, live: LiveServer, chain: Chain) -> None:
    client = peer.ClipClient(
        url=f"{live.url}/knn-service",
        indice_name="index",
        modality=peer.Modality.TEXT,
        num_images=3,
    )
    assert client.query(text=chain.rows[20]["caption"])[0]["caption"] == chain.rows[20]["caption"]


def test_in_a_loop_a_result_is_the_next_query(clip_client: Any) -> None:
    clip_client.deduplicate = False
    seen: list[int] = []
    query: dict[str, str] = {"text": "a face"}
    for _ in range(4):
        found = clip_client.query(**query)
        fresh = next(item for item in found if item["id"] not in seen)
        seen.append(fresh["id"])
        query = {"image": fresh["image_path"]}
    assert len(seen) == 4


def test_a_mistake_is_a_message(peer: ModuleType, live: LiveServer) -> None:
    client = peer.ClipClient(url=f"{live.url}/knn-service", indice_name="laion5B")
    answer = client.query(text="cat")
    assert "laion5B" in answer["message"]
