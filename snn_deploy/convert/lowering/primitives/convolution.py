"""Conv1d and Conv2d: cross-correlation with zero padding, as in PyTorch."""

from __future__ import annotations

from typing import Any

import nir
import numpy as np

from snn_deploy.convert.lowering.signal import Signal
from snn_deploy.convert.lowering.transform import integers, numbers, transform
from snn_deploy.errors import ModelNotSupported
from snn_deploy.network.arrays import FloatArray, frozen
from snn_deploy.network.connections import Conv2d
from snn_deploy.network.contract import Contract


@transform.register
def _(node: nir.Conv1d, name: str, signal: Signal, contract: Contract) -> Signal:
    conv = _convolution(node, name, signal, dimensions=1)
    channels, _, length = conv.output_shape
    return _behind(conv, node, name, signal, (channels, length))


@transform.register
def _(node: nir.Conv2d, name: str, signal: Signal, contract: Contract) -> Signal:
    conv = _convolution(node, name, signal, dimensions=2)
    return _behind(conv, node, name, signal, conv.output_shape)


def _behind(conv: Conv2d, node: Any, name: str, signal: Signal, shape: tuple[int, ...]) -> Signal:
    sent = signal.through(conv, name, shape)
    if node.bias is None:
        return sent
    bias = numbers(node.bias, name, "bias")
    if bias.shape != shape[:1]:
        raise ModelNotSupported(
            "a convolution's bias has one value a channel", where=name, found=bias.shape, allowed=shape[:1]
        )
    return sent.plus(np.repeat(bias, int(np.prod(shape[1:]))))


def _convolution(node: Any, name: str, signal: Signal, dimensions: int) -> Conv2d:
    """The connection; a 1-d convolution is a 2-d one of height 1."""
    weight = numbers(node.weight, name, "weight")
    if weight.ndim != dimensions + 2 or len(signal.shape) != dimensions + 1:
        raise ModelNotSupported(
            "a convolution takes (channels, space) and weights (channels out, channels in, kernel)",
            where=name,
            found=f"input {signal.shape}, weight {weight.shape}",
            allowed=f"{dimensions} dimension(s) of space",
        )
    (groups,) = integers(node.groups, 1, name, "groups", 1)
    if weight.shape[1] * groups != signal.shape[0] or weight.shape[0] % groups:
        raise ModelNotSupported(
            "the channels do not match what arrives",
            where=name,
            found=f"{signal.shape[0]} channels into weight {weight.shape} in {groups} group(s)",
        )
    if node.input_shape is not None and signal.shape[1:] != tuple(np.atleast_1d(node.input_shape).tolist()):
        raise ModelNotSupported(
            "input_shape is not the shape that arrives",
            where=name,
            found=node.input_shape,
            allowed=signal.shape[1:],
        )
    stride = integers(node.stride, dimensions, name, "stride", 1)
    dilation = integers(node.dilation, dimensions, name, "dilation", 1)
    weight, padding = _padding(node.padding, weight, stride, dilation, name)
    space = signal.shape[1:]
    if dimensions == 1:
        weight = frozen(weight[:, :, None, :], np.float64)
        stride, dilation, padding, space = (1, *stride), (1, *dilation), (0, *padding), (1, *space)
    conv = Conv2d(
        weight,
        (signal.shape[0], space[0], space[1]),
        (stride[0], stride[1]),
        (padding[0], padding[1]),
        (dilation[0], dilation[1]),
        groups,
    )
    if min(conv.output_shape) < 1:
        raise ModelNotSupported(
            "the kernel is larger than its padded input", where=name, found=str(signal.shape)
        )
    return conv


def _padding(
    stated: Any, weight: FloatArray, stride: tuple[int, ...], dilation: tuple[int, ...], name: str
) -> tuple[FloatArray, tuple[int, ...]]:
    """Kernel and padding of each side; "same" may grow the kernel by zeros to make both sides equal."""
    if isinstance(stated, bytes):
        stated = stated.decode()
    if not isinstance(stated, str):
        return weight, integers(stated, len(stride), name, "padding", 0)
    if stated == "valid":
        return weight, (0,) * len(stride)
    if stated != "same" or set(stride) != {1}:
        raise ModelNotSupported(
            "this padding has no meaning",
            where=name,
            found=f"padding {stated!r} with stride {stride}",
            allowed="'same' with stride 1, 'valid', or whole numbers",
        )
    padding = []
    for axis, dil in enumerate(dilation, start=2):
        total = dil * (weight.shape[axis] - 1)
        if total % 2:
            if dil > 1:
                raise ModelNotSupported(
                    "'same' padding of an even, dilated kernel is uneven",
                    where=name,
                    found=f"dilation {dilation}",
                )
            # PyTorch pads one cell more at the end; a zero in front of the kernel makes both sides equal
            before = [(0, 0)] * weight.ndim
            before[axis] = (1, 0)
            weight = frozen(np.pad(weight, before), np.float64)
            total += 1
        padding.append(total // 2)
    return weight, tuple(padding)
