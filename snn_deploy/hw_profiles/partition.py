"""Cut layers into cores: the fewest cores a layer under all limits, small layers together.

A layer is cut into runs of neighbouring neurons. Every limit grows with the run, so taking the longest
run that fits, again and again, gives the fewest cores; they are then evened out. Output axons depend on
how finely the *next* layers were cut, so the cut is repeated until it holds.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise

import numpy as np

from snn_deploy.hw_profiles.description import IntArray, Layer, NetworkDescription
from snn_deploy.hw_profiles.encoding import GroupMemory, group_memory
from snn_deploy.hw_profiles.quantity import Limit
from snn_deploy.hw_profiles.schema import Profile

SMALL = 0.25
"""Layers that take at most this share of a core may share one; sharing makes the step longer."""
STATE_VARIABLES = 2
"""u and v."""
MAX_ROUNDS = 12
"""Rounds of back-pressure; each makes some layer finer, and a network that fits settles in two or three."""

CONFIGURATIONS = ("compartment_configurations", "threshold_configurations", "synapse_configurations")
CORE_LIMITS = (
    "neurons_per_core",
    "synapse_bits_per_core",
    "memory_bits_per_core",
    "input_axons_per_core",
    "output_axons_per_core",
    *CONFIGURATIONS,
)


@dataclass(frozen=True)
class Slice:
    """Neurons start .. stop of a layer on one core, with the use of each core limit."""

    layer: str
    start: int
    stop: int
    use: Mapping[str, int]
    groups: tuple[GroupMemory, ...]

    @property
    def neurons(self) -> int:
        return self.stop - self.start


@dataclass(frozen=True)
class Core:
    """One core and the slices on it."""

    index: int
    slices: tuple[Slice, ...]

    @property
    def use(self) -> dict[str, int]:
        """Use of each core limit, summed over the slices."""
        return {name: sum(part.use[name] for part in self.slices) for name in CORE_LIMITS}


@dataclass(frozen=True, eq=False)
class Partition:
    """The cores of a network. ``binding``: layer -> the limit that a longer run would have broken."""

    cores: tuple[Core, ...]
    binding: Mapping[str, str]
    slices: Mapping[str, tuple[Slice, ...]] = field(default_factory=dict)

    def core_of(self, part: Slice) -> int:
        """The index of the core that holds a slice."""
        return self._core_of[part.layer, part.start]

    @cached_property
    def _core_of(self) -> dict[tuple[str, int], int]:
        return {(part.layer, part.start): core.index for core in self.cores for part in core.slices}

    def bounds(self, layer: str) -> IntArray:
        """Where the slices of a layer begin, and its end, shape (slices + 1,)."""
        parts = self.slices[layer]
        return np.array([part.start for part in parts] + [parts[-1].stop], dtype=np.int64)


def partition(network: NetworkDescription, profile: Profile, co_locate: bool = True) -> Partition:
    """Cut a network for a chip. A limit that even one neuron breaks is left to the fit check to report."""
    bounds = _PartitionState(network, profile)
    bounds.settle()
    slices = {layer.name: bounds.slices(layer) for layer in network.layers}
    small = [s for s in _alone(slices) if bounds.is_small(s)] if co_locate else []
    return Partition(_cores(slices, small, bounds.core_limits), bounds.binding, slices)


class _PartitionState:
    """The cuts so far, and the output axons that they ask of each neuron."""

    def __init__(self, network: NetworkDescription, profile: Profile) -> None:
        self.network, self.profile = network, profile
        self.core_limits = core_limits(profile)
        self.cuts: dict[str, list[int]] = {layer.name: [0, layer.neurons] for layer in network.layers}
        self.demand = {layer.name: np.zeros(layer.neurons, dtype=np.int64) for layer in network.layers}
        self.binding: dict[str, str] = {}

    def settle(self) -> None:
        for _ in range(MAX_ROUNDS):
            before = {name: list(cut) for name, cut in self.cuts.items()}
            for layer in reversed(self.network.layers):
                self.demand[layer.name] = self._output_axons(layer)
                self.cuts[layer.name] = self._cut(layer)
            if before == self.cuts:
                return

    def slices(self, layer: Layer) -> tuple[Slice, ...]:
        self.demand[layer.name] = self._output_axons(layer)
        cut = self.cuts[layer.name]
        return tuple(self._slice(layer, a, b) for a, b in pairwise(cut))

    def is_small(self, part: Slice) -> bool:
        capacities = (name for name in self.core_limits if name not in CONFIGURATIONS)
        return all(part.use[name] <= SMALL * self.core_limits[name] for name in capacities)

    def _output_axons(self, layer: Layer) -> IntArray:
        """Output axons of each neuron: destination cores, once a synapse group."""
        total = np.zeros(layer.neurons, dtype=np.int64)
        for group in self.network.out_of(layer.name):
            cut = self.cuts[group.target]
            if group.indptr is None:
                total += len(cut) - 1
            else:
                for a, b in pairwise(cut):
                    total += group.axon_synapses(a, b) > 0
        return total

    def _cut(self, layer: Layer) -> list[int]:
        broken_by_one = self._hopeless(layer)
        limits = {name: bound for name, bound in self.core_limits.items() if name not in broken_by_one}

        def fits(a: int, b: int) -> bool:
            use = self._slice(layer, a, b).use
            return all(use[name] <= bound for name, bound in limits.items())

        cut = _longest_runs(layer.neurons, limits.get("neurons_per_core", layer.neurons), fits)
        if len(cut) > 2:
            use = self._slice(layer, 0, cut[1] + 1).use
            over = [name for name, bound in limits.items() if use[name] > bound]
            self.binding[layer.name] = over[0] if over else "neurons_per_core"
            even = np.linspace(0, layer.neurons, len(cut)).round().astype(int).tolist()
            if all(fits(a, b) for a, b in pairwise(even)):
                return [int(n) for n in even]
        return cut

    def _hopeless(self, layer: Layer) -> set[str]:
        """Limits that a run of one neuron breaks, so that cutting finer cannot help."""
        groups = self.network.into(layer.name)
        fan_in = sum((group.fan_in for group in groups), np.zeros(layer.neurons, dtype=np.int64))
        hungriest = int(np.argmax(fan_in)) if layer.neurons else 0
        loudest = int(np.argmax(self.demand[layer.name])) if layer.neurons else 0
        found: set[str] = set()
        for neuron in {hungriest, loudest}:
            use = self._slice(layer, neuron, neuron + 1).use
            found |= {name for name, bound in self.core_limits.items() if use[name] > bound}
        return found

    def _slice(self, layer: Layer, start: int, stop: int) -> Slice:
        groups = self.network.into(layer.name)
        memory = tuple(group_memory(group, start, stop, self.profile.encoding) for group in groups)
        neurons = stop - start
        synapse_bits = sum(part.bits for part in memory)
        formats = {
            (g.weight_bits, g.weight_exp, g.sign, g.delay, m.form)
            for g, m in zip(groups, memory, strict=True)
        }
        use = {
            "neurons_per_core": neurons,
            "synapse_bits_per_core": synapse_bits,
            "memory_bits_per_core": synapse_bits + neurons * state_bits(self.profile),
            "input_axons_per_core": sum(part.axons for part in memory),
            "output_axons_per_core": int(self.demand[layer.name][start:stop].sum()),
            "compartment_configurations": 1,
            "threshold_configurations": 1,
            "synapse_configurations": len(formats),
        }
        return Slice(layer.name, start, stop, use, memory)


def core_limits(profile: Profile) -> dict[str, int]:
    """The known limits of one core by name."""
    limits = {name: getattr(profile.limits, name) for name in CORE_LIMITS}
    return {
        name: limit.value
        for name, limit in limits.items()
        if isinstance(limit, Limit) and limit.value is not None
    }


def state_bits(profile: Profile) -> int:
    """Bits of state that a neuron needs at least: u and v, as wide as the chip holds them."""
    formats = profile.integer_formats
    return STATE_VARIABLES * formats.state_bits.value if formats is not None else 0


def _longest_runs(neurons: int, longest: int, fits: Callable[[int, int], bool]) -> list[int]:
    """Cut points of the fewest runs that fit; a run of one neuron is always taken."""
    cut = [0]
    while cut[-1] < neurons:
        start = cut[-1]
        low, high = start + 1, min(start + max(longest, 1), neurons)
        while low < high:  # the longest run that fits, by bisection: fits() is monotone in its end
            middle = (low + high + 1) // 2
            if fits(start, middle):
                low = middle
            else:
                high = middle - 1
        cut.append(low)
    return cut


def _alone(slices: Mapping[str, tuple[Slice, ...]]) -> list[Slice]:
    return [parts[0] for parts in slices.values() if len(parts) == 1]


def _cores(
    slices: Mapping[str, tuple[Slice, ...]], small: list[Slice], limits: Mapping[str, int]
) -> tuple[Core, ...]:
    """Give each slice a core, the small ones shared by first fit, largest first; in topological order."""

    def share(part: Slice) -> float:
        return max((part.use[name] / bound for name, bound in limits.items() if bound), default=0.0)

    bins: list[list[Slice]] = []
    for part in sorted(small, key=share, reverse=True):
        for shared in bins:
            if all(sum(p.use[n] for p in (*shared, part)) <= bound for n, bound in limits.items()):
                shared.append(part)
                break
        else:
            bins.append([part])
    order = {name: i for i, name in enumerate(slices)}
    packed = {id(part) for part in small}
    bins += [[part] for parts in slices.values() for part in parts if id(part) not in packed]
    for shared in bins:
        shared.sort(key=lambda part: order[part.layer])
    bins.sort(key=lambda shared: (order[shared[0].layer], shared[0].start))
    return tuple(Core(i, tuple(shared)) for i, shared in enumerate(bins))
