"""Encoders that run exported towers on ONNX Runtime: no torch, a start in tens of milliseconds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from search_back.encoders.base import BaseEncoder
from search_back.encoders.identity import make_identity, tokenizer_key
from search_back.encoders.preprocess import Preprocessing
from search_back.encoders.tokenizer import ClipTokenizer
from search_back.errors import CorruptFile, ModelUnavailable
from search_back.files import read_json
from search_back.types import FloatArray, IdArray

DESCRIPTION = "encoder.json"


class OnnxEncoder(BaseEncoder):
    """A folder with ``encoder.json`` and the two towers it names.

    ``name``: what the identity is called, so that it can be loaded again by it; by default as the
    description says. ``threads``: how many a call may use; 0 leaves the choice to the runtime.
    Calls from several threads run side by side.
    """

    def __init__(self, folder: Path, *, name: str | None = None, threads: int = 0) -> None:
        path = folder / DESCRIPTION
        if not path.is_file():
            raise ModelUnavailable(
                f"{folder} holds no {DESCRIPTION}", remedy="give the folder of an exported model"
            )
        about = read_json(path)
        try:
            preprocessing = Preprocessing.from_json(about["preprocessing"])
            context_length = int(about["tokenizer"]["context_length"])
            vocabulary = folder / about["tokenizer"]["vocabulary"]
            identity = make_identity(
                name=name or about["name"],
                dimension=int(about["dimension"]),
                weights_sha256=about["weights_sha256"],
                preprocessing=preprocessing,
                tokenizer=tokenizer_key(vocabulary),
                context_length=context_length,
                precision=about["precision"],
            )
            towers = {tower: folder / about["towers"][tower] for tower in ("image", "text")}
            text_is_causal = bool(about["text_is_causal"])
        except (KeyError, TypeError, ValueError, OSError) as error:
            raise CorruptFile(
                f"{path} does not describe an encoder",
                value=repr(error),
                remedy="export the model again",
            ) from error
        super().__init__(
            identity,
            preprocessing,
            ClipTokenizer(vocabulary, context_length),
            text_is_causal=text_is_causal,
        )
        self._image = _session(towers["image"], threads)
        self._text = _session(towers["text"], threads)

    def _image_tower(self, pixels: FloatArray) -> FloatArray:
        (features,) = self._image.run(["image_embeds"], {"pixel_values": pixels})
        return np.asarray(features, dtype=np.float32)

    def _text_tower(self, tokens: IdArray) -> FloatArray:
        (features,) = self._text.run(["text_embeds"], {"input_ids": tokens})
        return np.asarray(features, dtype=np.float32)

    def close(self) -> None:
        del self._image, self._text


def _session(path: Path, threads: int) -> Any:
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.enable_cpu_mem_arena = False
    options.log_severity_level = 3
    try:
        return ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # the runtime raises plain RuntimeErrors of many classes
        raise ModelUnavailable(
            f"ONNX Runtime cannot load {path}",
            value=str(error),
            remedy="export the model again",
        ) from error
