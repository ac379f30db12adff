"""Choose a level for every node: a greedy search that promotes until the gate holds.

Each node is tried one and two rungs up; the promotion with the largest drop of error for each further
synaptic operation and axon message wins. Where even the top level everywhere breaks the gate, as in a
network that magnifies any rounding, the search aims at that level's errors instead and stops near them,
so that nothing is spent on a gate that cannot hold.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from snn_deploy.convert.quantise import LEVELS, ROUNDINGS, Quantiser, Rounding
from snn_deploy.convert.quantise.gate import Limits, Verdict, count_error
from snn_deploy.convert.quantise.subnetwork import run_nodes
from snn_deploy.convert.quantise.trials import Engines, Levels, Trial, Trials, downstream
from snn_deploy.network.connections import fan_out
from snn_deploy.network.quantised import QuantisedNetwork

#: Calibration samples that most of the search runs on; the levels found are then judged on all of them.
_SAMPLES = 32
#: Rungs that one promotion may climb, unless only a longer climb helps.
_REACH = 2
#: Up to this level the rounding is chosen by running the layer; above, the differences are noise.
_CHOOSE_ROUNDING_UP_TO = 1
#: Another rounding must lower the count error to this part of descent's; less is noise.
_CLEARLY_BETTER = 0.85
#: Where no level meets the gate, errors up to this many times those of the top level are good enough.
_TOLERANCE = 1.1


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
    """The chosen network, how the gate judges it on all calibration samples, and what was tried.

    cost: of this network; single: of level 0 everywhere. stopped: why the search ended.
    """

    network: QuantisedNetwork
    levels: Levels
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
    """Evaluates levels on calibration spikes; remembers engines, roundings and costs."""

    quantiser: Quantiser
    samples: int = _SAMPLES
    _roundings: dict[tuple[str, int], Rounding] = field(default_factory=dict)
    _costs: dict[tuple[str, int], Cost] = field(default_factory=dict)

    def __post_init__(self) -> None:
        network, rasters = self.quantiser.float_network, self.quantiser.evidence.rasters
        self.exact = {name: raster[: self.samples] for name, raster in rasters.items()}
        self._engines = Engines(self.quantiser, self.rounding)
        few = Trials(self._engines, network, self.exact)
        more = len(next(iter(rasters.values()))) > self.samples
        #: a few samples, then all
        self._trials = (few, Trials(self._engines, network, rasters)) if more else (few,)
        self._tried = 0

    def at(self, levels: Levels) -> Outcome:
        """Quantise and judge these levels, without a search."""
        return self._outcome(self._trials[-1].whole(levels), "fixed level")

    def start(self) -> dict[str, int]:
        """Level 0, but for read-outs that never fire: no count tells how well those do."""
        default = self.quantiser.default_levels()
        return {node: 0 if self._spiking(node) else level for node, level in default.items()}

    def greedy(self, start: Levels, budget: float | None = None) -> Outcome:
        """Promote nodes from ``start`` until the gate holds, nothing is left, or the budget is spent.

        budget: largest cost (synaptic operations plus axon messages) in units of level 0 everywhere.
        """
        allowed = np.inf if budget is None else budget * self._cost(dict.fromkeys(start, 0)).total
        promotions: list[dict[str, Any]] = []
        levels = start
        for trials in self._trials:
            trial, stopped = self._climb(trials, levels, allowed, promotions)
            levels = trial.levels
        return self._outcome(trial, stopped, tuple(promotions))

    def _climb(
        self, trials: Trials, levels: Levels, allowed: float, promotions: list[dict[str, Any]]
    ) -> tuple[Trial, str]:
        """Promote from ``levels``, adding to ``promotions``; return the last trial and why it is the last."""
        trial = trials.whole(levels)
        if trial.verdict.met:
            return trial, "the gate's limits are met"
        top = trials.whole({node: self._top(node, level) for node, level in levels.items()})
        limits, stopped = self._aim(top.verdict)
        while trial.verdict.beyond(limits):
            better = self._best(trials, trial, limits, allowed)
            if better is None:
                return trial, "no promotion within the budget helps"
            promotions += [
                {
                    "node": node,
                    "from": trial.levels[node],
                    "to": level,
                    "score": better.verdict.score(limits),
                    "before": trial.verdict.score(limits),
                }
                for node, level in better.levels.items()
                if level != trial.levels[node]
            ]
            trial = better
        return trial, stopped

    def _aim(self, top: Verdict) -> tuple[Limits, str]:
        """What to reach, given what the top level reaches; and how to say that it was reached."""
        gate = Limits.of_the_gate(top.count_errors)
        if top.met:
            return gate, "the gate's limits are met"
        errors = {node: max(gate.count_errors[node], _TOLERANCE * e) for node, e in top.count_errors.items()}
        agreement = 1.0 if top.agreement is None else top.agreement
        near = Limits(errors, min(gate.agreement, 1 - _TOLERANCE * (1 - agreement)))
        return near, (
            f"no level meets the gate; errors are within {_TOLERANCE - 1:.0%} of what the top level reaches"
        )

    def _best(self, trials: Trials, trial: Trial, limits: Limits, allowed: float) -> Trial | None:
        """The promotion with the largest drop of error a cost; a longer climb, or a joint one, if need be."""
        score = trial.verdict.score(limits)
        now = self._cost(trial.levels).total
        for reach in (_REACH, len(LEVELS)):
            best, most = None, 0.0
            for node, level in self._proposals(trial, limits, reach):
                further = self._cost({**trial.levels, node: level}).total - now
                if now + further > allowed:
                    continue
                tried = trials.promoted(trial, node, level)
                gain = (score - tried.verdict.score(limits)) / max(1, further)
                if gain > most:
                    best, most = tried, gain
            if best is not None:
                return best
        return self._lifted(trials, trial, limits, allowed)

    def _lifted(self, trials: Trials, trial: Trial, limits: Limits, allowed: float) -> Trial | None:
        """All nodes at least on the lowest rung that helps, where no promotion of a single one does."""
        for rung in range(min(trial.levels.values()) + 1, len(LEVELS)):
            levels = {n: max(level, min(rung, self._top(n, level))) for n, level in trial.levels.items()}
            if levels == trial.levels or self._cost(levels).total > allowed:
                continue
            tried = trials.whole(levels)
            if tried.verdict.score(limits) < trial.verdict.score(limits):
                return tried
        return None

    def _proposals(self, trial: Trial, limits: Limits, reach: int) -> Iterator[tuple[str, int]]:
        """(node, level) whose spikes reach something beyond its limit, up to ``reach`` rungs higher."""
        wrong = trial.verdict.beyond(limits)
        for node, level in trial.levels.items():
            if None in wrong or not wrong.isdisjoint(downstream(self.quantiser.float_network, node)):
                for higher in range(level + 1, min(level + reach, self._top(node, level)) + 1):
                    yield node, higher

    def _top(self, node: str, level: int) -> int:
        """The highest level worth trying: that of a silent read-out shows in no count."""
        return len(LEVELS) - 1 if self._spiking(node) else level

    def rounding(self, node: str, level: int) -> Rounding:
        """How this node is best rounded at this level, by its count error behind float spikes."""
        if level > _CHOOSE_ROUNDING_UP_TO or not self._spiking(node):
            return ROUNDINGS[0]
        if (node, level) not in self._roundings:
            errors = {}
            for rounding in ROUNDINGS:
                network = self.quantiser.network({**self.start(), node: level}, {node: rounding})
                self._tried += 1
                errors[rounding] = count_error(self.exact[node], run_nodes(network, {node}, self.exact)[node])
            best = min(ROUNDINGS, key=lambda name: errors[name])
            clearly = errors[best] < _CLEARLY_BETTER * errors[ROUNDINGS[0]]
            self._roundings[node, level] = best if clearly else ROUNDINGS[0]
        return self._roundings[node, level]

    def _spiking(self, node: str) -> bool:
        return next(p.spiking for p in self.quantiser.float_network.populations if p.name == node)

    def _cost(self, levels: Levels) -> Cost:
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
        """Spikes of each neuron of an input or integer population over the first calibration samples."""
        if source in self.exact:
            return np.count_nonzero(self.exact[source], axis=(0, 1))
        node, index = self.quantiser.members(source)
        return np.count_nonzero(self.exact[node], axis=(0, 1))[index]

    def _outcome(self, trial: Trial, stopped: str, promotions: tuple[dict[str, Any], ...] = ()) -> Outcome:
        return Outcome(
            network=self._engines.network(trial.levels),
            levels=dict(trial.levels),
            verdict=trial.verdict,
            cost=self._cost(trial.levels),
            single=self._cost(dict.fromkeys(trial.levels, 0)),
            stopped=stopped,
            runs=self._tried + sum(trials.runs for trials in self._trials),
            promotions=promotions,
        )
