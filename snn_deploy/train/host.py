"""What of a trained encoder runs on the host, in numpy alone: convolutions, and the bridge to spikes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

STAGES = ((16, 4), (8, 4), (4, 2))
"""Kernel and stride of each convolution of the encoder."""
_ITEMS = 256
"""Items that are encoded at once."""


def bridge_spikes(
    signals: NDArray[np.floating[Any]], arrays: Mapping[str, NDArray[Any]]
) -> NDArray[np.uint8]:
    """Spikes (items, steps, channels) of signals (items, samples): 1 where a latent value exceeds 1.

    arrays: ``encoder_K_kernel`` (channels, inputs, kernel) and ``encoder_K_offset`` (channels,) of stage K.
    Between two stages values below 0 become 0.
    """
    parts = []
    for first in range(0, len(signals), _ITEMS):
        values = np.asarray(signals[first : first + _ITEMS, None], np.float32)
        for stage, (kernel, stride) in enumerate(STAGES):
            if stage:
                values = np.maximum(values, 0)
            values = _convolved(
                values, arrays[f"encoder_{stage}_kernel"], arrays[f"encoder_{stage}_offset"], kernel, stride
            )
        parts.append((values > 1).transpose(0, 2, 1).astype(np.uint8))
    return np.concatenate(parts)


def _convolved(
    values: NDArray[np.float32], weight: NDArray[Any], bias: NDArray[Any], kernel: int, stride: int
) -> NDArray[np.float32]:
    """(items, inputs, cells) to (items, outputs, cells'), padded by half a kernel, as torch's Conv1d."""
    padded = np.pad(values, ((0, 0), (0, 0), (kernel // 2, kernel // 2)))
    views = np.lib.stride_tricks.sliding_window_view(padded, kernel, axis=2)[:, :, ::stride]
    items, inputs, cells, _ = views.shape
    flat = views.transpose(0, 2, 1, 3).reshape(items * cells, inputs * kernel)
    found = flat @ weight.reshape(len(weight), -1).T.astype(np.float32) + bias
    return np.asarray(found.reshape(items, cells, -1).transpose(0, 2, 1), np.float32)
