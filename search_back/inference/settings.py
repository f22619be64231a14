"""What a run is asked to do; ``pictures/{00..03}.tar`` written out."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal, get_args

from search_back.cores import usable_cores
from search_back.errors import ConfigError
from search_back.remote import is_remote, local_path

InputFormat = Literal["auto", "files", "webdataset", "table"]
Strategy = Literal["sequential"]

_BRACES = re.compile(r"\{([^{}]*)\}")
_RANGE = re.compile(r"(\d+)\.\.(\d+)")
MAX_EXPANSION = 100_000
PIPE: Final = "pipe:"


@dataclass(frozen=True, slots=True)
class InferenceSettings:
    """One run of inference. Raises ``ConfigError`` for values that cannot work.

    ``input_dataset``: one folder of pictures, or tars, or tables, where a brace pattern stands for
    many; ``pipe:`` and a command stand for the tar that it writes.
    ``enable_text``: None: where every picture has a readable caption; True: only the pictures
    that have one are kept; False: never. Captions reach the metadata in all three.
    ``enable_metadata``: None: for tables and for what img2dataset wrote. ``image_column``,
    ``caption_column``: of tables; None: the ones whose names and types say it.
    ``write_batch_size``: rows a partition. ``subset_size``: only the first so many items.
    ``output_folder``: a path, or an address such as ``s3://bucket/folder``. ``cache_path``: where
    copies of remote files stay for later runs, and what is bound for a remote output is made; None:
    copies are removed after use.
    ``output_partition_count``: how many partitions, whatever their rows; None: as many as
    ``write_batch_size`` makes.
    ``max_failures``: the run stops past so many failures; None: never.
    ``max_metadata_columns``: keys of JSON metadata after the first so many are left out.
    ``overwrite``: replace the result of an earlier run, once the new one is whole.
    ``restart``: discard what an unfinished run for the same output has done.
    ``checkpoint_seconds``: what is done in so many seconds is put on the disk for good, so that a
    kill costs no more.
    ``encode_duplicates_once``: of pictures with equal bytes the first is encoded, the others get
    its vector; all keep their rows. It is not looked for further back than 65,536 pictures.
    """

    input_dataset: tuple[str, ...]
    output_folder: Path | str
    input_format: InputFormat = "auto"
    batch_size: int = 256
    num_prepro_workers: int = field(default_factory=usable_cores)
    enable_image: bool = True
    enable_text: bool | None = None
    enable_metadata: bool | None = None
    write_batch_size: int = 10**6
    output_partition_count: int | None = None
    subset_size: int | None = None
    cache_path: Path | None = None
    wds_image_key: str = "jpg"
    wds_caption_key: str = "txt"
    image_column: str | None = None
    caption_column: str | None = None
    max_failures: int | None = None
    max_metadata_columns: int = 1000
    overwrite: bool = False
    restart: bool = False
    checkpoint_seconds: float = 10.0
    encode_duplicates_once: bool = False
    distribution_strategy: Strategy = "sequential"

    def __post_init__(self) -> None:
        if not self.input_dataset:
            raise ConfigError("no input was given", remedy="give --input-dataset a folder or tars")
        if self.input_format not in get_args(InputFormat):
            raise ConfigError(
                "unknown --input-format",
                value=self.input_format,
                remedy=f"one of {', '.join(get_args(InputFormat))}",
            )
        if not self.enable_image and self.enable_text is False:
            raise ConfigError(
                "both --enable-image and --enable-text are off",
                remedy="there is nothing to embed; turn one on",
            )
        for name, least in (
            ("batch_size", 1),
            ("num_prepro_workers", 1),
            ("write_batch_size", 1),
            ("output_partition_count", 1),
            ("subset_size", 1),
            ("max_failures", 0),
            ("max_metadata_columns", 0),
        ):
            value = getattr(self, name)
            if value is not None and value < least:
                flag = "--" + name.replace("_", "-")
                raise ConfigError(f"{flag} is too small", value=value, remedy=f"at least {least}")

    @property
    def output(self) -> Path | str:
        """The real path of the output, or its address where it is remote."""
        name = str(self.output_folder)
        path = local_path(name)
        return name.rstrip("/") if path is None else path.expanduser().resolve()

    def rows_each(self, count: int) -> int:
        """Rows a partition for so many in all."""
        if self.output_partition_count is None:
            return self.write_batch_size
        return max(1, -(-count // self.output_partition_count))


def expand_braces(pattern: str) -> list[str]:
    """``{00..03}`` and ``{a,b}`` written out as a shell does, without repeats.

    Numbers keep the leading zeros they are given with. A name that exists as it stands is not
    expanded. Raises ``ConfigError`` where a pattern means more than ``MAX_EXPANSION`` names.
    """
    by_name = not pattern.startswith(PIPE) and not is_remote(pattern)
    if "{" not in pattern or (by_name and Path(pattern).exists()):
        return [pattern]
    names = list(itertools.islice(_expand(pattern), MAX_EXPANSION + 1))
    if len(names) > MAX_EXPANSION:
        raise ConfigError(
            f"a pattern means more than {MAX_EXPANSION} names",
            value=pattern,
            remedy="give a smaller range",
        )
    return list(dict.fromkeys(names))


def _expand(pattern: str) -> Iterator[str]:
    for braces in _BRACES.finditer(pattern):
        options = _options(braces[1])
        if options is not None:
            before, after = pattern[: braces.start()], pattern[braces.end() :]
            for option in options:
                yield from _expand(before + option + after)
            return
    yield pattern


def _options(inside: str) -> Iterable[str] | None:
    span = _RANGE.fullmatch(inside)
    if span:
        first, last = int(span[1]), int(span[2])
        padded = any(len(text) > 1 and text.startswith("0") for text in span.groups())
        width = max(map(len, span.groups())) if padded else 0
        step = 1 if first <= last else -1
        return map(f"{{:0{width}d}}".format, range(first, last + step, step))
    return inside.split(",") if "," in inside else None
