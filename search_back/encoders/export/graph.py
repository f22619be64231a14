"""Small questions about an ONNX graph, and small changes to one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True, slots=True, eq=False)
class Product:
    """A matrix product with constant weights: ``output = input @ weights (+ bias)``.

    ``node``: the product; ``add``: the node that adds the bias, None where there is none.
    """

    node: Any
    add: Any
    weights: npt.NDArray[np.float32]
    bias: npt.NDArray[np.float32] | None

    @property
    def name(self) -> str:
        return str(self.node.output[0])

    @property
    def output(self) -> str:
        return str((self.node if self.add is None else self.add).output[0])


def products(model: Any) -> Iterator[Product]:
    """Every ``MatMul`` of a graph whose second factor is a constant matrix."""
    from onnx import TensorProto, numpy_helper

    constants = {t.name: t for t in model.graph.initializer if t.data_type == TensorProto.FLOAT}
    uses = Counter(name for node in model.graph.node for name in node.input)
    readers = {name: node for node in model.graph.node for name in node.input}
    results = {output.name for output in model.graph.output}
    for node in model.graph.node:
        if node.op_type != "MatMul" or node.input[1] not in constants:
            continue
        tensor = constants[node.input[1]]
        if len(tensor.dims) != 2:
            continue
        bias = add = None
        product = node.output[0]
        if uses[product] == 1 and product not in results and readers[product].op_type == "Add":
            other = [name for name in readers[product].input if name != product]
            if (
                other
                and other[0] in constants
                and list(constants[other[0]].dims) == [tensor.dims[1]]
            ):
                add, bias = readers[product], numpy_helper.to_array(constants[other[0]])
        yield Product(node, add, numpy_helper.to_array(tensor), bias)


def lift_constants(model: Any) -> None:
    """Make initialisers of the nodes that only hold a tensor."""
    graph = model.graph
    kept = []
    for node in graph.node:
        held = [a.t for a in node.attribute if a.name == "value"]
        if node.op_type == "Constant" and held:
            tensor = graph.initializer.add()
            tensor.CopyFrom(held[0])
            tensor.name = node.output[0]
        else:
            kept.append(node)
    del graph.node[:]
    graph.node.extend(kept)


def drop_unused_constants(model: Any) -> None:
    """Remove initialisers that no node reads any more."""
    used = {name for node in model.graph.node for name in node.input}
    used.update(output.name for output in model.graph.output)
    kept = [tensor for tensor in model.graph.initializer if tensor.name in used]
    del model.graph.initializer[:]
    model.graph.initializer.extend(kept)
