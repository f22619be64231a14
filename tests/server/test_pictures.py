"""Thumbnails and pictures by their own addresses, and pictures inside answers."""

from __future__ import annotations

import base64
import io
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest
from flask import Flask
from flask.testing import FlaskClient
from PIL import Image

from search_back.config import IndexOptions, Limits
from tests.conftest import Chain
from tests.fakes import picture_bytes
from tests.folders import unit_rows, write_folder

EMBEDDING = [1.0] * 16


@pytest.fixture
def shelf(tmp_path: Path) -> Path:
    """A folder with an index whose pictures are good, broken, gone, outside and no picture."""
    photos, outside = tmp_path / "photos", tmp_path / "outside"
    photos.mkdir()
    outside.mkdir()
    (photos / "good.png").write_bytes(picture_bytes(size=(300, 200)))
    (photos / "broken.jpg").write_bytes(picture_bytes(format="JPEG")[:100])
    (photos / "text.jpg").write_text("no picture")
    (photos / "bitmap.tiff").write_bytes(picture_bytes(format="TIFF"))
    (outside / "secret.png").write_bytes(picture_bytes())
    (photos / "link.png").symlink_to(outside / "secret.png")
    paths = [
        str(photos / "good.png"),
        str(photos / "broken.jpg"),
        str(photos / "gone.jpg"),
        str(outside / "secret.png"),
        str(photos / "link.png"),
        str(photos / "text.jpg"),
        str(photos / ".." / "outside" / "secret.png"),
        "/etc/passwd",
        "",
        None,
        str(photos),
        str(photos / "bitmap.tiff"),
    ]
    table = pa.table({"image_path": paths, "caption": [str(i) for i in range(len(paths))]})
    write_folder(tmp_path / "index", unit_rows(len(paths)), table)
    return tmp_path


GOOD, HIDDEN, TIFF = 0, range(1, 11), 11


@pytest.fixture
def reader(shelf: Path, serve_app: Callable[..., Flask]) -> FlaskClient:
    options = IndexOptions(shelf / "index", image_roots=(shelf / "photos",))
    limits = Limits(max_thumbnail_side=200)
    return serve_app({"s": options}, limits=limits).test_client()


def test_a_page_shows_what_may_be_shown_and_never_fails(reader: FlaskClient) -> None:
    answer = reader.post("/knn-service", data=json.dumps({"embedding_input": EMBEDDING}))
    assert answer.status_code == 200
    items = {item["id"]: item for item in answer.json}
    assert len(items) == 12
    assert {id_ for id_, item in items.items() if "image" in item} == {GOOD, TIFF}
    assert all(item["caption"] == str(id_) for id_, item in items.items())


@pytest.mark.parametrize("kind", ["thumbnails", "pictures"])
@pytest.mark.parametrize("id_", [*HIDDEN, 12, 10**30])
def test_nothing_else_has_an_address(reader: FlaskClient, kind: str, id_: int) -> None:
    answer = reader.get(f"/indices/s/{kind}/{id_}")
    assert answer.status_code == 404
    assert answer.json["code"] == "unknown_id"
    assert "photos" not in answer.text
    assert "secret" not in answer.text


@pytest.mark.parametrize(
    "path",
    [
        "/indices/s/thumbnails/-1",
        "/indices/s/thumbnails/x",
        "/indices/s/pictures/../../../etc/passwd",
        "/indices/s/pictures/..%2f..%2fetc%2fpasswd",
        "/indices/other/thumbnails/0",
        "/indices/other/pictures/0",
        "/indices/s/0",
    ],
)
def test_no_path_leads_out(reader: FlaskClient, path: str) -> None:
    assert reader.get(path).status_code == 404


def test_a_picture_removed_while_it_is_served(reader: FlaskClient, shelf: Path) -> None:
    assert reader.get("/indices/s/pictures/0", buffered=True).status_code == 200
    (shelf / "photos" / "good.png").unlink()
    assert reader.get("/indices/s/pictures/0", buffered=True).status_code == 404
    assert reader.get("/indices/s/thumbnails/0").status_code == 404
    assert "image" not in reader.post("/metadata", data='{"ids": [0]}').json[0]["metadata"]


def test_a_part_of_a_picture(reader: FlaskClient, shelf: Path) -> None:
    whole = (shelf / "photos" / "good.png").read_bytes()
    part = reader.get("/indices/s/pictures/0", headers={"Range": "bytes=4-9"}, buffered=True)
    assert part.status_code == 206
    assert part.data == whole[4:10]
    assert part.headers["Content-Range"] == f"bytes 4-9/{len(whole)}"
    behind = {"Range": f"bytes={len(whole)}-"}
    assert reader.get("/indices/s/pictures/0", headers=behind, buffered=True).status_code == 416


def test_a_thumbnail_is_within_its_size(reader: FlaskClient) -> None:
    answer = reader.get("/indices/s/thumbnails/0?size=90")
    assert answer.mimetype == "image/jpeg"
    with Image.open(io.BytesIO(answer.data)) as image:
        assert image.size == (90, 60)


def test_placeholders_come_to_those_who_ask(reader: FlaskClient) -> None:
    def hits(**asked: object) -> dict[int, dict[str, object]]:
        body = {"query": [{"embedding": EMBEDDING}], **asked}
        return {hit["id"]: hit for hit in reader.post("/v1/search", json=body).json["hits"]}

    assert not any("placeholder" in hit for hit in hits(placeholders=True).values())
    reader.get("/indices/s/thumbnails/0")
    reader.get("/indices/s/thumbnails/3")
    found = hits(placeholders=True)
    assert {id_ for id_, hit in found.items() if "placeholder" in hit} == {GOOD}
    assert len(base64.b64decode(str(found[GOOD]["placeholder"]))) == 3 * 4 * 4
    for others in ({}, {"pictures": "none"}, {"pictures": "inline"}):
        asked = {"placeholders": bool(others), **others}
        assert not any("placeholder" in hit for hit in hits(**asked).values())


@pytest.mark.parametrize("size", ["0", "-1", "201", "big", "1.5", "", "9" * 5000, "٣", "²"])
def test_another_size_is_refused(reader: FlaskClient, size: str) -> None:
    answer = reader.get("/indices/s/thumbnails/0", query_string={"size": size})
    assert answer.status_code == 400
    assert answer.json["errors"][0]["field"] == "size"
    assert "1 to 200" in answer.json["message"]


def test_a_picture_is_sent_as_it_is(reader: FlaskClient, shelf: Path) -> None:
    answer = reader.get("/indices/s/pictures/0", buffered=True)
    assert answer.mimetype == "image/png"
    assert answer.data == (shelf / "photos" / "good.png").read_bytes()


def test_a_kind_no_browser_shows_has_a_thumbnail_only(reader: FlaskClient) -> None:
    assert reader.get(f"/indices/s/pictures/{TIFF}").status_code == 404
    assert reader.get(f"/indices/s/thumbnails/{TIFF}").status_code == 200


@pytest.mark.parametrize("path", ["/indices/s/pictures/0", "/indices/s/thumbnails/0"])
def test_it_is_not_sent_twice(reader: FlaskClient, shelf: Path, path: str) -> None:
    first = reader.get(path, buffered=True)
    again = reader.get(path, headers={"If-None-Match": first.headers["ETag"]}, buffered=True)
    assert again.status_code == 304
    assert again.data == b""

    (shelf / "photos" / "good.png").write_bytes(picture_bytes("blue", size=(300, 200)))
    os.utime(shelf / "photos" / "good.png", (1, 1))
    changed = reader.get(path, headers={"If-None-Match": first.headers["ETag"]}, buffered=True)
    assert changed.status_code == 200
    assert changed.headers["ETag"] != first.headers["ETag"]


@pytest.mark.parametrize("path", ["/indices/s/pictures/0", "/indices/s/thumbnails/0"])
def test_a_browser_takes_it_for_nothing_else(reader: FlaskClient, path: str) -> None:
    headers = reader.get(path, buffered=True).headers
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert "default-src 'none'" in headers["Content-Security-Policy"]
    assert "private" in headers["Cache-Control"]


def test_without_roots_nothing_is_shown(serve_app: Callable[..., Flask], shelf: Path) -> None:
    client = serve_app({"s": IndexOptions(shelf / "index")}).test_client()
    items = client.post("/knn-service", data=json.dumps({"embedding_input": EMBEDDING})).json
    assert len(items) == 12
    assert not any("image" in item for item in items)
    assert client.get("/indices/s/pictures/0", buffered=True).status_code == 404


def test_the_path_is_not_told_where_it_is_not_asked_for(
    serve_app: Callable[..., Flask], chain: Chain
) -> None:
    options = IndexOptions(chain.index, columns_to_return=("caption",))
    client = serve_app({"s": options}).test_client()
    (item,) = client.post("/knn-service", data='{"text": "a", "num_images": 1}').json
    assert set(item) == {"caption", "image", "id", "similarity"}


def test_pictures_that_moved_are_found_under_the_new_root(
    serve_app: Callable[..., Flask], shelf: Path
) -> None:
    shutil.copytree(shelf / "photos", shelf / "moved", symlinks=True)
    table = pa.table({"image_path": ["good.png", "../outside/secret.png"]})
    write_folder(shelf / "relative", unit_rows(2), table)
    options = IndexOptions(shelf / "relative", image_roots=(shelf / "moved",))
    client = serve_app({"s": options}).test_client()
    assert client.get("/indices/s/pictures/0", buffered=True).status_code == 200
    assert client.get("/indices/s/pictures/1").status_code == 404


def test_an_index_of_any_name_has_addresses(serve_app: Callable[..., Flask], chain: Chain) -> None:
    name = "Größe & a/b?#%"
    client = serve_app({name: IndexOptions(chain.index)}).test_client()
    body = json.dumps({"text": "a", "num_images": 1, "images": "link", "indice_name": name})
    (item,) = client.post("/knn-service", data=body).json
    assert client.get(item["thumbnail_url"]).mimetype == "image/jpeg"
