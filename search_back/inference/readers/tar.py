"""Members of one tar in their order, up to where it is damaged, and no word lost about that."""

from __future__ import annotations

import gzip
import tarfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final, cast

TAR_SUFFIXES: Final = (".tar", ".tar.gz", ".tgz")
_GZIP_MAGIC = b"\x1f\x8b"
_BLOCK = 512


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


def read_members(path: Path, wanted: Callable[[str], bool]) -> Iterator[Member]:
    """The members of a tar, plain or gzip; the bytes of those whose name is ``wanted``.

    Only members that lie in the file as a whole are given, the same ones whichever are wanted.
    Raises ``TarDamaged`` after the last whole member of a tar that ends early, is damaged, or
    cannot be read.
    """
    with ExitStack() as stack:
        # A member is held back until the next header has been read: that proves it whole.
        held: Member | None = None
        try:
            source = _Source(_unpacked(path, stack))
            file = cast(IO[bytes], source)
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
        except (tarfile.TarError, zlib.error, EOFError, OSError) as error:
            raise TarDamaged(f"it ends early or is damaged ({error})") from error
        if held is not None:
            yield held
        source.check_end()


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


def _unpacked(path: Path, stack: ExitStack) -> IO[bytes]:
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
