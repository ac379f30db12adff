"""Choose a level for every node: a greedy search that promotes until the gate holds.

Each node is tried one and two rungs up; the promotion with the largest drop of error for each further
synaptic operation and axon message wins. Nothing is rerun that lies before the promoted node.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from snn_deploy.convert.connections import fan_out
from snn_deploy.convert.quantise import LEVELS, ROUNDINGS, Quantiser, Rounding
from snn_deploy.convert.quantised import QuantisedNetwork
from snn_deploy.deploy.backends.stepping import Spikes
from snn_deploy.deploy.quantisation.gate import Verdict, count_error, judge
from snn_deploy.deploy.quantisation.parts import downstream, run_nodes

#: Calibration samples that the search runs on.
_SAMPLES = 32
#: Rungs that one promotion may climb, unless only a longer climb helps.
_REACH = 2
#: Up to this level the rounding is chosen by running the layer; above, the differences are noise.
_CHOOSE_ROUNDING_UP_TO = 1
#: Another rounding must lower the count error to this part of descent's; less is noise.
_CLEARLY_BETTER = 0.85


@dataclass(frozen=True)
class Cost:
    """Events that calibration causes: spikes times nonzero synapses, and spikes times planes."""

    synops: int
    messages: int

    @property
    def total(self) -> int:
        return self.synops + self.messages


@dataclass(frozen=True, eq=False)
class Outcome:
    """The chosen network, how the gate judges it, and what was tried.

    cost: of this network; single: of level 0 everywhere. stopped: why the search ended.
    """

    network: QuantisedNetwork
    levels: Mapping[str, int]
    verdict: Verdict
    cost: Cost
    single: Cost
    stopped: str
    runs: int
    promotions: tuple[dict[str, Any], ...] = ()

    def report(self) -> dict[str, Any]:
        """The outcome as JSON-able values; costs are ratios to level 0 everywhere."""
        return {
            "stopped": self.stopped,
            "runs": self.runs,
            "promotions": list(self.promotions),
            "synops": self.cost.synops,
            "axon_messages": self.cost.messages,
            "synops_ratio": self.cost.synops / max(1, self.single.synops),
            "axon_message_ratio": self.cost.messages / max(1, self.single.messages),
        }


@dataclass(eq=False)
class Search:
    """Evaluates levels on calibration spikes; remembers roundings and costs."""

    quantiser: Quantiser
    samples: int = _SAMPLES
    runs: int = 0
    _roundings: dict[tuple[str, int], Rounding] = field(default_factory=dict)
    _costs: dict[tuple[str, int], Cost] = field(default_factory=dict)

    def __post_init__(self) -> None:
        rasters = self.quantiser.evidence.rasters
        self.exact: dict[str, Spikes] = {name: raster[: self.samples] for name, raster in rasters.items()}

    def at(self, levels: Mapping[str, int]) -> Outcome:
        """Quantise and judge these levels, without a search."""
        network = self._network(levels)
        rasters = self._run(network, set(self.quantiser.nodes), self.exact)
        return self._outcome(
            network, levels, judge(self.quantiser.float_network, self.exact, rasters), "fixed level"
        )

    def start(self) -> dict[str, int]:
        """Level 0, but for read-outs that never fire: no count tells how well those do."""
        default = self.quantiser.default_levels()
        return {node: 0 if self._spiking(node) else level for node, level in default.items()}

    def greedy(self, start: Mapping[str, int], budget: float | None = None) -> Outcome:
        """Promote nodes from ``start`` until the gate holds, nothing is left, or the budget is spent.

        budget: largest cost (synaptic operations plus axon messages) in units of level 0 everywhere.
        """
        levels = dict(start)
        network = self._network(levels)
        rasters = self._run(network, set(self.quantiser.nodes), self.exact)
        verdict = judge(self.quantiser.float_network, self.exact, rasters)
        allowed = np.inf if budget is None else budget * self._cost(dict.fromkeys(levels, 0)).total
        promotions: list[dict[str, Any]] = []
        stopped = "the gate holds"
        while not verdict.passed:
            tried = self._candidates(levels, rasters, verdict, allowed, _REACH)
            tried = tried or self._candidates(levels, rasters, verdict, allowed, len(LEVELS))
            if not tried:
                at_top = all(level == len(LEVELS) - 1 for level in levels.values())
                stopped = (
                    "every node is at the top level" if at_top else "no promotion within the budget helps"
                )
                break
            _, node, level, network, rasters, better = max(tried, key=lambda entry: entry[0])
            promotions.append(
                {
                    "node": node,
                    "from": levels[node],
                    "to": level,
                    "score": better.score,
                    "before": verdict.score,
                }
            )
            levels[node], verdict = level, better
        return self._outcome(network, levels, verdict, stopped, tuple(promotions))

    def _candidates(
        self,
        levels: Mapping[str, int],
        rasters: Mapping[str, Spikes],
        verdict: Verdict,
        allowed: float,
        reach: int,
    ) -> list[tuple[float, str, int, QuantisedNetwork, dict[str, Spikes], Verdict]]:
        """(drop of error a cost, node, level, network, rasters, verdict) of promotions that help."""
        tried = []
        now = self._cost(levels).total
        for node in levels:
            for level in range(levels[node] + 1, min(levels[node] + reach + 1, len(LEVELS))):
                proposed = {**levels, node: level}
                cost = self._cost(proposed).total
                if cost > allowed:
                    continue
                network = self._network(proposed)
                changed = self._run(network, downstream(network, node), rasters)
                found = {**rasters, **changed}
                judged = judge(self.quantiser.float_network, self.exact, found)
                drop = verdict.score - judged.score
                if drop > 0:
                    tried.append((drop / max(1, cost - now), node, level, network, found, judged))
        return tried

    def _run(
        self, network: QuantisedNetwork, nodes: set[str], given: Mapping[str, Spikes]
    ) -> dict[str, Spikes]:
        self.runs += 1
        return {**{n: r for n, r in given.items() if n not in nodes}, **run_nodes(network, nodes, given)}

    def _network(self, levels: Mapping[str, int]) -> QuantisedNetwork:
        return self.quantiser.network(
            levels, {node: self.rounding(node, level) for node, level in levels.items()}
        )

    def rounding(self, node: str, level: int) -> Rounding:
        """How this node is best rounded at this level, by its count error behind float spikes."""
        if level > _CHOOSE_ROUNDING_UP_TO or not self._spiking(node):
            return ROUNDINGS[0]
        if (node, level) not in self._roundings:
            errors = {}
            for rounding in ROUNDINGS:
                levels = dict.fromkeys(self.quantiser.nodes, level)
                network = self.quantiser.network(levels, {node: rounding})
                self.runs += 1
                errors[rounding] = count_error(self.exact[node], run_nodes(network, {node}, self.exact)[node])
            best = min(ROUNDINGS, key=lambda name: errors[name])
            clearly = errors[best] < _CLEARLY_BETTER * errors[ROUNDINGS[0]]
            self._roundings[node, level] = best if clearly else ROUNDINGS[0]
        return self._roundings[node, level]

    def _spiking(self, node: str) -> bool:
        return next(p.spiking for p in self.quantiser.float_network.populations if p.name == node)

    def _cost(self, levels: Mapping[str, int]) -> Cost:
        parts = [self._node_cost(node, level) for node, level in levels.items()]
        return Cost(sum(part.synops for part in parts), sum(part.messages for part in parts))

    def _node_cost(self, node: str, level: int) -> Cost:
        if (node, level) not in self._costs:
            layer = self.quantiser.layer(node, level, self.rounding(node, level))
            synops = messages = 0
            for plane in layer.projections:
                arriving = self._spike_totals(plane.source)
                targets = fan_out(plane.connection, stored=False)
                synops += int(arriving @ targets)
                messages += int(arriving[targets > 0].sum())
            self._costs[node, level] = Cost(synops, messages)
        return self._costs[node, level]

    def _spike_totals(self, source: str) -> Any:
        """Spikes of each neuron of an input or integer population over all calibration samples."""
        if source in self.exact:
            return np.count_nonzero(self.exact[source], axis=(0, 1))
        node, index = self.quantiser.members(source)
        return np.count_nonzero(self.exact[node], axis=(0, 1))[index]

    def _outcome(
        self,
        network: QuantisedNetwork,
        levels: Mapping[str, int],
        verdict: Verdict,
        stopped: str,
        promotions: tuple[dict[str, Any], ...] = (),
    ) -> Outcome:
        return Outcome(
            network=network,
            levels=dict(levels),
            verdict=verdict,
            cost=self._cost(levels),
            single=self._cost(dict.fromkeys(levels, 0)),
            stopped=stopped,
            runs=self.runs,
            promotions=promotions,
        )
