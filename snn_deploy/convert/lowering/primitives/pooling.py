"""SumPool2d and AvgPool2d: a depthwise convolution with equal weights."""

from __future__ import annotations

from typing import Any

import nir
import numpy as np

from snn_deploy.convert.lowering.signal import Signal
from snn_deploy.convert.lowering.transform import integers, transform
from snn_deploy.errors import ModelNotSupported
from snn_deploy.network.arrays import frozen
from snn_deploy.network.connections import Conv2d
from snn_deploy.network.contract import Contract


@transform.register
def _(node: nir.SumPool2d, name: str, signal: Signal, contract: Contract) -> Signal:
    pool = _pool(node, name, signal, mean=False)
    return signal.through(pool, name, pool.output_shape)


@transform.register
def _(node: nir.AvgPool2d, name: str, signal: Signal, contract: Contract) -> Signal:
    """Cells of padding count in the mean, as PyTorch's default has it."""
    pool = _pool(node, name, signal, mean=True)
    return signal.through(pool, name, pool.output_shape)


def _pool(node: Any, name: str, signal: Signal, *, mean: bool) -> Conv2d:
    if len(signal.shape) != 3:
        raise ModelNotSupported(
            "pooling takes (channels, height, width)", where=name, found=f"shape {signal.shape}"
        )
    kernel = integers(node.kernel_size, 2, name, "kernel_size", 1)
    stride = integers(node.stride, 2, name, "stride", 1)
    padding = integers(node.padding, 2, name, "padding", 0)
    channels, height, width = signal.shape
    weight = np.full((channels, 1, *kernel), 1.0 / (kernel[0] * kernel[1]) if mean else 1.0)
    pool = Conv2d(
        frozen(weight, np.float64),
        (channels, height, width),
        (stride[0], stride[1]),
        (padding[0], padding[1]),
        (1, 1),
        channels,
    )
    if min(pool.output_shape) < 1:
        raise ModelNotSupported(
            "the kernel is larger than its padded input", where=name, found=str(signal.shape)
        )
    return pool
