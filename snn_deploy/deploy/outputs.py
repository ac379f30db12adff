"""OUT.npz, what ``run`` writes.

It holds ``counts`` int32 (samples, outputs), ``membranes`` float64 (samples, steps, outputs) of a read-out
that never spikes, in the model's units, ``encoder``, the name by which a memory knows whose counts they are,
and, on request, ``spikes`` uint8 (samples, steps, outputs); with several outputs the keys are
``counts.<output>`` and so on.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from snn_deploy.convert.artifact import Artifact
from snn_deploy.engine.result import RunResult
from snn_deploy.files import atomic_write


def write_result(path: Path, result: RunResult, artifact: Artifact, *, spikes: bool) -> None:
    """Write OUT.npz of a run of ``artifact``; replaces ``path`` only when complete."""
    arrays: dict[str, NDArray[Any]] = {}
    outputs = artifact.network.outputs
    for output in outputs:
        suffix = "" if len(outputs) == 1 else f".{output.name}"
        arrays[f"counts{suffix}"] = result.counts[output.name]
        arrays[f"encoder{suffix}"] = np.array(encoder_name(artifact, output.name))
        if output.name in result.membranes:
            arrays[f"membranes{suffix}"] = result.membranes[output.name]
        if spikes:
            arrays[f"spikes{suffix}"] = result.spikes[output.node]
    with atomic_write(path) as temporary, temporary.open("wb") as handle:
        np.savez_compressed(handle, **arrays)


def encoder_name(artifact: Artifact, output: str) -> str:
    """What a memory calls the source of its keys: an artifact's integers and one of its outputs."""
    return f"sha256:{artifact.hashes['integers']} {output}"
