"""INPUT.npz, the spikes that ``run``, ``fit``, ``parity`` and ``convert --calibration`` take.

It holds ``spikes``, 0/1, shape (samples, steps, *input shape), or ``graded``, signed integers of the input's
``message_bits``, where the network takes graded input; a network with several inputs takes
``spikes.<input>`` or ``graded.<input>`` for each, and an input that is left out stays silent.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from snn_deploy.engine.inputs import checked_inputs
from snn_deploy.errors import SnnDeployError, UsageError, Violation
from snn_deploy.files import read_npz
from snn_deploy.network.discrete import DiscreteNetwork
from snn_deploy.network.network import Input
from snn_deploy.network.quantised import QuantisedNetwork


def read_inputs(
    path: Path | str, network: QuantisedNetwork | DiscreteNetwork, *, binarise: bool = False
) -> dict[str, NDArray[Any]]:
    """Read INPUT.npz for a network: input name -> uint8, or int32 where graded, (samples, steps, neurons).

    binarise: of an input that takes spikes, every value above 0 is one spike (OR of the events of a step).
    Raises UsageError for missing or unknown keys, wrong shapes and values that the input cannot take (all
    at once), UnsafeFile for damaged files, pickles and arrays larger than the limit.
    """
    arrays = read_npz(path, "input file (.npz)")
    keys = {_key(node, alone=len(network.inputs) == 1): node.name for node in network.inputs}
    unknown = sorted(set(arrays) - set(keys))
    if unknown or not arrays:
        raise UsageError(
            "the input file must hold one array an input",
            where=path,
            found=", ".join(sorted(arrays)) or "no arrays",
            allowed=", ".join(keys),
        )
    given = {keys[key]: values for key, values in arrays.items()}
    if binarise:
        graded = {node.name for node in network.inputs if node.message_bits}
        given = {name: v if name in graded else _binarised(v) for name, v in given.items()}
    try:
        spikes, _, _ = checked_inputs(network, given)
    except SnnDeployError as error:
        raise UsageError(
            Violation(v.what, f"{path}: {v.where}", v.found, v.allowed, v.remedy) for v in error.violations
        ) from None
    return spikes


def _binarised(values: NDArray[Any]) -> NDArray[Any]:
    """1 where a value is above 0; what is no finite number is left to be refused."""
    if values.dtype.kind not in "biuf" or (values.dtype.kind == "f" and not np.isfinite(values).all()):
        return values
    return (values > 0).astype(np.uint8)


def _key(node: Input, *, alone: bool) -> str:
    kind = "graded" if node.message_bits else "spikes"
    return kind if alone else f"{kind}.{node.name}"
