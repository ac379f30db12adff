"""Values to spikes: Bernoulli rate coding, and signed vectors split into ON and OFF channels."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from snn_deploy.errors import UsageError


def rate_code(values: npt.ArrayLike, steps: int, rng: np.random.Generator | int) -> npt.NDArray[np.uint8]:
    """Bernoulli spike rasters whose rate is the value.

    z[n, t, k] = 1 with probability values[n, k], independently in every time step, so that the count over
    ``steps`` is binomial: mean steps p, variance steps p (1 - p).

    ``values`` lies in [0, 1] and has the shape (samples, width); ``rng`` is a generator or a seed. Returns
    uint8 (samples, steps, width). The draw compares 16-bit integers, so a probability is met to 1/65536,
    and 0 and 1 are met exactly. Raises UsageError for values outside [0, 1] and for steps < 1.
    """
    array = np.asarray(values, np.float64)
    if array.ndim != 2 or steps < 1 or not np.all((array >= 0) & (array <= 1)):
        raise UsageError(
            "rate coding takes probabilities of shape (samples, width) and at least one step",
            found=f"shape {array.shape}, range [{array.min(initial=0):g}, {array.max(initial=0):g}], "
            f"{steps} steps",
            allowed="values in [0, 1], steps >= 1",
        )
    generator = np.random.default_rng(rng)
    limits = np.round(array * 65536).astype(np.int64)
    # 65536 does not fit 16 bits: channels that always fire are set afterwards.
    thresholds = np.minimum(limits, 65535).astype(np.uint16)[:, None, :]
    shape = (array.shape[0], steps, array.shape[1])
    draws = np.frombuffer(generator.bytes(2 * int(np.prod(shape))), np.uint16).reshape(shape)
    spikes: npt.NDArray[np.uint8] = ((draws < thresholds) | (limits == 65536)[:, None, :]).view(np.uint8)
    return spikes


def on_off(values: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Signed vectors as two rectified channels, (n, k) to (n, 2 k): ON = max(x, 0), then OFF = max(-x, 0)."""
    array = np.asarray(values, np.float64)
    return np.concatenate([np.maximum(array, 0), np.maximum(-array, 0)], axis=-1)


def on_minus_off(counts: npt.ArrayLike) -> npt.NDArray[np.int64]:
    """The read-out that undoes :func:`on_off`: (n, 2 k) spike counts to (n, k) ON minus OFF."""
    array = np.asarray(counts, np.int64)
    half = array.shape[-1] // 2
    return np.asarray(array[..., :half] - array[..., half:])
