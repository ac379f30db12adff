"""OUT.npz, what ``run`` writes.

It holds ``counts`` int32 (samples, outputs) of an output that spikes; of a read-out that never does,
``membranes`` float64 (samples, steps, outputs) in the model's units, and their ``mean``, ``last`` and
``maximum`` over the steps, (samples, outputs); ``encoder``, the name by which a memory knows whose vectors
they are; and, on request, ``spikes`` uint8 (samples, steps, outputs). With several outputs the keys are
``counts.<output>`` and so on.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from snn_deploy.convert.artifact import Artifact
from snn_deploy.deploy.membranes import READINGS
from snn_deploy.engine.result import RunResult
from snn_deploy.files import atomic_write


def write_result(path: Path, result: RunResult, artifact: Artifact, *, spikes: bool) -> None:
    """Write OUT.npz of a run of ``artifact``; replaces ``path`` only when complete."""
    arrays: dict[str, NDArray[Any]] = {}
    outputs = artifact.network.outputs
    for output in outputs:
        suffix = "" if len(outputs) == 1 else f".{output.name}"
        arrays[f"encoder{suffix}"] = np.array(encoder_name(artifact, output.name))
        membranes = result.membranes.get(output.name)
        if membranes is None:
            arrays[f"counts{suffix}"] = result.counts[output.name]
        else:
            arrays[f"membranes{suffix}"] = membranes
            arrays |= {f"{name}{suffix}": read(membranes) for name, read in READINGS.items()}
        if spikes:
            arrays[f"spikes{suffix}"] = result.spikes[output.node]
    with atomic_write(path) as temporary, temporary.open("wb") as handle:
        np.savez_compressed(handle, **arrays)


def encoder_name(artifact: Artifact, output: str) -> str:
    """What a memory calls the source of its keys: an artifact's integers and one of its outputs."""
    return f"sha256:{artifact.hashes['integers']} {output}"
