"""What a chip has to hold, and what happened on it: the input of fit, placement and energy.

These records know sizes, patterns and counts, and neither weights nor time constants beyond the
integers that a limit speaks about. :mod:`snn_deploy.convert.footprint` makes them from a network.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from snn_deploy.hw_profiles.schema import SignMode

IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float64]
Range = tuple[int, int]


@dataclass(frozen=True)
class Source:
    """An input from outside the chip: its channels, and the bits of a graded message (0: spikes)."""

    name: str
    channels: int
    message_bits: int = 0


@dataclass(frozen=True)
class Layer:
    """Neurons that share their decays and threshold. Ranges are (lowest, highest) over the neurons.

    node: the graph's node that the layer came from; several layers may share one.
    channels: feature channels of a convolution, else 0. subtracts: a spike takes the threshold off v.
    """

    name: str
    neurons: int
    node: str = ""
    channels: int = 0
    decay_u: int = 0
    decay_v: int = 0
    threshold: int = 1
    bias_mantissa: Range = (0, 0)
    bias_exp: Range = (0, 0)
    subtracts: bool = False


@dataclass(frozen=True, eq=False)
class SynapseGroup:
    """The synapses of one projection: a matrix of ``targets`` x ``sources``.

    indptr, indices: the nonzero synapses by target neuron, as in compressed rows; both None where all
    synapses are nonzero. dense: the projection stores its zeros too. parameters: distinct stored
    weights (a convolution shares them). weights: range of the stored integers. delay: extra steps.
    drive: per target neuron, the sums of its negative and of its positive weights times 2^weight_exp,
    shape (2, targets), or None where unknown.
    """

    name: str
    source: str
    target: str
    sources: int
    targets: int
    indptr: IntArray | None = None
    indices: IntArray | None = None
    dense: bool = True
    convolution: bool = False
    parameters: int = 0
    weight_bits: int = 8
    weight_exp: int = 0
    sign: SignMode = "mixed"
    weights: Range = (0, 0)
    delay: int = 0
    drive: FloatArray | None = None

    def axon_synapses(self, start: int, stop: int) -> IntArray:
        """Nonzero synapses that each source has on the targets start .. stop, shape (sources,)."""
        if self.indptr is None or self.indices is None:
            return np.full(self.sources, stop - start, dtype=np.int64)
        reached = self.indices[self.indptr[start] : self.indptr[stop]]
        return np.asarray(np.bincount(reached, minlength=self.sources), dtype=np.int64)

    @cached_property
    def fan_in(self) -> IntArray:
        """Nonzero synapses of each target, shape (targets,)."""
        if self.indptr is None:
            return np.full(self.targets, self.sources, dtype=np.int64)
        return np.diff(self.indptr).astype(np.int64)

    @cached_property
    def fan_out(self) -> IntArray:
        """Nonzero synapses of each source, shape (sources,)."""
        return self.axon_synapses(0, self.targets)

    @property
    def nonzero(self) -> int:
        return int(self.fan_in.sum())

    @property
    def stored(self) -> int:
        return self.targets * self.sources if self.dense else self.nonzero


def _joined(groups: Sequence[SynapseGroup]) -> int:
    """Places (target, source) at which any of the groups has a synapse."""
    if len(groups) == 1:
        return groups[0].nonzero
    if any(group.indptr is None for group in groups):
        return groups[0].targets * groups[0].sources
    places = [
        np.repeat(np.arange(group.targets), np.diff(group.indptr)) * group.sources + group.indices
        for group in groups
        if group.indptr is not None and group.indices is not None
    ]
    return int(np.unique(np.concatenate(places)).size)


@dataclass(frozen=True, eq=False)
class NetworkDescription:
    """Sources, layers from input to output, and the synapse groups between them.

    outputs: names of the nodes that are read out.
    """

    sources: tuple[Source, ...]
    layers: tuple[Layer, ...]
    groups: tuple[SynapseGroup, ...]
    outputs: tuple[str, ...] = ()

    @property
    def entries(self) -> int:
        """Nonzero weights of all groups: a synapse whose weight is spread over planes has one in each."""
        return sum(group.nonzero for group in self.groups)

    @property
    def synapses(self) -> int:
        """Pairs of neurons that a nonzero weight joins, at each delay once."""
        planes: dict[tuple[str, str, int], list[SynapseGroup]] = defaultdict(list)
        for group in self.groups:
            planes[group.source, group.target, group.delay].append(group)
        return sum(_joined(groups) for groups in planes.values())

    def into(self, layer: str) -> tuple[SynapseGroup, ...]:
        """The groups that end in a layer."""
        return tuple(group for group in self.groups if group.target == layer)

    def out_of(self, name: str) -> tuple[SynapseGroup, ...]:
        """The groups that start in a layer or source."""
        return tuple(group for group in self.groups if group.source == name)

    @cached_property
    def sizes(self) -> dict[str, int]:
        """Channels of each source and neurons of each layer, by name; sources first."""
        sources = {source.name: source.channels for source in self.sources}
        return sources | {layer.name: layer.neurons for layer in self.layers}

    @property
    def recurrent(self) -> tuple[str, ...]:
        """Layers that lie on a cycle, their own synapses included."""
        index = {name: i for i, name in enumerate(self.sizes)}
        reaches = np.zeros((len(index), len(index)), dtype=bool)
        for group in self.groups:
            reaches[index[group.source], index[group.target]] = True
        for middle in range(len(index)):  # Warshall's transitive closure
            reaches |= reaches[:, middle : middle + 1] & reaches[middle : middle + 1, :]
        return tuple(layer.name for layer in self.layers if reaches[index[layer.name], index[layer.name]])


@dataclass(frozen=True, eq=False)
class Activity:
    """Spikes of a run: source or layer name -> spikes of each neuron over all samples and steps.

    origin says where the spikes come from (a run, or an assumption). counted: what the run counted
    itself, node -> (spikes, synaptic operations, stored synaptic operations); for a node that is not
    there, they follow from the spikes.
    """

    spikes: Mapping[str, FloatArray]
    samples: int
    steps: int
    origin: str
    counted: Mapping[str, tuple[int, int, int]] = field(default_factory=lambda: MappingProxyType({}))

    def per_step(self, name: str) -> FloatArray:
        """Spikes of each neuron in one step of one sample, on average."""
        return self.spikes[name] / (self.samples * self.steps)

    @property
    def item_steps(self) -> int:
        return self.samples * self.steps


def assumed_activity(network: NetworkDescription, rate: float, steps: int = 1) -> Activity:
    """One sample in which every neuron and input fires with probability ``rate`` a step."""
    spikes = {name: np.full(size, rate * steps) for name, size in network.sizes.items()}
    return Activity(spikes, 1, steps, f"assumed: every neuron and input fires in {rate:.1%} of the steps")
