"""Exported towers on ONNX Runtime: on CUDA where its build has it, else on the CPU."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from search_back.cores import physical_cores
from search_back.encoders.runtimes import OpenTower
from search_back.errors import ModelUnavailable
from search_back.types import FloatArray

# A runtime that does not know the duration still stops at the end of a call.
_WAITING: Final = {
    "session.intra_op.allow_spinning": "1",
    "session.intra_op.spin_duration_us": "20",
    "session.force_spinning_stop": "1",
}


class OnnxOpener:
    """Opens ONNX files."""

    title = "onnxruntime"

    def device(self) -> str:
        return "cuda" if "CUDAExecutionProvider" in _providers() else "cpu"

    def __call__(self, path: Path, *, threads: int = 0) -> OpenTower:
        import onnxruntime as ort

        options = ort.SessionOptions()
        # Were it to count them itself, it would bind its threads to processors: one then waits
        # for the very caller that waits for it, where the system has put both on the same.
        options.intra_op_num_threads = threads or physical_cores() or 0
        options.enable_cpu_mem_arena = False
        # Its threads wait for each next step in a loop: briefly, as to wake one takes as long as
        # many a step, and not between calls, as other threads have work for the core.
        for key, value in _WAITING.items():
            options.add_session_config_entry(key, value)
        options.log_severity_level = 3
        try:
            session = ort.InferenceSession(str(path), options, providers=_providers())
        except Exception as error:  # the runtime raises plain RuntimeErrors of many classes
            raise ModelUnavailable(
                f"ONNX Runtime cannot load {path}",
                value=str(error),
                remedy="export the model again",
            ) from error
        name = session.get_inputs()[0].name

        def run(inputs: npt.NDArray[Any]) -> FloatArray:
            (features,) = session.run(None, {name: inputs})
            return np.asarray(features, dtype=np.float32)

        return run


def _providers() -> list[str]:
    import onnxruntime as ort

    wanted = ("CUDAExecutionProvider", "CPUExecutionProvider")
    return [name for name in wanted if name in ort.get_available_providers()]
