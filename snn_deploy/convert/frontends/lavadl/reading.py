"""Read all layers of a ``.net`` file, in their order.

Fields that repeat each other must agree; a field or layer without an exact counterpart is refused by name.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from snn_deploy.convert.frontends.lavadl.kinds import Before, read_layer
from snn_deploy.convert.frontends.lavadl.layers import Model, NetLayer, Shape
from snn_deploy.errors import ModelNotSupported, Violation
from snn_deploy.network.connections import Conv2d, size
from snn_deploy.network.integers import UNREACHABLE_VTH


def read_layers(tree: Mapping[str, Any], where: str) -> Model:
    """Read the group ``layer``; raises ModelNotSupported with everything that cannot be converted exactly."""
    if not tree or set(tree) != {str(i) for i in range(len(tree))}:
        found = ", ".join(tree) or "no layer"
        raise ModelNotSupported(
            "layers must be numbered from 0", where=where, found=found, allowed="0, 1, ..."
        )
    violations: list[Violation] = []
    layers: list[NetLayer] = []
    before, first = Before(), None
    for i in range(len(tree)):
        try:
            layer, before = read_layer(tree[str(i)], f"{where}/{i}", before, i)
        except ModelNotSupported as error:
            violations += error.violations
            layer, before = None, Before()
        if i == 0:
            first = before.shape
        if layer is not None:
            layers.append(layer)
    violations = violations or _order_violations(layers, where, len(tree))
    if violations:
        raise ModelNotSupported(violations)
    return Model(_input_shape(layers[0], first), tuple(layers))


def _order_violations(layers: list[NetLayer], where: str, count: int) -> list[Violation]:
    if not layers:
        return [Violation("no layer with neurons", where, f"{count} layers")]
    return [
        Violation(
            "only the last layer can be a read-out, whose neurons do not spike",
            f"{where}/{layer.number}",
            f"{layer.kind}, vThMant {layer.neuron.vth}",
            f"vThMant < {UNREACHABLE_VTH}",
        )
        for layer in layers[:-1]
        if not layer.neuron.spiking
    ]


def _input_shape(layer: NetLayer, stated: Shape | None) -> Shape:
    """The shape that an input layer states, else what the first layer takes."""
    if layer.kind == "input":
        return layer.shape
    if layer.number and stated is not None:
        return stated
    taken = layer.connection
    return taken.input_shape if isinstance(taken, Conv2d) else (size(taken)[1],)
