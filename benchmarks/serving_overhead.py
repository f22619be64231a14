"""What a request costs beyond the engine: reading, validation, writing."""

from __future__ import annotations

import io
import json
import statistics
import time
from typing import Any

from serving_folders import NAME, Folders

from search_back.config import IndexOptions, ServerSettings
from search_back.server import create_app
from search_back.services import Services


def overhead(folders: Folders, bodies: list[dict[str, Any]]) -> dict[str, float]:
    """CPU milliseconds of the thread that answers, medians: all of it, the engine, the rest."""
    options = IndexOptions(
        folders.ours,
        enable_hdf5=True,
        enable_faiss_memory_mapping=True,
        clip_model=str(folders.model.parent / "int8"),
    )
    services = Services(ServerSettings(indices={NAME: options}))
    services.open()
    index = services.index(NAME)
    app = create_app(services)
    search, engine_s = index.search, 0.0

    def timed(query: Any) -> Any:
        nonlocal engine_s
        began = time.thread_time()
        page = search(query)
        engine_s = time.thread_time() - began
        return page

    index.search = timed  # type: ignore[method-assign]
    totals, engines = [], []
    for body in bodies:
        data = json.dumps(body).encode()
        environ = _environ(data)
        began = time.thread_time()
        answer = b"".join(app(environ, lambda status, headers, error=None: None))
        totals.append(time.thread_time() - began)
        engines.append(engine_s)
        assert len(json.loads(answer)) == body["num_images"]
    services.close()
    rest = [total - engine for total, engine in zip(totals, engines, strict=True)]
    named = {"request": totals, "engine": engines, "rest": rest}
    return {f"{name}_ms": round(statistics.median(s) * 1e3, 3) for name, s in named.items()}


def _environ(data: bytes) -> dict[str, Any]:
    return {
        "REQUEST_METHOD": "POST",
        "PATH_INFO": "/knn-service",
        "SCRIPT_NAME": "",
        "QUERY_STRING": "",
        "SERVER_NAME": "localhost",
        "SERVER_PORT": "1234",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "HTTP_HOST": "localhost",
        "CONTENT_TYPE": "application/json",
        "CONTENT_LENGTH": str(len(data)),
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(data),
        "wsgi.errors": io.StringIO(),
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
    }
