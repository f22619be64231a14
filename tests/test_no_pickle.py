"""No file that this package opens can run code: nothing in it reads a pickle."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import search_back

PACKAGE = Path(search_back.__file__).parent
FORBIDDEN = {"pickle", "cPickle", "_pickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"}
UNSAFE = {"yaml.load", "yaml.unsafe_load", "yaml.full_load", "eval", "exec", "pandas.read_pickle"}


def offences(source: str) -> list[str]:
    """What of a module's text could read a pickle, or otherwise run what a file says."""
    return [found for node in ast.walk(ast.parse(source)) for found in _of(node)]


def _of(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Import):
        yield from (a.name for a in node.names if a.name.partition(".")[0] in FORBIDDEN)
    elif isinstance(node, ast.ImportFrom) and not node.level:
        module = node.module or ""
        if module.partition(".")[0] in FORBIDDEN:
            yield module
        if module.partition(".")[0] in ("torch", "yaml", "numpy"):
            # Under a name of its own it could not be told from others.
            yield from (f"{module}.{a.name}" for a in node.names if a.name == "load")
    elif isinstance(node, ast.Call):
        name, given = ast.unparse(node.func), {k.arg: k.value for k in node.keywords}
        if name in UNSAFE:
            yield name
        if name.endswith("torch.load") and not _is(given.get("weights_only"), True):
            yield f"{name} without weights_only=True"
        if "allow_pickle" in given and not _is(given["allow_pickle"], False):
            yield f"{name} with allow_pickle"
        if name in ("__import__", "importlib.import_module") and node.args:
            first = node.args[0]
            if isinstance(first, ast.Constant) and str(first.value).split(".")[0] in FORBIDDEN:
                yield f"{name}({first.value!r})"


def _is(node: ast.expr | None, value: bool) -> bool:
    return isinstance(node, ast.Constant) and node.value is value


@pytest.mark.parametrize(
    "path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: str(path.relative_to(PACKAGE))
)
def test_no_module_reads_a_pickle(path: Path) -> None:
    assert offences(path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    "source",
    [
        "import pickle",
        "import pickle as p",
        "from pickle import loads",
        "import joblib.numpy_pickle",
        "from torch import load",
        "import torch\ntorch.load(f)",
        "torch.load(f, weights_only=False)",
        "torch.load(f, weights_only=flag)",
        "np.load(f, allow_pickle=True)",
        "np.load(f, allow_pickle=flag)",
        "yaml.load(f)",
        "importlib.import_module('pickle')",
        "eval(text)",
    ],
)
def test_it_would_be_found(source: str) -> None:
    assert offences(source)


@pytest.mark.parametrize(
    "source",
    [
        "np.load(f, allow_pickle=False)",
        "np.load(f)",
        "torch.load(f, weights_only=True)",
        "json.load(f)",
        "yaml.safe_load(f)",
        "from safetensors.numpy import load",
        "re.compile('a')",
        "model.eval()",
    ],
)
def test_what_is_harmless_is_not(source: str) -> None:
    assert offences(source) == []
