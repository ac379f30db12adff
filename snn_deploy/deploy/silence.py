"""What a run says of layers that stayed silent: counts of 0 look like an answer, and are none."""

from __future__ import annotations

import logging

from snn_deploy.convert.artifact import Artifact
from snn_deploy.engine.result import RunResult

_LOG = logging.getLogger(__name__)


def silent_layers(result: RunResult, artifact: Artifact) -> list[str]:
    """The spiking layers in which no neuron fired, and the read-outs whose membranes never moved."""
    spiking = {p.node for p in artifact.network.populations if p.spiking}
    found = [layer.name for layer in result.layers if layer.name in spiking and not layer.spikes]
    outputs = {output.name: output.node for output in artifact.network.outputs}
    still = [outputs[name] for name, v in result.membranes.items() if v.size and (v == v[:, :1]).all()]
    return [*found, *still]


def report(result: RunResult, artifact: Artifact) -> None:
    """Warn of each."""
    silent = silent_layers(result, artifact)
    if silent:
        _LOG.warning(
            "nothing happened in %s: what is read there says nothing of this input; check its rates, units "
            "and axes (samples, steps, ...)",
            ", ".join(silent),
        )
