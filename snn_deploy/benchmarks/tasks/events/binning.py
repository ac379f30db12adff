"""Events to what a network is shown in each time step."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from snn_deploy.benchmarks.tasks.events.recordings import Recordings

Binning = Literal["or", "counts"]


def binned(recordings: Recordings, steps: int, step_s: float, binning: Binning = "or") -> NDArray[np.uint8]:
    """Rasters (recordings, steps, *shape); an event at time t falls into step floor(t / step_s).

    binning: "or", 1 where a cell has any event in a step; "counts", how many, at most 255. Events behind the
    last step are left out.
    """
    cells = int(np.prod(recordings.shape))
    counts = np.zeros((len(recordings), steps, cells), np.uint16)
    of = np.repeat(np.arange(len(recordings)), np.diff(recordings.start))
    # a time that was stored in single precision may lie just below its step's beginning
    step = np.floor(recordings.time_s / step_s + 1e-6).astype(np.int64)
    kept = step < steps
    np.add.at(counts, (of[kept], step[kept], recordings.address[kept]), 1)
    limit = 1 if binning == "or" else 255
    return np.minimum(counts, limit).astype(np.uint8).reshape(len(recordings), steps, *recordings.shape)


def delayed(rasters: NDArray[Any], delays: int) -> NDArray[Any]:
    """Rasters (items, steps, channels) beside themselves 1 .. ``delays`` - 1 steps later, (items, steps,
    delays x channels): what axons with delays bring, so that a layer of weights is a convolution in time."""
    items, steps, channels = rasters.shape
    found = np.zeros((items, steps, delays, channels), rasters.dtype)
    for delay in range(delays):
        found[:, delay:, delay] = rasters[:, : steps - delay]
    return found.reshape(items, steps, delays * channels)
