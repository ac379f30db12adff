"""Which axis of the input is which: samples and steps can be exchanged without any error to show for it."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from numpy.typing import NDArray

from snn_deploy.convert.artifact import Artifact

_LOG = logging.getLogger(__name__)

#: Where nothing states the steps, fewer than these, of more samples than steps, look like samples.
_FEW_STEPS = 16


def doubts(artifact: Artifact, inputs: Mapping[str, NDArray[Any]]) -> str | None:
    """What is doubtful about the shape (samples, steps, neurons) of an input, in a sentence; None if nothing.

    The artifact's steps are those that the model states, or that it was calibrated on.
    """
    if not inputs:
        return None
    samples, steps = next(iter(inputs.values())).shape[:2]
    stated = artifact.provenance.get("steps")
    shape = f"the input has {samples} samples of {steps} steps (axes: samples, steps, ...)"
    if stated is not None:
        if steps == stated:
            return None
        if samples == stated:
            return f"{shape}; a sample of this network has {stated} steps: if time comes first, swap them"
        return f"{shape}; this network was made for samples of {stated} steps"
    if steps < min(_FEW_STEPS, samples):
        return (
            f"{shape}: if time comes first, swap them; 'convert --steps N' states the steps of a sample, so "
            "that they are checked"
        )
    return None


def report(artifact: Artifact, inputs: Mapping[str, NDArray[Any]]) -> None:
    """Warn of it."""
    doubt = doubts(artifact, inputs)
    if doubt is not None:
        _LOG.warning("%s", doubt)
