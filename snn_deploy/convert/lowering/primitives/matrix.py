"""Linear, Affine and Scale: y = W x, y = W x + b, y = s x."""

from __future__ import annotations

from typing import Any

import nir

from snn_deploy.convert.compose import scale_rows
from snn_deploy.convert.lowering.signal import Signal
from snn_deploy.convert.lowering.transform import elementwise, numbers, require_shape, transform
from snn_deploy.errors import ModelNotSupported
from snn_deploy.network.arrays import FloatArray
from snn_deploy.network.connections import Dense
from snn_deploy.network.contract import Contract


@transform.register
def _(node: nir.Linear, name: str, signal: Signal, contract: Contract) -> Signal:
    weight = _matrix(node, name)
    require_shape(signal, weight.shape[1:], name)
    return signal.through(Dense(weight), name, weight.shape[:1])


@transform.register
def _(node: nir.Affine, name: str, signal: Signal, contract: Contract) -> Signal:
    weight, bias = _matrix(node, name), numbers(node.bias, name, "bias")
    require_shape(signal, weight.shape[1:], name)
    if bias.shape != weight.shape[:1]:
        raise ModelNotSupported(
            "the bias does not match the weight rows", where=name, found=bias.shape, allowed=weight.shape[:1]
        )
    return signal.through(Dense(weight), name, weight.shape[:1]).plus(bias)


@transform.register
def _(node: nir.Scale, name: str, signal: Signal, contract: Contract) -> Signal:
    scale = numbers(node.scale, name, "scale")
    gain = elementwise(scale, signal, name)
    bias = None if signal.bias is None else gain * signal.bias
    return signal.mapped(lambda connection: scale_rows(connection, gain), name, bias)


def _matrix(node: Any, name: str) -> FloatArray:
    weight = numbers(node.weight, name, "weight")
    if weight.ndim != 2:
        raise ModelNotSupported(
            "a weight must be a matrix",
            where=name,
            found=f"shape {weight.shape}",
            allowed="(neurons out, neurons in)",
        )
    return weight
