"""Servers of this machine that run while a test does."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from socketserver import BaseServer


@contextmanager
def running(server: BaseServer) -> Iterator[None]:
    """Answers in a thread until the block ends; the server is closed then."""
    # It looks this often whether it is to stop, which the end of the block waits for.
    options = {"poll_interval": 0.01}
    with server:
        thread = threading.Thread(target=server.serve_forever, kwargs=options, daemon=True)
        thread.start()
        try:
            yield
        finally:
            server.shutdown()
            thread.join()
