"""OUT.npz, what ``run`` writes.

It holds ``counts`` int32 (samples, outputs), ``membranes`` float64 (samples, steps, outputs) of a read-out
that never spikes, in the model's units, and, on request, ``spikes`` uint8 (samples, steps, outputs); with
several outputs the keys are ``counts.<output>`` and so on.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from snn_deploy.engine.result import RunResult
from snn_deploy.files import atomic_write
from snn_deploy.network.quantised import QuantisedNetwork


def write_result(path: Path, result: RunResult, network: QuantisedNetwork, *, spikes: bool) -> None:
    """Write OUT.npz; replaces ``path`` only when complete."""
    arrays: dict[str, NDArray[Any]] = {}
    for output in network.outputs:
        suffix = "" if len(network.outputs) == 1 else f".{output.name}"
        arrays[f"counts{suffix}"] = result.counts[output.name]
        if output.name in result.membranes:
            arrays[f"membranes{suffix}"] = result.membranes[output.name]
        if spikes:
            arrays[f"spikes{suffix}"] = result.spikes[output.node]
    with atomic_write(path) as temporary, temporary.open("wb") as handle:
        np.savez_compressed(handle, **arrays)
