"""The clients, against a server as users start it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import requests

from search_back.clients import ClipClient, SearchClient, SearchError
from search_back.clients.terms import to_terms
from search_back.errors import InputError, InvalidField
from tests.conftest import Chain, LiveServer


@pytest.fixture
def client(live: LiveServer) -> Iterator[SearchClient]:
    with SearchClient(live.url) as opened:
        yield opened


def test_a_line_of_terms(client: SearchClient, chain: Chain) -> None:
    picture = Path(chain.rows[3]["image_path"])
    line = f'2:{chain.rows[0]["caption"]} + path:"{picture}" - #5'
    found = client.search(line, k=7)
    parts = [
        {"text": chain.rows[0]["caption"], "weight": 2},
        {"image": picture},
        {"id": 5, "weight": -1},
    ]
    again = client.search(parts, k=7)
    assert [hit.id for hit in found] == [hit.id for hit in again]
    assert len(found) == 7
    similarities = [hit.similarity for hit in found]
    assert similarities == sorted(similarities, reverse=True)
    assert {"caption", "image_path"} <= set(found.hits[0].metadata)
    thumbnail = str(found.hits[0].fields["thumbnail_url"])
    assert thumbnail.endswith(f"/thumbnails/{found.hits[0].id}")


def test_a_picture_finds_itself(client: SearchClient, chain: Chain) -> None:
    path = Path(chain.rows[4]["image_path"])
    for query in (path, path.read_bytes(), str(path), {"image": path.read_bytes()}):
        (hit,) = client.search(query, k=1)
        assert hit.id == 4
    vector = chain.vectors("image")[4]
    (hit,) = client.search({"embedding": np.float32(vector)}, k=1)
    assert hit.id == 4


def test_pages_hold_every_item_once(client: SearchClient, chain: Chain) -> None:
    pages = list(client.pages(chain.rows[0]["caption"], k=25, columns=[]))
    ids = [hit.id for page in pages for hit in page]
    assert sorted(ids) == list(range(len(chain.rows)))
    assert [len(page) for page in pages[:-1]] == [25] * (len(pages) - 1)
    assert pages[-1].cursor is None


def test_a_table_holds_what_json_holds(client: SearchClient, chain: Chain) -> None:
    table = client.table(chain.rows[0]["caption"], k=20, columns=["caption"])
    found = client.search(chain.rows[0]["caption"], k=20, columns=["caption"])
    assert table.column_names == ["id", "similarity", "caption"]
    assert table["id"].to_pylist() == [hit.id for hit in found]
    assert table["similarity"].to_pylist() == pytest.approx([h.similarity for h in found])
    assert table["caption"].to_pylist() == [hit.metadata["caption"] for hit in found]


def test_maps(client: SearchClient, chain: Chain) -> None:
    some = client.map(np.array([3, 1]), method="pca")
    assert (some["ids"], some["method"]) == ([3, 1], "pca")
    assert sorted(zip(some["x"], some["y"], strict=True)) == [(0.0, 0.5), (1.0, 0.5)]
    whole = client.map(sample=len(chain.rows), clusters=2)
    assert whole["ids"] == list(range(len(chain.rows)))
    assert len(whole["clusters"]) == 2
    with pytest.raises(SearchError, match="either ids or sample"):
        client.map()


def test_metadata_and_indices(client: SearchClient, chain: Chain) -> None:
    rows = client.metadata([3, 1])
    assert [row["id"] for row in rows] == [3, 1]
    assert rows[0]["metadata"]["caption"] == chain.rows[3]["caption"]
    (index,) = client.indices()
    assert index["size"] == len(chain.rows)
    assert index["status"] == "ready"


def test_a_refusal_says_which_field(client: SearchClient) -> None:
    with pytest.raises(SearchError, match="no such metadata column") as caught:
        client.search("cat", columns=["nothing"])
    assert caught.value.status == 400
    assert caught.value.reason == "invalid_field"
    assert caught.value.errors[0]["field"] == "columns"


def test_what_cannot_be_read_is_not_asked(client: SearchClient, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        client.search(tmp_path / "none.jpg")
    with pytest.raises(InvalidField, match="empty"):
        client.search(" ")
    with pytest.raises(requests.ConnectionError):
        SearchClient("http://127.0.0.1:1").search("cat")


def test_a_server_does_not_read_files(live: LiveServer, chain: Chain) -> None:
    path = chain.rows[0]["image_path"]
    answer = requests.post(f"{live.url}/v1/search", json={"query": path}, timeout=60)
    assert answer.status_code == 400
    assert "does not read the files" in answer.json()["message"]


def test_terms() -> None:
    assert to_terms("2:dog - https://example.org/a.jpg + #7") == [
        {"weight": 2.0, "text": "dog"},
        {"weight": -1.0, "image_url": "https://example.org/a.jpg"},
        {"weight": 1.0, "id": 7},
    ]
    assert to_terms([b"x", {"text": "y"}]) == [{"image": "eA=="}, {"text": "y"}]


def test_the_older_client(live: LiveServer, chain: Chain) -> None:
    client = ClipClient(f"{live.url}/knn-service", "index", num_images=5, aesthetic_score=9)
    by_text = client.query(text=chain.rows[2]["caption"])
    assert len(by_text) == 5
    assert {"id", "similarity", "caption"} <= set(by_text[0])
    assert client.query(image=chain.rows[2]["image_path"])[0]["id"] == 2
    vector = chain.vectors("image")[6].tolist()
    assert client.query(embedding_input=vector)[0]["id"] == 6
    with pytest.raises(ValueError, match="give one"):
        client.query()
    with pytest.raises(InputError, match="no such index"):
        ClipClient(f"{live.url}/knn-service", "other").query(text="cat")
