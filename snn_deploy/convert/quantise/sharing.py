"""What it costs that neurons share decays: the float network with shared ones, on calibration spikes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from snn_deploy.convert.compose import scale_rows
from snn_deploy.convert.quantise.decays import kept_decays, round_decays
from snn_deploy.convert.quantise.gate import count_error
from snn_deploy.convert.quantise.network import Quantiser
from snn_deploy.engine import float as float_engine
from snn_deploy.engine.stepping import Spikes
from snn_deploy.network.arrays import frozen
from snn_deploy.network.connections import size
from snn_deploy.network.discrete import DiscreteNetwork, DiscretePopulation
from snn_deploy.network.network import Input


def shared_decays(quantiser: Quantiser, exact: Mapping[str, Spikes]) -> dict[str, dict[str, Any]]:
    """By node whose neurons share decays: how many pairs they had, how many are left, what that costs.

    exact: rasters (samples, steps, neurons) of the float network, inputs included. count_error: of the node
    behind exact spikes, before any integer; None for a read-out.
    """
    found = {}
    for population in quantiser.float_network.populations:
        groups = quantiser.groups(population.name)
        own = np.unique(np.stack(round_decays(population, quantiser.profile)), axis=1).shape[1]
        if len(groups) == own:
            continue
        error = None
        if population.spiking:
            alone = _alone(quantiser, population)
            inputs = {node.name: exact[node.name] for node in alone.inputs}
            spikes = float_engine.run(alone, inputs).rasters[alone.populations[0].name]
            error = count_error(exact[population.name], spikes)
        found[population.name] = {"pairs": own, "groups": len(groups), "count_error": error}
    return found


def _alone(quantiser: Quantiser, population: DiscretePopulation) -> DiscreteNetwork:
    """The node with shared decays and their corrections, all that reaches it as an input."""
    du, dv, gain, offset = (np.zeros(population.v0.size) for _ in range(4))
    for group in quantiser.groups(population.name):
        du[group.index], dv[group.index] = kept_decays(group.du, group.dv, quantiser.profile)
        correction = quantiser.correction(group.name)
        gain[group.index], offset[group.index] = correction.gain, correction.offset
    shared = replace(
        population,
        name=f"{population.name} with shared decays",
        du=frozen(du, np.float64),
        dv=frozen(dv, np.float64),
        bias=frozen(population.bias * gain + offset, np.float64),
        u0=frozen(population.u0 * gain, np.float64),
    )
    edges = [e for e in quantiser.float_network.projections if e.target == population.name]
    return replace(
        quantiser.float_network,
        inputs=tuple(
            Input(name, (size(edge.connection)[1],)) for name, edge in {e.source: e for e in edges}.items()
        ),
        populations=(shared,),
        projections=tuple(
            replace(e, target=shared.name, connection=scale_rows(e.connection, gain)) for e in edges
        ),
        outputs=(),
    )
