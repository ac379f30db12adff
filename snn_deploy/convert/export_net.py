"""Export to lava-dl's ``.net`` (HDF5), as netx of lava-dl 0.6.0 loads it.

The format is one chain of layers with one Dense or Conv each, at most 8 bits a weight and no exponent,
biases in threshold mantissas, and a state that starts at zero. A network that needs more is refused by name.
Names of nodes and the scale of a read-out are not in the format.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from snn_deploy.convert.frontends.lavadl.layers import BIAS_EXP, clipped_by_netx
from snn_deploy.errors import ModelNotSupported, Violation
from snn_deploy.files import atomic_write
from snn_deploy.hw_profiles import Profile
from snn_deploy.network.arrays import IntArray
from snn_deploy.network.connections import Conv2d, size, synapses, weights
from snn_deploy.network.integers import COMPLETE_DU, COMPLETE_DV, shift
from snn_deploy.network.quantised import QuantisedNetwork, QuantisedPopulation, QuantisedProjection
from snn_deploy.network.validity.quantised import BIAS_MANT, DELAY

#: Entries of the largest matrix that is written out.
_MOST_ENTRIES = 1 << 26

#: Kinds of layers that are written. A pool layer, once read, is a convolution and written as one.
KINDS_WRITTEN = ("input", "flatten", "dense", "dense_rec", "conv", "average")


def narrowed(profile: Profile) -> Profile:
    """The profile with the integers that both it and the format hold, for quantisation."""
    weight_exp = profile.integers.weight_exp.model_copy(update={"low": 0, "high": 0})
    bias_exp = profile.integers.bias_exp.model_copy(update={"low": BIAS_EXP, "high": BIAS_EXP})
    integers = profile.integers.model_copy(update={"weight_exp": weight_exp, "bias_exp": bias_exp})
    return profile.model_copy(update={"integer_formats": integers})


@dataclass(frozen=True)
class _Group:
    """One group of the file: its type and fields, and those of its neuron."""

    kind: str
    fields: Mapping[str, Any]
    neuron: Mapping[str, Any] = field(default_factory=dict)


def write_net(path: Path, network: QuantisedNetwork) -> None:
    """Write the file whole or not at all; raises ModelNotSupported with all that the format cannot hold."""
    import h5py

    groups = _Chain(network).groups()
    with atomic_write(path) as temporary, h5py.File(temporary, "w") as handle:
        for i, group in enumerate(groups):
            handle.create_dataset(f"layer/{i}/type", (1,), "S10", [group.kind.encode("ascii")])
            for name, value in group.fields.items():
                handle[f"layer/{i}/{name}"] = value
            for name, value in group.neuron.items():
                handle[f"layer/{i}/neuron/{name}"] = value
        handle["simulation/Ts"] = network.contract.dt * 1e3


class _Chain:
    """Walks the network from its input; notes what is not a chain that netx can build."""

    def __init__(self, network: QuantisedNetwork) -> None:
        self._network = network
        self._violations: list[Violation] = []

    def groups(self) -> list[_Group]:
        network = self._network
        ends = {"input": [n.name for n in network.inputs], "output": [n.name for n in network.outputs]}
        if network.contract.reset != "zero":
            self._refuse("another reset than to zero", "contract.reset", network.contract.reset, "zero")
        for what, names in ends.items():
            if len(names) != 1:
                self._refuse(f"{len(names)} {what}s", what, ", ".join(names), "one")
        groups = self._walk() if network.inputs else []
        if self._violations:
            raise ModelNotSupported(self._violations)
        return groups

    def _refuse(
        self, what: str, where: str, found: object = "", allowed: object = "", remedy: str = ""
    ) -> None:
        told = f"a .net file cannot hold {what}"
        self._violations.append(Violation(told, where, str(found), str(allowed), remedy))

    def _walk(self) -> list[_Group]:
        source, groups = self._network.inputs[0].name, list[_Group]()
        shape, graded = self._network.inputs[0].shape, bool(self._network.inputs[0].message_bits)
        remaining = {p.name: p for p in self._network.populations}
        if len(shape) == 3 and not graded:
            groups.append(_Group("input", {"shape": np.array(shape)}))
        while remaining:
            following = {e.target for e in self._network.projections if e.source == source} - {source}
            if len(following) != 1 or not following <= set(remaining):
                self._refuse(
                    "layers that are not one chain", source, sorted(following), "one layer behind each"
                )
                break
            population = remaining.pop(following.pop())
            arriving = [e for e in self._network.projections if e.target == population.name]
            forward = [e for e in arriving if e.source == source]
            own = [e for e in arriving if e.source == population.name]
            if len(forward) + len(own) < len(arriving):
                others = {e.source for e in arriving} - {source, population.name}
                self._refuse("input from several layers", population.name, sorted(others), source)
            self._check(population)
            if graded:
                groups.append(self._input(population, forward))
            elif _averages(population, forward):
                groups.append(_Group("average", {"shape": np.array([population.neurons, 1, 1])}))
            elif all(isinstance(e.connection, Conv2d) and not e.delay for e in forward) and not own:
                groups.append(self._conv(population, forward, shape))
            else:
                if len(shape) == 3:
                    groups.append(_Group("flatten", {"shape": np.array([int(np.prod(shape)), 1, 1])}))
                groups.append(self._dense(population, forward, own))
            source, graded = population.name, False
            shape = tuple(int(n) for n in groups[-1].fields["shape"])
        if self._network.outputs and self._network.outputs[0].node != source:
            self._refuse("an output before the last layer", self._network.outputs[0].name, allowed=source)
        return groups

    def _check(self, population: QuantisedPopulation) -> None:
        where = population.name
        if not np.array_equal(population.index, np.arange(np.prod(self._network.nodes[population.node]))):
            self._refuse("several time constants in one layer", where, remedy="Give the layer one.")
        if population.u0.any() or population.v0.any():
            self._refuse(
                "a nonzero initial state",
                where,
                remedy="Train without bias, or with v_leak equal to v_reset.",
            )

    def _input(self, population: QuantisedPopulation, edges: Sequence[QuantisedProjection]) -> _Group:
        """Neurons that graded input drives one by one."""
        where = population.name
        matrix = synapses(edges[0].connection)
        weight = np.unique(matrix.data)
        alone = (
            len(edges) == 1 and matrix.nnz == population.neurons and np.all(matrix.diagonal() == weight[0])
        )
        if not alone or edges[0].weight_exp or edges[0].delay or weight.size > 1:
            self._refuse("graded input other than one weight for all neurons, one to one", where)
        bias = self._bias(population, 1)
        shape = self._network.nodes[population.node]
        fields = {"shape": np.array(shape), "weight": float(weight[0]), "bias": bias.astype(np.float32)}
        return _Group("input", fields, _neuron(population))

    def _conv(
        self, population: QuantisedPopulation, edges: Sequence[QuantisedProjection], shape: Sequence[int]
    ) -> _Group:
        where, conv = population.name, edges[0].connection
        convs = [e.connection for e in edges if isinstance(e.connection, Conv2d)]
        if not isinstance(conv, Conv2d) or {_geometry(c) for c in convs} != {_geometry(conv)}:
            self._refuse("convolutions of different geometry into one layer", where)
            return _Group("conv", {"shape": population.index.shape})
        if tuple(shape) != conv.input_shape:
            self._refuse("a convolution behind a dense layer", where, tuple(shape), conv.input_shape)
        weight = sum(self._effective(e, weights(e.connection)) for e in edges)
        self._range(where, [weight], dense=False)
        fields = {
            "shape": np.array(conv.output_shape),
            "inChannels": conv.input_shape[0],
            "outChannels": conv.output_shape[0],
            "kernelSize": np.array(conv.weight.shape[2:]),
            "stride": np.array(conv.stride),
            "padding": np.array(conv.padding),
            "dilation": np.array(conv.dilation),
            "groups": conv.groups,
            "weight": np.asarray(weight, dtype=np.float32),
        }
        return _Group("conv", self._with_bias(fields, population, conv.output_shape[0]), _neuron(population))

    def _dense(
        self,
        population: QuantisedPopulation,
        forward: Sequence[QuantisedProjection],
        own: Sequence[QuantisedProjection],
    ) -> _Group:
        where = population.name
        weight, delay = self._matrix(where, forward)
        fields: dict[str, Any] = {
            "shape": np.array([population.neurons]),
            "inFeatures": weight.shape[1],
            "outFeatures": population.neurons,
            "weight": weight.astype(np.float32),
        }
        if delay.any():
            fields["delay"] = delay.astype(np.float32)
        matrices = [weight]
        if own:
            back, steps = self._matrix(where, own)
            if np.any((steps != 1) & (back != 0)) or delay.any():
                self._refuse(
                    "delays in a recurrent layer", where, allowed="one step from a spike to its return"
                )
            fields["weight_rec"] = back.astype(np.float32)
            matrices.append(back)
        self._range(where, matrices, dense=True)
        kind = "dense_rec" if own else "dense"
        return _Group(kind, self._with_bias(fields, population, population.neurons), _neuron(population))

    def _matrix(self, where: str, edges: Sequence[QuantisedProjection]) -> tuple[IntArray, IntArray]:
        """Summed weights and the delay of each synapse, both (neurons, neurons before)."""
        shape = size(edges[0].connection)
        if int(np.prod(shape)) > _MOST_ENTRIES:
            self._refuse("a matrix of this size", where, shape, f"{_MOST_ENTRIES} entries")
            shape = (1, 1)
            edges = ()
        weight, delay = np.zeros(shape, dtype=np.int64), np.zeros(shape, dtype=np.int64)
        for edge in edges:
            stored = synapses(edge.connection).tocoo()
            values = self._effective(edge, stored.data)
            late = delay[stored.row, stored.col]
            if np.any((weight[stored.row, stored.col] != 0) & (values != 0) & (late != edge.delay)):
                self._refuse("two delays between the same two neurons", edge.name)
            # where planes share synapses, the nonzero one says the delay
            kept = (values == 0) & (late != 0)
            delay[stored.row, stored.col] = np.where(kept, late, edge.delay)
            np.add.at(weight, (stored.row, stored.col), values)
        if delay.max(initial=0) > DELAY[1]:
            self._refuse("a delay of this length", where, int(delay.max()), f"{DELAY[1]} steps")
        return weight, delay

    def _effective(self, edge: QuantisedProjection, values: Any) -> IntArray:
        """Weights with their exponent carried out."""
        effective = shift(values, edge.weight_exp)
        if edge.weight_exp < 0 and np.any(shift(effective, -edge.weight_exp) != values):
            self._refuse(
                "a sum that is rounded after it is weighted", edge.name, f"exponent {edge.weight_exp}"
            )
        return effective.astype(np.int64)

    def _range(self, where: str, matrices: Sequence[Any], *, dense: bool) -> None:
        """What netx and Lava take without clipping: netx sees all matrices of a layer as one."""
        low, high = min(int(m.min()) for m in matrices), max(int(m.max()) for m in matrices)
        allowed = (-256, 254) if low < 0 else (0, 255)
        if low < allowed[0] or high > allowed[1]:
            self._refuse(
                "weights of more than 8 bits",
                where,
                f"{low} .. {high}",
                f"{allowed[0]} .. {allowed[1]}",
                "A .net file has no weight exponents or planes.",
            )
        elif dense and low == high == 0:
            self._refuse("weights that are all zero, on which netx fails", where)
        for matrix in matrices if dense else ():
            if clipped_by_netx(matrix):
                self._refuse(
                    "weights that netx scales to -256, which Lava clips: none above 0, the least -2^k",
                    where,
                    int(matrix.min()),
                )

    def _bias(self, population: QuantisedPopulation, parts: int) -> IntArray:
        """Bias mantissas at exponent 6, one for each of ``parts`` equal parts of the layer."""
        bias = population.bias.reshape(parts, -1)
        mantissa = shift(bias[:, 0], -BIAS_EXP)
        odd = bias[bias != shift(shift(bias, -BIAS_EXP), BIAS_EXP)]
        if odd.size:
            self._refuse(
                "a bias between two threshold mantissas", population.name, f"{odd[0]} / 64", "whole mantissas"
            )
        if np.any(bias != bias[:, :1]):
            self._refuse("biases that differ within a channel", population.name, allowed="one a channel")
        if np.any((mantissa < BIAS_MANT[0]) | (mantissa > BIAS_MANT[1])):
            self._refuse("a bias of this size", population.name, int(np.abs(mantissa).max()), BIAS_MANT)
        return np.asarray(mantissa, dtype=np.int64)

    def _with_bias(
        self, fields: Mapping[str, Any], population: QuantisedPopulation, parts: int
    ) -> Mapping[str, Any]:
        bias = self._bias(population, parts)
        return {**fields, "bias": bias.astype(np.float32)} if bias.any() else fields


def _neuron(population: QuantisedPopulation) -> dict[str, Any]:
    return {
        "type": "CUBA",
        "iDecay": population.du + 1,
        "vDecay": population.dv,
        "vThMant": population.vth,
        "refDelay": 1,
        "gradedSpike": False,
    }


def _averages(population: QuantisedPopulation, edges: Sequence[QuantisedProjection]) -> bool:
    """Whether the population is a read-out of means, a layer that SLAYER has and netx leaves out."""
    out, before = size(edges[0].connection)
    if population.spiking or (population.du, population.dv) != (COMPLETE_DU, COMPLETE_DV) or len(edges) > 1:
        return False
    matrix = synapses(edges[0].connection).tocoo()
    return (
        population.scale == before / out
        and np.array_equal(matrix.col, np.arange(before))
        and np.array_equal(matrix.row, np.arange(before) // (before // out))
        and bool(np.all(matrix.data == 1))
        and not (edges[0].weight_exp or edges[0].delay or population.bias.any())
    )


def _geometry(conv: Conv2d) -> tuple[Any, ...]:
    return conv.weight.shape, conv.input_shape, conv.stride, conv.padding, conv.dilation, conv.groups
