"""The cost of synapses in a core's memory, against the formula of nengo-loihi written a second time."""

from __future__ import annotations

import numpy as np
import pytest
from networks import sparse_group

from snn_deploy.hw_profiles import load
from snn_deploy.hw_profiles.description import SynapseGroup
from snn_deploy.hw_profiles.encoding import axon_bits, fetched_bits, group_memory, index_width

ENCODING = load("loihi1").encoding
assert ENCODING is not None


def bits_of_one_axon(synapses: int, bits_per_synapse: int) -> int:
    """facts/energy.md, section 1: blocks of 64; n * bits + 10, rounded up to 64."""
    total = 0
    while synapses > 0:
        n = min(synapses, 64)
        bits = n * bits_per_synapse + 10
        while bits % 64:
            bits += 1
        total += bits
        synapses -= n
    return total


def test_axon_bits_equal_the_formula_on_random_axons() -> None:
    rng = np.random.default_rng(3)
    seen = set()
    for _ in range(400):
        bits = (
            int(rng.integers(1, 9)) + int(rng.choice([0, 6, 7, 8, 9, 10, 11, 12])) + int(rng.integers(0, 7))
        )
        synapses = rng.integers(0, 1025, 6)
        found = axon_bits(synapses, bits, ENCODING).tolist()
        assert found == [bits_of_one_axon(int(n), bits) for n in synapses]
        seen.update(found)
    assert len(seen) > 300


def test_figures_of_the_facts() -> None:
    assert axon_bits(np.array([64, 128, 38, 0]), 8, ENCODING).tolist() == [576, 1152, 320, 0]
    assert 1048576 * 64 // 576 == 116508  # dense 8-bit weights a core
    assert bits_of_one_axon(64, 18) / 64 == 19  # sparse: 8 bits, 10 of index


@pytest.mark.parametrize(
    ("neurons", "width"), [(1, 6), (2, 6), (64, 6), (65, 7), (128, 7), (512, 9), (1024, 10), (4096, 12)]
)
def test_the_index_is_the_narrowest_code_that_reaches(neurons: int, width: int) -> None:
    assert index_width(neurons, ENCODING) == width


@pytest.mark.parametrize(("density", "form"), [(0.1, "sparse"), (0.9, "dense")])
@pytest.mark.parametrize("delay", [0, 5])
def test_a_group_takes_the_smaller_form(density: float, form: str, delay: int) -> None:
    rng = np.random.default_rng(int(density * 10) + delay)
    group, matrix = sparse_group(rng, ("a", "b"), (300, 90), density, weight_bits=6, delay=delay)
    start, stop = 40, 290
    memory = group_memory(group, start, stop, ENCODING)
    counts = matrix[start:stop].sum(axis=0)
    delay_bits = len(bin(delay)) - 2 if delay else 0
    dense = sum(bits_of_one_axon(250, 6 + delay_bits) for n in counts if n)
    sparse = sum(bits_of_one_axon(int(n), 6 + delay_bits + 8) for n in counts)
    assert (memory.dense, memory.sparse) == (dense, sparse)
    assert memory.form == form
    assert memory.bits == min(dense, sparse)
    assert memory.synapses == int(counts.sum())
    assert memory.axons == int((counts > 0).sum()) > 0
    fetched = fetched_bits(group, start, stop, memory.form, ENCODING)
    assert int(fetched.sum()) == memory.bits
    assert fetched.shape == (90,)


def test_a_full_group_counts_as_its_explicit_pattern() -> None:
    full = SynapseGroup("g", "a", "b", 70, 130)
    rows = np.arange(131, dtype=np.int64) * 70
    explicit = SynapseGroup("g", "a", "b", 70, 130, rows, np.tile(np.arange(70), 130))
    assert group_memory(full, 3, 120, ENCODING) == group_memory(explicit, 3, 120, ENCODING)


def test_a_chip_without_a_known_encoding_has_no_bits() -> None:
    memory = group_memory(SynapseGroup("g", "a", "b", 70, 130), 0, 130, None)
    assert (memory.bits, memory.axons, memory.synapses) == (0, 70, 9100)
