"""Encoders that run a model on torch."""

from __future__ import annotations

import threading
from typing import Any, Final, Literal

import numpy as np

from search_back.encoders.base import BaseEncoder
from search_back.encoders.sources import SourceModel
from search_back.errors import ConfigError, ModelUnavailable
from search_back.types import FloatArray, IdArray, RuntimeInfo

_DEVICE_BATCH: Final = 256
Device = Literal["auto", "cpu", "cuda", "mps"]


class TorchEncoder(BaseEncoder):
    """A model on CUDA where there is a device, then on Apple's MPS, then on the CPU.

    ``precision``: ``fp32``, or ``fp16`` and ``bf16`` for weights and computation. Convolutions
    run channels-last on CUDA. Calls from several threads run one after the other.
    """

    def __init__(
        self,
        source: SourceModel,
        *,
        device: Device = "auto",
        precision: str = "fp32",
        threads: int = 0,
    ) -> None:
        import torch

        types = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}
        if precision not in types:
            raise ConfigError(
                f"torch does not run {precision}",
                remedy=f"give one of {', '.join(types)}, or export the model",
            )
        if threads:
            torch.set_num_threads(threads)
        found = _best_device(torch) if device == "auto" else device
        super().__init__(
            source.identity,
            source.preprocessing,
            source.tokenizer,
            runtime=RuntimeInfo("torch", precision, found, threads),
            text_positions=source.text_positions,
        )
        self._torch = torch
        self._lock = threading.Lock()
        self._device, self._type = found, types[precision]
        if found != "cpu":
            self.image_batch = self.text_batch = _DEVICE_BATCH
        try:
            self._text = self._placed(source.text)
            self._image = None if source.image is None else self._placed(source.image)
        except RuntimeError as error:  # a device that is absent or full
            raise ModelUnavailable(
                f"the model {source.name!r} cannot be put on {found}",
                value=str(error).splitlines()[0],
                remedy="choose another device",
            ) from error

    def _placed(self, tower: Any) -> Any:
        tower = tower.to(self._device, self._type)
        if self._device == "cuda":
            tower = tower.to(memory_format=self._torch.channels_last)
        return tower

    def _image_tower(self, pixels: FloatArray) -> FloatArray:
        if self._image is None:
            raise ModelUnavailable(f"the model {self.identity.name!r} reads texts only")
        with self._lock, self._torch.inference_mode():
            batch = self._torch.from_numpy(pixels).to(self._device, self._type)
            return np.asarray(self._image(batch).float().cpu().numpy())

    def _text_tower(self, ids: IdArray) -> FloatArray:
        with self._lock, self._torch.inference_mode():
            batch = self._torch.from_numpy(np.ascontiguousarray(ids)).to(self._device)
            return np.asarray(self._text(batch).float().cpu().numpy())

    def close(self) -> None:
        del self._image, self._text
        if self._device == "cuda":
            self._torch.cuda.empty_cache()


def _best_device(torch: Any) -> str:
    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"
