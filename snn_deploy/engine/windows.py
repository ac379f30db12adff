"""The product of a convolution with rows of activity, as one dense matrix product for each sample.

A sparse matrix of all synapses takes a memory access for each; windows side by side take a BLAS call.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from snn_deploy.network.connections import Conv2d

_ENTRIES = 1 << 22
"""Entries of the windows that are held at a time."""


def convolved(conv: Conv2d, rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """W x for rows (samples, neurons in), to (samples, neurons out); exact for integers below 2^53."""
    channels, height, width = conv.output_shape
    outputs = np.empty((len(rows), channels, height * width))
    each = int(np.prod(conv.weight.shape[1:])) * conv.groups * height * width
    batch = max(1, _ENTRIES // each)
    for first in range(0, len(rows), batch):
        part = rows[first : first + batch].reshape(-1, *conv.input_shape)
        _convolve(conv, part, outputs[first : first + batch])
    return outputs.reshape(len(rows), channels * height * width)


def _convolve(conv: Conv2d, cells: NDArray[np.float64], outputs: NDArray[np.float64]) -> None:
    """Fill ``outputs`` (samples, channels out, places) from ``cells`` (samples, channels, height, width)."""
    down, across = conv.padding
    padded = np.pad(cells, ((0, 0), (0, 0), (down, down), (across, across)))
    _, height, width = conv.output_shape
    samples, channels = padded.shape[:2]
    kernel = conv.weight.shape[2:]
    strides = padded.strides
    windows = np.lib.stride_tricks.as_strided(
        padded,
        (samples, channels, *kernel, height, width),
        (
            *strides[:2],
            *(s * d for s, d in zip(strides[2:], conv.dilation, strict=True)),
            *(s * d for s, d in zip(strides[2:], conv.stride, strict=True)),
        ),
        writeable=False,
    )
    weight = conv.weight.reshape(conv.groups, conv.weight.shape[0] // conv.groups, -1).astype(np.float64)
    inside, outside = channels // conv.groups, weight.shape[1]
    for group in range(conv.groups):
        here = windows[:, group * inside : (group + 1) * inside].reshape(samples, -1, height * width)
        outputs[:, group * outside : (group + 1) * outside] = weight[group] @ here
