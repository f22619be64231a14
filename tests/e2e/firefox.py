"""Firefox, driven over the protocol that it speaks itself: Marionette, JSON over a socket."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import threading
from pathlib import Path
from types import TracebackType
from typing import Any

NAMES = ("firefox", "firefox-esr")
START_S = STOP_S = 60
WAIT_MS = 60_000
ANSWER_S = 2 * WAIT_MS / 1000
ENTER = "\ue007"
_LISTENS = re.compile(r"Marionette\s.*Listening on port (\d+)")
# A test has a profile of its own, and nothing but this machine can be reached from it.
_PREFERENCES = {
    "app.update.enabled": False,
    "browser.shell.checkDefaultBrowser": False,
    "datareporting.policy.dataSubmissionEnabled": False,
    "intl.accept_languages": "en",
    "marionette.port": 0,
    "network.dns.disabled": True,
    "ui.prefersReducedMotion": 1,
}
_UNTIL = """
const [isSo, done] = [() => (SOURCE), arguments[arguments.length - 1]];
(function look() {
  const found = isSo();
  if (found) done(found);
  else setTimeout(look, 20);
})();
"""


class Firefox:
    """A window of its own. Elements are named by selectors; scripts are expressions of the page."""

    def __init__(self, executable: str, profile: Path) -> None:
        profile.mkdir(parents=True)
        lines = [f"user_pref({json.dumps(k)}, {json.dumps(v)});" for k, v in _PREFERENCES.items()]
        (profile / "user.js").write_text("\n".join(lines), encoding="utf-8")
        self._command = [executable, "--headless", "--marionette", "--no-remote"]
        self._command += ["--profile", str(profile)]
        # It refuses a home that belongs to somebody else, as a container's may.
        self._environment = {**os.environ, "HOME": str(profile)}
        self._sent = 0

    def open(self, url: str) -> None:
        """Return once the page's own scripts have run."""
        self._call("WebDriver:Navigate", url=url)
        self.until("'ready' in document.documentElement.dataset")

    def type(self, selector: str, text: str) -> None:
        self._call("WebDriver:ElementSendKeys", id=self._element(selector), text=text)

    def click(self, selector: str) -> None:
        self._call("WebDriver:ElementClick", id=self._element(selector))

    def until(self, expression: str) -> Any:
        """The value of a JavaScript expression once it is true; fails where that takes too long."""
        script = _UNTIL.replace("SOURCE", expression)
        return self._call("WebDriver:ExecuteAsyncScript", script=script, args=[])["value"]

    def _element(self, selector: str) -> str:
        using = {"using": "css selector", "value": selector}
        (found,) = self._call("WebDriver:FindElement", **using)["value"].values()
        return str(found)

    def _call(self, name: str, **parameters: Any) -> Any:
        self._sent += 1
        message = json.dumps([0, self._sent, name, parameters]).encode()
        self._socket.sendall(b"%d:%s" % (len(message), message))
        _, _, error, result = self._read()
        assert error is None, f"{name}: {error}"
        return result

    def _read(self) -> Any:
        size = b""
        while not size.endswith(b":"):
            byte = self._answers.read(1)
            assert byte, "Firefox has ended"
            size += byte
        return json.loads(self._answers.read(int(size[:-1])))

    def __enter__(self) -> Firefox:
        self._process = subprocess.Popen(
            self._command,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=self._environment,
            text=True,
            encoding="utf-8",
        )
        assert self._process.stdout is not None
        log: list[str] = []
        # Its log ends with it.
        late = threading.Timer(START_S, self._process.kill)
        late.start()
        for line in self._process.stdout:
            log.append(line)
            if listens := _LISTENS.search(line):
                break
        else:
            raise AssertionError(f"Firefox did not start:\n{''.join(log)}")
        late.cancel()
        # A pipe that nobody reads would stop the browser once it is full.
        self._reader = threading.Thread(target=log.extend, args=(self._process.stdout,))
        self._reader.start()
        self._socket = socket.create_connection(("127.0.0.1", int(listens[1])), ANSWER_S)
        self._answers = self._socket.makefile("rb")
        self._read()  # It says what it is.
        self._call("WebDriver:NewSession")
        self._call("WebDriver:SetTimeouts", script=WAIT_MS)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._answers.close()
        self._socket.close()
        self._process.terminate()
        try:
            self._process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
            raise
        finally:
            self._reader.join(STOP_S)
            assert self._process.stdout is not None
            self._process.stdout.close()
