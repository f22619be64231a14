"""Files of weights: which there are, what tells them apart, what they hold."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from search_back.errors import ModelUnavailable
from search_back.files import read_json, sha256_file

if TYPE_CHECKING:
    from torch import Tensor

_NAMES: Final = ("model.safetensors", "pytorch_model.bin")


def weights_files(folder: Path) -> list[Path]:
    """The files of the weights in ``folder`` as transformers names them, safetensors first.

    More than one where they are in parts. Raises ``ModelUnavailable`` where there is none.
    """
    for name in _NAMES:
        if (folder / name).is_file():
            return [folder / name]
        index = folder / f"{name}.index.json"
        if index.is_file():
            parts = sorted(set(read_json(index)["weight_map"].values()))
            files = [folder / part for part in parts]
            absent = [file.name for file in files if not file.is_file()]
            if absent:
                raise ModelUnavailable(f"{folder} lacks parts of the weights", value=absent)
            return files
    raise ModelUnavailable(f"{folder} holds no weights", remedy=f"put {' or '.join(_NAMES)} there")


def weights_digest(files: Sequence[Path]) -> str:
    """sha256 of the file; of several: of their sha256s, one a line."""
    digests = [sha256_file(file) for file in files]
    if len(digests) == 1:
        return digests[0]
    return hashlib.sha256("\n".join(digests).encode()).hexdigest()


def weights_origin(*files: Path) -> dict[str, Any]:
    """What tells that the files of the weights are still those that were read."""
    status = [file.stat() for file in files]
    paths = [str(file.resolve()) for file in files]
    return {
        "weights": paths[0] if len(paths) == 1 else paths,
        "size": sum(s.st_size for s in status),
        "modified_ns": max(s.st_mtime_ns for s in status),
    }


def read_weights(files: Sequence[Path]) -> Mapping[str, Tensor]:
    """The tensors of the files by name. A pickle is read for its tensors only; it runs no code."""
    import torch

    tensors: dict[str, Tensor] = {}
    for file in files:
        if file.suffix == ".safetensors":
            from safetensors.torch import load_file

            tensors.update(load_file(file))
        else:
            tensors.update(torch.load(file, map_location="cpu", weights_only=True))
    return tensors
