"""How many bits the synapses of an axon take in a core's memory, dense and sparse.

The cost is that of nengo-loihi's SynapseConfig (commit e564f66): blocks of 64 synapses, 10 bits of
header a block, each block rounded up to a 64-bit word.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from snn_deploy.hw_profiles.description import IntArray, SynapseGroup
from snn_deploy.hw_profiles.schema import SynapseEncoding

SynapseForm = Literal["dense", "sparse"]


def axon_bits(synapses: IntArray, bits_per_synapse: int, encoding: SynapseEncoding) -> IntArray:
    """Memory of axons with that many synapses each, in bits; int64, the shape of ``synapses``."""
    block, header, word = encoding.block.value, encoding.block_overhead.value, encoding.word.value
    full, rest = np.divmod(np.asarray(synapses, dtype=np.int64), block)
    full_bits = -(-(block * bits_per_synapse + header) // word) * word
    rest_bits = -(-(rest * bits_per_synapse + header) // word) * word
    return np.asarray(full * full_bits + np.where(rest > 0, rest_bits, 0), dtype=np.int64)


def index_width(neurons: int, encoding: SynapseEncoding) -> int:
    """The narrowest index code that addresses ``neurons`` targets, in bits."""
    needed = max(neurons - 1, 1).bit_length()
    return min((code for code in encoding.index_bits.values if code >= needed), default=needed)


def synapse_bits(group: SynapseGroup, encoding: SynapseEncoding) -> int:
    """Bits of one synapse without its index: weight, delay, and the tag that the encoding always keeps."""
    delay = max(group.delay.bit_length(), encoding.delay_bits.low)
    return group.weight_bits + delay + encoding.tag_bits.low


@dataclass(frozen=True)
class GroupMemory:
    """One synapse group on one core.

    axons: sources with a synapse there. synapses: nonzero ones. dense, sparse: bits in either form;
    a chip whose encoding is unknown has neither.
    """

    group: str
    axons: int
    synapses: int
    dense: int
    sparse: int

    @property
    def bits(self) -> int:
        return min(self.dense, self.sparse)

    @property
    def form(self) -> SynapseForm:
        return "dense" if self.dense <= self.sparse else "sparse"


def group_memory(group: SynapseGroup, start: int, stop: int, encoding: SynapseEncoding | None) -> GroupMemory:
    """Memory of the synapses that a group has on the targets start .. stop.

    An axon exists where a source has a nonzero synapse; the dense form then stores the whole row of
    targets, zeros included, and the sparse form the nonzero synapses, each with its index.
    """
    targets = stop - start
    if group.indptr is None:  # all sources alike: one axon stands for all
        axons, synapses, counts = group.sources, group.sources * targets, np.array([targets], dtype=np.int64)
        copies = group.sources
    else:
        counts = group.axon_synapses(start, stop)
        axons, synapses, copies = int(np.count_nonzero(counts)), int(counts.sum()), 1
    if encoding is None:
        return GroupMemory(group.name, axons, synapses, 0, 0)
    base = synapse_bits(group, encoding)
    row = int(axon_bits(np.array(targets), base, encoding))
    with_index = base + index_width(targets, encoding)
    sparse = int(axon_bits(counts, with_index, encoding).sum()) * copies
    return GroupMemory(group.name, axons, synapses, row * axons, sparse)


def fetched_bits(
    group: SynapseGroup, start: int, stop: int, form: SynapseForm, encoding: SynapseEncoding
) -> IntArray:
    """Bits that one spike of each source reads from the memory of that core, shape (sources,)."""
    counts = group.axon_synapses(start, stop)
    base = synapse_bits(group, encoding)
    if form == "dense":
        row = axon_bits(np.array(stop - start), base, encoding)
        return np.asarray(np.where(counts > 0, row, 0), dtype=np.int64)
    return axon_bits(counts, base + index_width(stop - start, encoding), encoding)
