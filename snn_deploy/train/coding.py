"""Values to what a network is shown in each time step, and signed vectors split into ON and OFF channels.

A coding is a function of values (samples, *shape), a number of steps and a generator, and returns
(samples, steps, *shape): :func:`rate_code`, :func:`direct_code`, :func:`event_code`, or one of your own.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from snn_deploy.errors import UsageError

Coding = Callable[[npt.NDArray[Any], int, np.random.Generator], npt.NDArray[Any]]


def rate_code(values: npt.ArrayLike, steps: int, rng: np.random.Generator | int) -> npt.NDArray[np.uint8]:
    """Bernoulli spike rasters whose rate is the value.

    z[n, t, k] = 1 with probability values[n, k], independently in every time step, so that the count over
    ``steps`` is binomial: mean steps p, variance steps p (1 - p).

    ``values`` lies in [0, 1] and has the shape (samples, *shape); ``rng`` is a generator or a seed. Returns
    uint8 (samples, steps, *shape). The draw compares 16-bit integers, so a probability is met to 1/65536,
    and 0 and 1 are met exactly. Raises UsageError for values outside [0, 1] and for steps < 1.
    """
    array = np.asarray(values, np.float64)
    if array.ndim < 2 or steps < 1 or not np.all((array >= 0) & (array <= 1)):
        raise UsageError(
            "rate coding takes probabilities of shape (samples, width) and at least one step",
            found=f"shape {array.shape}, range [{array.min(initial=0):g}, {array.max(initial=0):g}], "
            f"{steps} steps",
            allowed="values in [0, 1], steps >= 1",
        )
    generator = np.random.default_rng(rng)
    limits = np.round(array * 65536).astype(np.int64)
    # 65536 does not fit 16 bits: channels that always fire are set afterwards.
    thresholds = np.minimum(limits, 65535).astype(np.uint16)[:, None]
    shape = (array.shape[0], steps, *array.shape[1:])
    draws = np.frombuffer(generator.bytes(2 * int(np.prod(shape))), np.uint16).reshape(shape)
    spikes: npt.NDArray[np.uint8] = ((draws < thresholds) | (limits == 65536)[:, None]).view(np.uint8)
    return spikes


def direct_code(
    values: npt.ArrayLike, steps: int, rng: np.random.Generator | int = 0
) -> npt.NDArray[np.float32]:
    """The values themselves in every step: graded spikes, or the constant current of a bias.

    Returns float32 (samples, steps, *shape), a view that repeats ``values`` and takes no memory; a layer
    of weights before the first neurons is then computed once and not in every step. ``rng`` is not read.
    Raises UsageError for steps < 1 and for values that are not finite.
    """
    array = np.asarray(values, np.float32)
    if array.ndim < 2 or steps < 1 or not np.isfinite(array).all():
        raise UsageError(
            "direct coding takes finite values of shape (samples, ...) and at least one step",
            found=f"shape {array.shape}, {steps} steps",
        )
    return np.broadcast_to(array[:, None], (array.shape[0], steps, *array.shape[1:]))


def event_code(rasters: npt.NDArray[Any], steps: int, rng: np.random.Generator | int = 0) -> npt.NDArray[Any]:
    """Rasters (samples, steps, *shape) as they are: events already lie in time. ``rng`` is not read.

    Raises UsageError where the rasters have another number of steps.
    """
    if rasters.ndim < 3 or rasters.shape[1] != steps:
        raise UsageError(
            "events are rasters of shape (samples, steps, ...)",
            found=f"shape {rasters.shape}",
            allowed=f"{steps} steps",
            remedy="Bin the events into as many steps, or set the recipe's steps.",
        )
    return rasters


def on_off(values: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Signed vectors as two rectified channels, (n, k) to (n, 2 k): ON = max(x, 0), then OFF = max(-x, 0)."""
    array = np.asarray(values, np.float64)
    return np.concatenate([np.maximum(array, 0), np.maximum(-array, 0)], axis=-1)
