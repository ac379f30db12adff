"""Passes: each takes a Network and returns another with the same spikes. To add one, list it here."""

from __future__ import annotations

from snn_deploy.convert.passes.decay import as_euler_steps
from snn_deploy.convert.passes.relay import relay_long_delays
from snn_deploy.network.network import Network

_PASSES = (as_euler_steps, relay_long_delays)


def run_passes(network: Network) -> Network:
    """All passes, in order."""
    for run in _PASSES:
        network = run(network)
    return network
