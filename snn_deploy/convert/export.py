"""Export: the canonical graph with every shape written out and the contract in its metadata.

nir.write cannot store what some frameworks leave open (scalar parameters, convolutions without an
input shape), and nir.read works shapes out anew. What this module returns is stored and read by both.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace
from functools import singledispatch
from typing import Any

import nir
import numpy as np

from snn_deploy.convert.lowering import Lowered
from snn_deploy.convert.lowering.signal import Shape
from snn_deploy.convert.lowering.transform import spread, widened
from snn_deploy.network.neurons import MODELS


def explicit_graph(lowered: Lowered) -> nir.NIRGraph:
    """Return the graph of ``lowered`` as a file can hold it; nodes are new, arrays are copied."""
    before: dict[str, str] = {target: source for source, target in lowered.graph.edges}
    shapes = lowered.shapes
    nodes = {}
    for name, node in lowered.graph.nodes.items():
        arriving = shapes[before[name]] if name in before else shapes[name]
        nodes[name] = explicit(node, arriving, shapes.get(name, arriving))
        nodes[name].metadata = dict(node.metadata or {})
    metadata = {**(lowered.graph.metadata or {}), **lowered.network.contract.metadata()}
    return nir.NIRGraph(nodes, list(lowered.graph.edges), metadata=metadata, type_check=False)


def with_message_bits(graph: nir.NIRGraph, bits: int) -> nir.NIRGraph:
    """Return the graph with graded spikes of ``bits`` bits at every input that states no message_bits."""
    nodes = dict(graph.nodes)
    for name, node in graph.nodes.items():
        if isinstance(node, nir.Input) and "message_bits" not in (node.metadata or {}):
            nodes[name] = replace(node, metadata={**(node.metadata or {}), "message_bits": bits})
    return nir.NIRGraph(nodes, list(graph.edges), metadata=dict(graph.metadata or {}), type_check=False)


@singledispatch
def explicit(node: nir.NIRNode, arriving: Shape, leaving: Shape) -> nir.NIRNode:
    """Return a copy of a node that states its shapes. A node whose file form lacks something registers here.

    arriving, leaving: what the node takes and sends.
    """
    elementwise = type(node).__name__ in MODELS or isinstance(node, nir.Scale | nir.Delay)
    arrays = {
        key: np.array(spread(value, widened(np.shape(value), leaving)) if elementwise else value)
        for key, value in _parameters(node).items()
    }
    copied: nir.NIRNode = type(node)(**arrays)
    copied.input_type = {"input": np.array(arriving)}
    copied.output_type = {"output": np.array(leaving)}
    return copied


@explicit.register(nir.Conv1d)
@explicit.register(nir.Conv2d)
def _(node: Any, arriving: Shape, leaving: Shape) -> nir.NIRNode:
    stated = dict(_parameters(node))
    stated["weight"] = np.array(node.weight)
    stated["bias"] = np.zeros(leaving[0]) if node.bias is None else np.array(node.bias)
    stated["input_shape"] = arriving[1] if isinstance(node, nir.Conv1d) else tuple(arriving[1:])
    conv: nir.NIRNode = type(node)(**stated)
    conv.output_type = {"output": np.array(leaving)}  # nir's own is wrong for kernels that are not square
    return conv


@explicit.register(nir.SumPool2d)
@explicit.register(nir.AvgPool2d)
def _(node: Any, arriving: Shape, leaving: Shape) -> nir.NIRNode:
    # one number for height and width is an array without dimensions, which nir.write cannot store
    stated = {name: np.array(np.broadcast_to(value, (2,))) for name, value in _parameters(node).items()}
    pool: nir.NIRNode = type(node)(**stated)
    pool.input_type = {"input": np.array(arriving)}
    pool.output_type = {"output": np.array(leaving)}
    return pool


@explicit.register(nir.Flatten)
def _(node: Any, arriving: Shape, leaving: Shape) -> nir.NIRNode:
    return nir.Flatten({"input": np.array(arriving)}, int(node.start_dim), int(node.end_dim))


@explicit.register
def _(node: nir.Input, arriving: Shape, leaving: Shape) -> nir.NIRNode:
    return nir.Input({"input": np.array(leaving)})


@explicit.register
def _(node: nir.Output, arriving: Shape, leaving: Shape) -> nir.NIRNode:
    return nir.Output({"output": np.array(arriving)})


def _parameters(node: nir.NIRNode) -> Mapping[str, Any]:
    return {
        f.name: getattr(node, f.name)
        for f in fields(node)
        if f.name not in ("input_type", "output_type", "metadata")
    }
