"""Members of one tar in their order, up to where it is damaged, and no word lost about that."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import tarfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final, cast

from search_back.inference.readers.pipes import CommandFailed, Pipe, Running, running

TAR_SUFFIXES: Final = (".tar", ".tar.gz", ".tgz")
_GZIP_MAGIC = b"\x1f\x8b"
_BZIP2_MAGIC = b"BZh"
_XZ_MAGIC = b"\xfd7zXZ\0"
_BLOCK = 512
_DAMAGE: Final = (tarfile.TarError, zlib.error, lzma.LZMAError, EOFError, OSError)


class TarDamaged(Exception):
    """A tar that holds no more whole members, though it should; its text says why."""


@dataclass(frozen=True, slots=True)
class Member:
    """``data``: None where it was not asked for, and for what is no file."""

    name: str
    is_file: bool
    data: bytes | None = None


def is_tar(path: Path) -> bool:
    """Whether a name says it is a tar."""
    return path.name.lower().endswith(TAR_SUFFIXES)


def read_members(source: Path | Pipe, wanted: Callable[[str], bool]) -> Iterator[Member]:
    """The members of a tar, plain or gzip; the bytes of those whose name is ``wanted``.

    The output of a command may also be bzip2 or xz; it is read once, from start to end.

    Only members that lie in the file as a whole are given, the same ones whichever are wanted.
    Raises ``TarDamaged`` after the last whole member of a tar that ends early, is damaged, or
    cannot be read, ``CommandFailed`` after the last member of a whole one whose command failed.
    """
    if isinstance(source, Path):
        yield from _members(source, wanted)
        return
    with running(source) as command:
        try:
            yield from _members(command, wanted)
        except TarDamaged as error:
            # What a command says of its end explains more than where the tar was cut.
            why = f"{error}{command.said()}"
            if not command.output.read(1):
                try:
                    command.check()
                except CommandFailed as failed:
                    why = str(failed)
            raise TarDamaged(why) from error
        command.check()


def _members(source: Path | Running, wanted: Callable[[str], bool]) -> Iterator[Member]:
    with ExitStack() as stack:
        # A member is held back until the next header has been read: that proves it whole.
        held: Member | None = None
        try:
            blocks = _Source(_unpacked(source, stack))
            file = cast(IO[bytes], blocks)
            tar = stack.enter_context(tarfile.TarFile(fileobj=file, encoding="utf-8"))
            # Python 3.10 cannot be asked for the next member of a tar that has none.
            empty = getattr(tar, "firstmember", None) is None
            while not empty and (info := tar.next()) is not None:
                # TarFile remembers every member; a large tar has millions.
                tar.members.clear()  # type: ignore[attr-defined]
                if held is not None:
                    yield held
                    held = None
                data = _contents(tar, info) if info.isfile() and wanted(info.name) else None
                held = Member(info.name, info.isfile(), data)
        except _DAMAGE as error:
            raise TarDamaged(f"it ends early or is damaged ({error})") from error
        if held is not None:
            yield held
        blocks.check_end()
        if isinstance(source, Running):
            blocks.drain()


class _Source:
    """A file that remembers what it gave last.

    ``tarfile`` ends without a word where a header is cut or damaged; the block it read last tells
    that from the end mark, a block of zeros.
    """

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._last = b""

    def read(self, size: int = -1) -> bytes:
        self._last = self._file.read(size)
        return self._last

    def seek(self, position: int, whence: int = 0) -> int:
        return self._file.seek(position, whence)

    def tell(self) -> int:
        return self._file.tell()

    def check_end(self) -> None:
        if not self._last:
            raise TarDamaged("it has no end mark, so it may end early")
        if len(self._last) < _BLOCK:
            raise TarDamaged("it ends early, within a header")
        if self._last.strip(b"\0"):
            raise TarDamaged("it holds a damaged header")

    def drain(self) -> None:
        """Read the padding behind the end mark, so that the command can write all of it."""
        try:
            while rest := self._file.read(1 << 16):
                if rest.strip(b"\0"):
                    raise TarDamaged("more follows its end mark: let a command write one tar")
        except _DAMAGE as error:
            raise TarDamaged(f"it is damaged behind its end mark ({error})") from error


class _Forward(io.RawIOBase):
    """What a command writes, with its first bytes, which told the compression, before the rest.

    Seeks forward only, by reading: ``tarfile`` asks for no more as long as members are taken in
    their order.
    """

    def __init__(self, start: bytes, rest: IO[bytes]) -> None:
        self._start = start
        self._rest = rest
        self._position = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True  # bz2 and lzma ask it even to seek to where they are

    def read(self, size: int = -1) -> bytes:
        cut = len(self._start) if size < 0 else size
        data, self._start = self._start[:cut], self._start[cut:]
        if size < 0 or len(data) < size:
            data += self._rest.read(size if size < 0 else size - len(data))
        self._position += len(data)
        return data

    def seek(self, position: int, whence: int = 0) -> int:
        if whence or position < self._position:
            raise io.UnsupportedOperation("the output of a command cannot be read again")
        while self._position < position:
            if not self.read(min(position - self._position, 1 << 16)):
                break
        return self._position

    def tell(self) -> int:
        return self._position


def _unpacked(source: Path | Running, stack: ExitStack) -> IO[bytes]:
    if isinstance(source, Running):
        start = source.output.read(len(_XZ_MAGIC))
        stream = cast(IO[bytes], _Forward(start, source.output))
        if start.startswith(_GZIP_MAGIC):
            return cast(IO[bytes], stack.enter_context(gzip.GzipFile(fileobj=stream)))
        if start.startswith(_BZIP2_MAGIC):
            return cast(IO[bytes], stack.enter_context(bz2.BZ2File(stream)))
        if start == _XZ_MAGIC:
            return cast(IO[bytes], stack.enter_context(lzma.LZMAFile(stream)))
        return stream
    path = source
    file = stack.enter_context(open(path, "rb"))  # noqa: SIM115
    compressed = file.read(len(_GZIP_MAGIC)) == _GZIP_MAGIC
    file.seek(0)
    if not compressed:
        return file
    return cast(IO[bytes], stack.enter_context(gzip.GzipFile(fileobj=file)))


def _contents(tar: tarfile.TarFile, info: tarfile.TarInfo) -> bytes:
    file = tar.extractfile(info)
    assert file is not None, "a regular member has contents"
    with file:
        return file.read()
