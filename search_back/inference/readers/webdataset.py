"""Samples in tars, as WebDataset and img2dataset write them."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Literal

from search_back.inference.items import (
    IMAGE_EXTENSIONS,
    METADATA_EXTENSION,
    NO_RECORDS,
    Blob,
    Entry,
    Item,
    Skipped,
    Unit,
    file_stamp,
    misnamed,
    printable,
    storable,
)
from search_back.inference.readers.copies import Copies
from search_back.inference.readers.pipes import CommandFailed, Pipe
from search_back.inference.readers.tar import TarDamaged, read_members
from search_back.inference.report import Failure
from search_back.remote import RemoteFile
from search_back.remote.addresses import shown


@dataclass(slots=True)
class _Sample:
    """Neighbours in a tar of one key; None: known to be there, not loaded."""

    key: str
    members: dict[str, bytes | None] = field(default_factory=dict)


class WebdatasetReader:
    """Reads tars one after another, in the order of their members.

    Neighbouring members with one key make a sample; the key is the name up to the first dot of
    its last part. The picture is the member ``image_key`` (several: ``jpg;png``), else the first
    with a known extension. A tar that ends early or is damaged loses what follows the damage,
    with the sample it falls in, and is listed as a failure. A ``Pipe`` stands for the tar that a
    command writes: every pass runs it anew, and it ends with the pass. A ``RemoteFile`` is copied
    to this machine in its turn, the next one on its way; copies stay in ``cache``, if given. A unit
    is a tar. For one thread.
    """

    schema = NO_RECORDS
    waits = False

    def __init__(
        self,
        tars: Sequence[Path | Pipe | RemoteFile],
        *,
        pictures: bool = True,
        metadata: bool = False,
        image_key: str = "jpg",
        caption_key: str = "txt",
        cache: Path | None = None,
    ) -> None:
        self._tars = [tar.resolve() if isinstance(tar, Path) else tar for tar in tars]
        self._pictures = pictures
        self._metadata = metadata
        self._image_keys = tuple(dict.fromkeys((*image_key.lower().split(";"), *IMAGE_EXTENSIONS)))
        self._caption_key = caption_key.lower()
        self._cache = cache
        self._remote = [tar for tar in self._tars if isinstance(tar, RemoteFile)]
        self.inputs: tuple[str, ...] = tuple(map(_name, self._tars))
        self.image_root: str | None = None
        # Commands run once and remote files come a long way, so nobody knows beforehand what is in
        # them. Headers of 10,000 members take a moment, and a compressed tar has to be unpacked.
        here = all(isinstance(tar, Path) for tar in self._tars)
        self.scan: Literal["cheap", "costly", "never"] = "costly" if here else "never"

    def units(self) -> Iterator[Unit]:
        number = 0
        with Copies(self._remote, self._cache) as copies:
            for tar in self._tars:
                if isinstance(tar, RemoteFile):
                    entries = partial(self._copied, copies, number)
                    yield Unit(_name(tar), partial(str, tar.stamp), entries)
                    number += 1
                    continue
                stamp = partial(file_stamp, tar) if isinstance(tar, Path) else str
                yield Unit(_name(tar), stamp, partial(self._entries, tar, _name(tar)))

    def _copied(self, copies: Copies, number: int, scan: bool) -> Iterator[Entry]:
        name = _name(self._remote[number])
        try:
            path = copies.path(number)
        except OSError as error:
            yield Failure(name, "read", f"cannot be read: {error.strerror}")
        else:
            yield from self._entries(path, name, scan)

    def _entries(self, tar: Path | Pipe, name: str, scan: bool) -> Iterator[Entry]:
        with closing(self._samples(tar, name, scan=scan)) as samples:
            for sample in samples:
                if isinstance(sample, Failure):
                    yield sample
                    continue
                item = self._item(sample)
                if item is None:
                    yield Skipped("no picture" if self._pictures else "no caption")
                elif storable(item.key):
                    yield item
                else:
                    yield misnamed(item.key)

    def nothing_found(self) -> tuple[str, str]:
        where = self.inputs[0] + (f" and {len(self.inputs) - 1} more" if self.inputs[1:] else "")
        if self._pictures:
            return f"no picture in {where}", f"looked for members {' '.join(self._image_keys)}"
        return f"no caption in {where}", f"looked for members {self._caption_key}"

    def _samples(
        self, source: Path | Pipe, name: str, *, scan: bool
    ) -> Generator[_Sample | Failure, None, None]:
        sample: _Sample | None = None
        complete = {self._caption_key}
        try:
            members = read_members(source, lambda member: self._is_loaded(member, scan=scan))
            for member in members:
                key, extension = split_member(member.name)
                if not self._is_wanted(extension):
                    continue
                if not member.is_file:
                    yield Failure(member.name, "read", f"a link or folder in {name}")
                    continue
                if sample is None or key != sample.key or extension in sample.members:
                    if sample is not None:
                        yield sample
                        complete = set(sample.members)
                    sample = _Sample(key)
                sample.members[extension] = member.data
        except CommandFailed as error:
            if sample is not None:
                yield sample
            yield Failure(name, "read", str(error))
        except TarDamaged as error:
            # Cut within a sample, a picture would come without its caption; the sample before
            # shows what belongs to one.
            if sample is not None and complete <= sample.members.keys():
                yield sample
            after = f" after sample {printable(sample.key)}" if sample else ""
            reason = f"the tar cannot be read to its end{after}: {error}"
            if isinstance(source, Path):
                reason += "; make it again"
            yield Failure(name, "read", reason)
        else:
            if sample is not None:
                yield sample

    def _item(self, sample: _Sample) -> Item | None:
        members = sample.members
        picture = self._pick_picture(members)
        # "a.b.jpg" of a plain tar has the key "a"; its caption is then "b.txt".
        prefix = picture[: -len(picture.rsplit(".", 1)[-1])] if picture else ""
        caption = _first(members, self._caption_key, prefix + self._caption_key)
        if (picture if self._pictures else caption) is None:
            return None
        extra = _first(members, METADATA_EXTENSION, prefix + METADATA_EXTENSION)
        return Item(
            key=sample.key,
            image_path=sample.key,
            image=_held(members, picture) if self._pictures else None,
            caption=_held(members, caption),
            metadata=_held(members, extra) if self._metadata else None,
        )

    def _pick_picture(self, members: dict[str, bytes | None]) -> str | None:
        exact = _first(members, *self._image_keys)
        if exact is not None:
            return exact
        return next((name for name in members if self._is_picture(name)), None)

    def _is_picture(self, extension: str) -> bool:
        return extension in self._image_keys or extension.rsplit(".", 1)[-1] in IMAGE_EXTENSIONS

    def _is_loaded(self, name: str, *, scan: bool) -> bool:
        extension = split_member(name)[1]
        if self._is_picture(extension):
            return self._pictures and not scan
        return self._is_wanted(extension)

    def _is_wanted(self, extension: str) -> bool:
        if self._is_picture(extension):
            return True
        names = {self._caption_key, METADATA_EXTENSION} if self._metadata else {self._caption_key}
        return extension in names or any(extension.endswith(f".{name}") for name in names)


def _name(tar: Path | Pipe | RemoteFile) -> str:
    return shown(tar.url) if isinstance(tar, RemoteFile) else str(tar)


def split_member(name: str) -> tuple[str, str]:
    """``"x/000.seg.PNG"`` → ``("x/000", "seg.png")``; no extension where the file is hidden."""
    folder, slash, last = name.rpartition("/")
    stem, _, extension = last.partition(".")
    return (folder + slash + stem, extension.lower()) if stem else (name, "")


def _first(members: dict[str, bytes | None], *names: str) -> str | None:
    return next((name for name in names if name in members), None)


def _held(members: dict[str, bytes | None], name: str | None) -> Blob | None:
    data = members.get(name) if name is not None else None
    return None if data is None else lambda: data
