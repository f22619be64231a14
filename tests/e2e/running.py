"""What the page talks to: a real server in a process of its own, and a host of plain files."""

from __future__ import annotations

import functools
import subprocess
import sys
import threading
from collections.abc import Mapping
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType

from search_back.files import write_json

STOP_S = 30


class SearchServer:
    """``search-back back`` on a free port of this machine. Started again, it keeps its port."""

    def __init__(self, folder: Path, indices: Mapping[str, Path], *options: str) -> None:
        folder.mkdir(parents=True)
        self._paths = folder / "indices_paths.json"
        write_json(self._paths, {name: str(index) for name, index in indices.items()})
        self._options = options
        self._port = 0
        self._log: list[str] = []
        self._process: subprocess.Popen[str] | None = None

    @property
    def url(self) -> str:
        """``http://127.0.0.1:PORT/``"""
        assert self._port, "the server has not been started"
        return f"http://127.0.0.1:{self._port}/"

    def start(self) -> None:
        """Return once the server answers; what it printed is in the error where it does not."""
        command = [sys.executable, "-m", "search_back.cli", "back"]
        command += ["--indices-paths", str(self._paths), "--port", str(self._port)]
        process = self._process = subprocess.Popen(
            [*command, *self._options],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            encoding="utf-8",
        )
        assert process.stderr is not None
        for line in process.stderr:
            self._log.append(line)
            if line.startswith("serving "):
                self._port = int(line.rsplit(":", 1)[1])
                break
        else:
            process.wait(STOP_S)
            raise AssertionError(f"the server did not start:\n{''.join(self._log)}")
        # A pipe that nobody reads would stop the server once it is full.
        self._reader = threading.Thread(target=self._log.extend, args=(process.stderr,))
        self._reader.start()

    def stop(self) -> None:
        """Terminate the server; fails where it has logged an error of its own."""
        process, self._process = self._process, None
        if process is None:
            return
        process.terminate()
        try:
            process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise
        finally:
            self._reader.join(STOP_S)
            assert process.stderr is not None
            process.stderr.close()
        assert " ERROR " not in "".join(self._log), "".join(self._log)

    def __enter__(self) -> SearchServer:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()


class FileHost:
    """The files of a folder at an origin of their own."""

    def __init__(self, folder: Path) -> None:
        handler = functools.partial(_Quiet, directory=str(folder))
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}/"

    def __enter__(self) -> FileHost:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *args: object) -> None:
        pass
