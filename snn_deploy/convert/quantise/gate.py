"""The gate: how far integers may stray from the float network on calibration data."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import numpy as np

from snn_deploy.engine.stepping import Spikes
from snn_deploy.network.arrays import IntArray
from snn_deploy.network.discrete import DiscreteNetwork

#: Mean |count error| of a neuron over its layer's mean count, and the share of decisive samples whose
#: largest output count is the same neuron's. A sample is decisive where the float margin is 2 spikes.
MAX_COUNT_ERROR, MIN_AGREEMENT, DECISIVE_MARGIN = 0.02, 0.99, 2
#: A layer with fewer spikes cannot show a count error as small as the gate's.
MIN_SPIKES = round(1 / MAX_COUNT_ERROR)


@dataclass(frozen=True)
class Limits:
    """What a search aims at: the largest count error of each node, and the smallest agreement."""

    count_errors: Mapping[str, float]
    agreement: float

    @classmethod
    def of_the_gate(cls, nodes: Iterable[str]) -> Limits:
        """The gate's own limits."""
        return cls(dict.fromkeys(nodes, MAX_COUNT_ERROR), MIN_AGREEMENT)


@dataclass(frozen=True)
class Verdict:
    """What the gate found. count_errors: by node. agreement: over ``decisive`` samples, None without any.

    quiet: spikes of the float network in each node that fired too little to be judged.
    """

    count_errors: Mapping[str, float]
    agreement: float | None
    decisive: int
    quiet: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))

    @property
    def failures(self) -> tuple[str, ...]:
        """The gate's limits that are broken, in words."""
        found = [
            f"{node}: mean count error {error:.2%}, allowed {MAX_COUNT_ERROR:.0%}"
            for node, error in self.count_errors.items()
            if error > MAX_COUNT_ERROR
        ]
        if self.agreement is not None and self.agreement < MIN_AGREEMENT:
            found.append(
                f"top-1 agreement {self.agreement:.1%} on {self.decisive} decisive samples, "
                f"allowed {MIN_AGREEMENT:.0%}"
            )
        return tuple(found)

    @property
    def unproven(self) -> tuple[str, ...]:
        """What the gate could not judge, in words."""
        return tuple(
            f"{node}: {spikes} spikes in calibration, {MIN_SPIKES} are needed"
            for node, spikes in self.quiet.items()
        )

    @property
    def met(self) -> bool:
        """Whether no limit is broken where something could be judged."""
        return not self.failures

    @property
    def passed(self) -> bool:
        """Whether the gate holds: no limit is broken, and every layer was judged."""
        return self.met and not self.quiet

    def beyond(self, limits: Limits) -> set[str | None]:
        """Nodes whose count error is beyond its limit; None stands for the agreement."""
        found: set[str | None] = {
            node for node, error in self.count_errors.items() if error > limits.count_errors[node]
        }
        if self.agreement is not None and self.agreement < limits.agreement:
            found.add(None)
        return found

    def score(self, limits: Limits) -> float:
        """What a search lowers: count errors and disagreement, no credit below the limits."""
        errors = sum(max(error, limits.count_errors[node]) for node, error in self.count_errors.items())
        agreement = 1.0 if self.agreement is None else self.agreement
        return errors + 1 - min(agreement, limits.agreement)

    def report(self) -> dict[str, Any]:
        """The verdict as JSON-able values."""
        return {
            "passed": self.passed,
            "failures": list(self.failures),
            "unproven": list(self.unproven),
            "count_errors": dict(self.count_errors),
            "agreement": self.agreement,
            "decisive_samples": self.decisive,
        }


def judge(
    network: DiscreteNetwork, exact: Mapping[str, IntArray], integer: Mapping[str, IntArray]
) -> Verdict:
    """Compare the spike counts (samples, neurons) of all nodes; ``exact`` is the float network's."""
    spiking = [p.name for p in network.populations if p.spiking]
    errors = {name: relative_error(exact[name], integer[name]) for name in spiking}
    outputs = [output.node for output in network.outputs if output.node in spiking]
    agreeing, decisive = agreements([(exact[name], integer[name]) for name in outputs])
    fired = {name: int(exact[name].sum()) for name in spiking}
    quiet = {name: spikes for name, spikes in fired.items() if spikes < MIN_SPIKES}
    return Verdict(errors, agreeing / decisive if decisive else None, decisive, MappingProxyType(quiet))


def counts(raster: Spikes) -> IntArray:
    """Spikes of each sample and neuron."""
    return np.asarray(raster.sum(axis=1, dtype=np.int64))


def relative_error(expected: IntArray, found: IntArray) -> float:
    """Mean |count difference| over the mean count; 1 where a layer fires that should be silent."""
    error = float(np.abs(found - expected).mean())
    mean = float(expected.mean())
    return error / mean if mean > 0 else float(error > 0)


def count_error(exact: Spikes, integer: Spikes) -> float:
    """:func:`relative_error` of two rasters (samples, steps, neurons)."""
    return relative_error(counts(exact), counts(integer))


def agreements(pairs: Sequence[tuple[IntArray, IntArray]]) -> tuple[int, int]:
    """(agreeing, decisive) samples over all read-outs: the same neuron has the largest count.

    pairs: counts (samples, neurons) of the float and the integer network.
    """
    agreeing = decisive = 0
    for expected, found in pairs:
        if expected.shape[1] < 2:
            continue
        ordered = np.partition(expected, -2, axis=1)
        clear = ordered[:, -1] - ordered[:, -2] >= DECISIVE_MARGIN
        same = expected.argmax(axis=1) == found.argmax(axis=1)
        agreeing += int(np.count_nonzero(same & clear))
        decisive += int(np.count_nonzero(clear))
    return agreeing, decisive
