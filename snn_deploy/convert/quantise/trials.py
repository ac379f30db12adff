"""Trials: run the integer network at some levels on calibration spikes, and judge it.

A stage (a node, or the nodes of one cycle) runs behind the spikes of those before it, so a changed
level costs the stages from its node on, and each stage's engine is built once for each of its levels.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from snn_deploy.convert.quantise import Quantiser, Rounding
from snn_deploy.convert.quantise.gate import Verdict, counts, judge
from snn_deploy.convert.quantise.subnetwork import Subnetwork
from snn_deploy.engine.stepping import Spikes
from snn_deploy.network.arrays import IntArray
from snn_deploy.network.discrete import DiscreteNetwork
from snn_deploy.network.quantised import QuantisedNetwork
from snn_deploy.network.schedule import stages

Levels = Mapping[str, int]


@dataclass(frozen=True, eq=False)
class Trial:
    """What the integer network did at these levels; rasters and counts by node, inputs included."""

    levels: Levels
    rasters: Mapping[str, Spikes]
    counts: Mapping[str, IntArray]
    verdict: Verdict


class Engines:
    """The integer network at any levels, in stages that are built when first asked for."""

    def __init__(self, quantiser: Quantiser, rounding: Callable[[str, int], Rounding]) -> None:
        self._quantiser, self._rounding = quantiser, rounding
        self.stages = stages(quantiser.float_network)
        self._parts: dict[tuple[tuple[str, int], ...], Subnetwork] = {}

    def network(self, levels: Levels) -> QuantisedNetwork:
        """The whole integer network."""
        roundings = {node: self._rounding(node, level) for node, level in levels.items()}
        return self._quantiser.network(levels, roundings)

    def part(self, stage: list[str], levels: Levels) -> Subnetwork:
        """One stage, ready to run; only the levels of its own nodes matter."""
        key = tuple((node, levels[node]) for node in stage)
        if key not in self._parts:
            self._parts[key] = Subnetwork(self.network(levels), stage)
        return self._parts[key]


class Trials:
    """Runs and judges levels on ``exact``, the float network's rasters (samples, steps, neurons)."""

    def __init__(self, engines: Engines, network: DiscreteNetwork, exact: Mapping[str, Spikes]) -> None:
        self._engines, self._network, self.exact = engines, network, exact
        self._expected = {name: counts(raster) for name, raster in exact.items()}
        self._inputs = {node.name: exact[node.name] for node in network.inputs}
        self.runs = 0

    def whole(self, levels: Levels) -> Trial:
        """Run all nodes."""
        return self._run(levels, self._inputs, {}, {name for stage in self._engines.stages for name in stage})

    def promoted(self, before: Trial, node: str, level: int) -> Trial:
        """Move one node of ``before`` to another level: run it and all that its spikes reach."""
        levels = {**before.levels, node: level}
        return self._run(levels, before.rasters, before.counts, downstream(self._network, node))

    def _run(
        self, levels: Levels, given: Mapping[str, Spikes], counted: Mapping[str, IntArray], nodes: set[str]
    ) -> Trial:
        self.runs += 1
        rasters, found = dict(given), dict(counted)
        for stage in self._engines.stages:
            if nodes.isdisjoint(stage):
                continue
            fresh = self._engines.part(stage, levels).run(rasters)
            rasters |= fresh
            found |= {name: counts(raster) for name, raster in fresh.items()}
        return Trial(levels, rasters, found, judge(self._network, self._expected, found))


def downstream(network: DiscreteNetwork, node: str) -> set[str]:
    """The node and all nodes that its spikes can reach."""
    reached, grown = {node}, True
    while grown:
        more = {edge.target for edge in network.projections if edge.source in reached} - reached
        reached |= more
        grown = bool(more)
    return reached
