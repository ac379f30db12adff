"""Arrays that grow at their end."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def appended(buffer: NDArray[Any], used: int, values: NDArray[Any]) -> NDArray[Any]:
    """``buffer`` with ``values`` written after its first ``used`` entries; grows by half when it is full."""
    size = used + values.shape[0]
    if size > buffer.shape[0]:
        grown = np.empty((max(size, buffer.shape[0] * 3 // 2, 64), *buffer.shape[1:]), buffer.dtype)
        grown[:used] = buffer[:used]
        buffer = grown
    buffer[used:size] = values
    return buffer
