"""Exported towers on OpenVINO, on the CPU."""

from __future__ import annotations

import sys
import threading
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from search_back.encoders.runtimes import OpenTower
from search_back.errors import ModelUnavailable
from search_back.types import FloatArray

PRECISION: Final = ("search_back", "precision")
"""Where an ``.xml`` says which precision it was written for: a path in its ``rt_info``."""

# Each group of so many inputs of an 8-bit product has its own scale. Larger groups than the
# runtime's 32 lose next to nothing and save a fifth of the time.
_INPUT_GROUP: Final = 128

_CONVERSION = "openvino.tools.ovc"
_import_lock = threading.Lock()


class OpenVinoOpener:
    """Opens OpenVINO's ``.xml`` files, whose weights are in a ``.bin`` beside them, and ONNX files.

    With ``threads``, as many calls run side by side as fill the cores, each at the cost of some
    20 MB; without, a call takes all cores and the next one waits.
    """

    title = "openvino"

    def device(self) -> str:
        return "cpu"

    def __call__(self, path: Path, *, threads: int = 0) -> OpenTower:
        core = import_openvino(path).Core()
        model = read_model(core, path)
        key = list(PRECISION)
        precision = model.get_rt_info(key).astype(str) if model.has_rt_info(key) else "fp32"
        settings = cpu_settings(
            precision,
            threads=threads,
            cores=core.get_property("CPU", "RANGE_FOR_STREAMS")[1],
            has_bf16="BF16" in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES"),
        )
        try:
            return CompiledTower(core.compile_model(model, "CPU", settings))
        except Exception as error:
            raise _cannot_load(path, error) from error


class CompiledTower:
    """A compiled model. A call borrows a request; there are as many as ever ran at once."""

    def __init__(self, compiled: Any) -> None:
        self._compiled = compiled
        self._idle: list[Any] = []

    def __call__(self, inputs: npt.NDArray[Any]) -> FloatArray:
        try:
            request = self._idle.pop()
        except IndexError:
            request = self._compiled.create_infer_request()
        try:
            # The result is a copy: the request is another call's next.
            return np.asarray(request.infer([inputs], share_inputs=True)[0], dtype=np.float32)
        finally:
            self._idle.append(request)

    def setting(self, name: str) -> Any:
        """What the runtime made of a setting, by OpenVINO's name of it."""
        return self._compiled.get_property(name)


def cpu_settings(precision: str, *, threads: int, cores: int, has_bf16: bool) -> dict[str, Any]:
    """How to compile for a CPU: OpenVINO's property names → values.

    ``has_bf16``: whether the CPU has instructions for it; emulating them is 50 times slower than
    float32, which is computed instead. ``threads``: for one call, 0 for all of ``cores``.
    """
    in_bf16 = precision in ("bf16", "int8") and has_bf16
    settings: dict[str, Any] = {
        "PERFORMANCE_HINT": "LATENCY",
        # By default it would depend on the CPU.
        "INFERENCE_PRECISION_HINT": "bf16" if in_bf16 else "f32",
        # Pinned, the threads of several processes would crowd the same cores.
        "ENABLE_CPU_PINNING": False,
    }
    if threads:
        streams = max(1, cores // threads)
        settings |= {"NUM_STREAMS": streams, "INFERENCE_NUM_THREADS": streams * threads}
    if precision == "int8":
        settings["DYNAMIC_QUANTIZATION_GROUP_SIZE"] = _INPUT_GROUP
    return settings


def import_openvino(path: Path) -> Any:
    """The package; raises ``ModelUnavailable`` where it is missing and ``path`` needs it."""
    with _import_lock:
        # Imported whole, it reports that to its makers, from its conversion tools; without them,
        # which it allows for, it uses no network and leaves no file in the home folder.
        hidden = "openvino" not in sys.modules and _CONVERSION not in sys.modules
        if hidden:
            sys.modules[_CONVERSION] = None  # type: ignore[assignment]
        try:
            import openvino
        except ImportError as error:
            raise ModelUnavailable(
                f"{path} needs OpenVINO",
                value=str(error),
                remedy="pip install 'search_back[openvino]'",
            ) from error
        finally:
            if hidden:
                sys.modules.pop(_CONVERSION, None)
    return openvino


def read_model(core: Any, path: Path) -> Any:
    """An ``.xml`` or ONNX file as OpenVINO's model; raises ``ModelUnavailable``."""
    try:
        return core.read_model(path)
    except Exception as error:  # of any class: the runtime translates those of C++
        raise _cannot_load(path, error) from error


def _cannot_load(path: Path, error: Exception) -> ModelUnavailable:
    # The first lines tell where in the runtime's source it happened, the last one what.
    reason = str(error).strip().rpartition("\n")[2] or type(error).__name__
    return ModelUnavailable(
        f"OpenVINO cannot load {path}", value=reason, remedy="export the model again"
    )
