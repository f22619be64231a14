"""A tar that a command writes to its standard output: ``pipe:curl -s https://…/00.tar``."""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO, Final

from search_back.errors import ConfigError
from search_back.inference.settings import PIPE

_ACTIVE: Final = frozenset("|&;<>()$`*?[]\n")
_ACTIVE_IN_DOUBLE_QUOTES: Final = frozenset("$`")
_STDERR_TAIL: Final = 4096
# A command that has closed its output has nothing left to do.
_PATIENCE_S: Final = 10.0


class CommandFailed(Exception):
    """A command that could not be started, or ended with another status than 0."""


@dataclass(frozen=True, slots=True)
class Pipe:
    """A command taken apart; ``str(pipe)`` is how it was given."""

    command: str
    words: tuple[str, ...]

    def __str__(self) -> str:
        return PIPE + self.command


def parse_pipe(text: str) -> Pipe:
    """``pipe:`` and a command, cut into words as a shell does; no shell ever sees it.

    What a shell would act on (``|``, ``>``, ``$``, ``*`` …) is refused unless quoted, so that no
    command means something else here. Raises ``ConfigError``, also for an unknown program.
    """
    command = text.removeprefix(PIPE).strip()
    active = _active(command)
    if active is not None:
        raise ConfigError(
            f"a command of --input-dataset holds {active!r}, which only a shell understands",
            value=text,
            remedy="commands run without a shell: quote it ('…') where it is meant as it stands, "
            "or call a script",
        )
    try:
        words = tuple(shlex.split(command))
    except ValueError as error:
        raise ConfigError(
            "a command of --input-dataset cannot be taken apart",
            value=text,
            remedy=f"{error}; close every quote",
        ) from error
    if not words:
        raise ConfigError(
            "--input-dataset names no command", value=text, remedy="give pipe:cat part-{00..03}.tar"
        )
    if shutil.which(words[0]) is None:
        raise ConfigError(
            f"there is no program {words[0]!r}", value=text, remedy="install it, or give its path"
        )
    return Pipe(command, words)


class Running:
    """A command at work; ``output`` is what it writes. For one thread."""

    def __init__(self, process: subprocess.Popen[bytes], stderr: IO[bytes]) -> None:
        assert process.stdout is not None
        self.output: IO[bytes] = process.stdout
        self._process = process
        self._stderr = stderr

    def check(self) -> None:
        """Wait for the end of a command whose output has ended; raises ``CommandFailed``."""
        try:
            status = self._process.wait(_PATIENCE_S)
        except subprocess.TimeoutExpired:
            raise CommandFailed(
                f"the command closed its output and went on for {_PATIENCE_S:.0f} s{self.said()}"
            ) from None
        if status:
            ended = f"status {status}" if status > 0 else f"signal {-status}"
            raise CommandFailed(f"the command ended with {ended}{self.said()}")

    def said(self) -> str:
        """``: `` and the last line of its standard error; empty where there is none."""
        end = self._stderr.seek(0, os.SEEK_END)
        self._stderr.seek(max(0, end - _STDERR_TAIL))
        lines = self._stderr.read().decode("utf-8", "replace").strip().splitlines()
        return f": {lines[-1].strip()}" if lines else ""


@contextmanager
def running(pipe: Pipe) -> Iterator[Running]:
    """Start the command; when the block ends, however it does, it and its children are gone.

    Raises ``CommandFailed`` where it cannot be started.
    """
    # A file, not a pipe: nobody reads it meanwhile, and a full pipe would stop the command.
    with tempfile.TemporaryFile() as stderr:
        try:
            process = subprocess.Popen(  # noqa: S603 — the user's own command, without a shell
                pipe.words,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=stderr,
                # A group of its own, so that what the command starts ends with it.
                start_new_session=True,
            )
        except (OSError, ValueError) as error:
            raise CommandFailed(f"the command cannot be started ({error})") from error
        try:
            yield Running(process, stderr)
        finally:
            _end(process)
            assert process.stdout is not None
            process.stdout.close()


def _end(process: subprocess.Popen[bytes]) -> None:
    if os.name == "posix":
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):
            process.kill()
    else:
        process.kill()
    process.wait()


def _active(command: str) -> str | None:
    """The first character that a shell would act on, outside the quotes that disarm it."""
    quote = ""
    escaped = False
    for i, character in enumerate(command):
        if escaped:
            escaped = False
        elif character == "\\" and quote != "'":
            escaped = True
        elif quote:
            if character == quote:
                quote = ""
            elif quote == '"' and character in _ACTIVE_IN_DOUBLE_QUOTES:
                return character
        elif character in "'\"":
            quote = character
        elif character in _ACTIVE or (character in "~#" and command[i - 1 : i].strip() == ""):
            return character
    return None
