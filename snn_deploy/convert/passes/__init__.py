"""Passes: each takes a Network and returns another with the same spikes. To add one, list it here."""

from __future__ import annotations

from snn_deploy.convert.passes.decay import as_euler_steps
from snn_deploy.convert.passes.relay import relay_long_delays
from snn_deploy.network.network import Network
from snn_deploy.network.validity import NETWORK, check

_PASSES = (as_euler_steps, relay_long_delays)


def run_passes(network: Network) -> Network:
    """All passes, in order; the network is checked before the first and after each."""
    check(network, NETWORK)
    for run in _PASSES:
        network = check(run(network), NETWORK)
    return network
