"""Quantise: DiscreteNetwork (float) to QuantisedNetwork (Loihi's integers), a level for each node."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np

from snn_deploy.convert.quantise import decays
from snn_deploy.convert.quantise.blocks import finite_violations
from snn_deploy.convert.quantise.decays import Correction
from snn_deploy.convert.quantise.evidence import Evidence
from snn_deploy.convert.quantise.grids import LEVELS, check_level
from snn_deploy.convert.quantise.groups import Group, pieces, sources, split
from snn_deploy.convert.quantise.layer import (
    LevelGrids,
    QuantisedLayer,
    Rounding,
    RoundingProblem,
    choose_grids,
    merge,
    prepare,
    quantise_group,
)
from snn_deploy.convert.quantise.report import tail_ratio
from snn_deploy.errors import ModelNotSupported, UsageError, Violation
from snn_deploy.hw_profiles import Profile
from snn_deploy.network.arrays import FloatArray, IntArray
from snn_deploy.network.connections import weights
from snn_deploy.network.discrete import DiscreteNetwork
from snn_deploy.network.quantised import QuantisedNetwork, QuantisedPopulation

#: Weights whose largest is this many times the mean need residuals even at 7 and 8 bits.
_HEAVY_TAIL = 6.0
_SIGN, _RESIDUAL = 1, 5


class Quantiser:
    """Quantises nodes one by one and remembers them, so that a search pays for each level once.

    evidence: what the float network did on calibration spikes. bits: width of the weights.
    Raises UsageError for a width that the profile lacks, ModelNotSupported with every value that no
    integer format holds.
    """

    def __init__(self, network: DiscreteNetwork, profile: Profile, evidence: Evidence, bits: int = 8) -> None:
        allowed = profile.integers.weight_bits.values
        if bits not in allowed:
            raise UsageError(
                f"profile {profile.name} has no weights of this width",
                where="--bits",
                found=bits,
                allowed=", ".join(map(str, allowed)),
            )
        problems = [v for edge in network.projections for v in finite_violations(edge)]
        problems += [v for p in network.populations for v in decays.violations(p, profile)]
        problems += _delay_violations(network, profile)
        if problems:
            raise ModelNotSupported(problems)
        self.float_network, self.profile, self.evidence, self.bits = network, profile, evidence, bits
        self.nodes = tuple(population.name for population in network.populations)
        self._groups = {
            p.name: split(p, profile, evidence.registers.get(p.name)) for p in network.populations
        }
        self._tasks: dict[str, list[RoundingProblem]] = {}
        self._plans: dict[tuple[str, int], list[LevelGrids]] = {}
        self._layers: dict[tuple[str, int, Rounding], QuantisedLayer] = {}

    def layer(self, node: str, level: int, rounding: Rounding = "descent+bias") -> QuantisedLayer:
        """One node at one level."""
        check_level(level)
        key = (node, level, rounding)
        if key not in self._layers:
            tasks, plans = self._prepared(node), self._planned(node, level)
            self._layers[key] = merge(
                [
                    quantise_group(task, planned, rounding, profile=self.profile, bits=self.bits)
                    for task, planned in zip(tasks, plans, strict=True)
                ]
            )
        return self._layers[key]

    def network(
        self, levels: Mapping[str, int], roundings: Mapping[str, Rounding] | None = None
    ) -> QuantisedNetwork:
        """The integer network with these levels; raises ModelNotSupported as the class does."""
        chosen = roundings or {}
        layers = [self.layer(node, levels[node], chosen.get(node, "descent+bias")) for node in self.nodes]
        whole = merge(layers)
        if whole.violations:
            raise ModelNotSupported(whole.violations)
        source = self.float_network
        return QuantisedNetwork(
            contract=source.contract,
            profile=self.profile.name,
            inputs=source.inputs,
            populations=whole.populations,
            projections=whole.projections,
            outputs=source.outputs,
            nodes=MappingProxyType({p.name: p.shape for p in source.populations}),
            report=MappingProxyType(
                {
                    "bits": self.bits,
                    "levels": dict(levels),
                    "populations": list(whole.rows),
                    "warnings": _warnings(whole),
                }
            ),
        )

    def members(self, population: str) -> tuple[str, IntArray]:
        """The node of an integer population, and which of its neurons it holds."""
        for node, groups in self._groups.items():
            for group in groups:
                if group.name == population:
                    return node, group.index
        raise KeyError(population)

    def exact_bias(self, population: QuantisedPopulation) -> FloatArray:
        """The bias of v that this population's mantissas were rounded from, in integer units of v."""
        for layer in self._layers.values():
            for candidate, bias in zip(layer.populations, layer.biases, strict=True):
                if candidate is population:
                    return bias
        raise KeyError(population.name)

    def groups(self, node: str) -> list[Group]:
        """The neurons of a node that share their decays."""
        return self._groups[node]

    def correction(self, population: str) -> Correction:
        """What makes up for the rounded decays of each neuron of an integer population."""
        node, _ = self.members(population)
        return next(t.correction for t in self._prepared(node) if t.group.name == population)

    def default_levels(self) -> dict[str, int]:
        """A level for every node without a search: split by sign at 7 bits and more, unless the tail is
        heavy; remainders for a tenth of the weights otherwise."""
        return {node: self._default_level(node) for node in self.nodes}

    def _default_level(self, node: str) -> int:
        if self.bits < 7:
            return _RESIDUAL
        incoming = [weights(e.connection) for e in self.float_network.projections if e.target == node]
        heavy = any(tail_ratio(np.asarray(w)) >= _HEAVY_TAIL for w in incoming)
        return _RESIDUAL if heavy else _SIGN

    def _planned(self, node: str, level: int) -> list[LevelGrids]:
        if (node, level) not in self._plans:
            self._plans[node, level] = [
                choose_grids(
                    task, LEVELS[level], evidence=self.evidence, profile=self.profile, bits=self.bits
                )
                for task in self._prepared(node)
            ]
        return self._plans[node, level]

    def _prepared(self, node: str) -> list[RoundingProblem]:
        if node not in self._tasks:
            network = self.float_network
            population = next(p for p in network.populations if p.name == node)
            incoming = [e for e in network.projections if e.target == node]
            senders = sources(network, self._groups)
            message_bits = {node.name: node.message_bits for node in network.inputs}
            groups = self._groups[node]
            self._tasks[node] = [
                prepare(
                    population,
                    group,
                    pieces(incoming, group, len(groups), senders),
                    evidence=self.evidence,
                    profile=self.profile,
                    message_bits=message_bits,
                )
                for group in groups
            ]
        return self._tasks[node]


def _delay_violations(network: DiscreteNetwork, profile: Profile) -> list[Violation]:
    longest = profile.integers.delay.high
    return [
        Violation("the delay does not fit", where=e.name, found=f"{e.delay} steps", allowed=f"0 .. {longest}")
        for e in network.projections
        if e.delay > longest
    ]


def _warnings(whole: QuantisedLayer) -> list[str]:
    found = []
    for row in whole.rows:
        for name, error in row["decay_rounding"].items():
            if error > decays.WARN_ABOVE:
                found.append(f"{row['name']}: rounding moves the decay {name} by {error:.1%}")
        for projection in row["projections"]:
            if projection["saturated_weights"]:
                found.append(f"{projection['name']}: {projection['saturated_weights']} weights saturate")
    return found
