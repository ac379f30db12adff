"""Array types and the one helper that makes a value class safe to share."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
SpikeArray = NDArray[np.uint8]
AnyArray = NDArray[Any]


def frozen(values: Any, dtype: type[np.generic]) -> NDArray[Any]:
    """Return a read-only, C-contiguous copy of ``values``: no pass can change its input by accident."""
    array = np.array(values, dtype=dtype, order="C", copy=True)
    array.setflags(write=False)
    return array
