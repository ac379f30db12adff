"""Convolutions, sparse projections, graded input and read-outs go through the same quantiser."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.sparse import random as random_sparse

from snn_deploy.convert.calibration import observe
from snn_deploy.convert.quantise import Quantiser
from snn_deploy.convert.quantise.gate import count_error
from snn_deploy.convert.quantise.quantisation import quantise_network
from snn_deploy.convert.quantise.subnetwork import run_nodes
from snn_deploy.engine import float as float_engine
from snn_deploy.hw_profiles import load
from snn_deploy.network.connections import Conv2d, Dense, Sparse, synapses
from snn_deploy.network.contract import Contract
from snn_deploy.network.discrete import DiscreteNetwork, DiscretePopulation, DiscreteProjection
from snn_deploy.network.integers import UNREACHABLE_VTH
from snn_deploy.network.network import Input, Output
from snn_deploy.network.quantised import QuantisedNetwork

PROFILE = load("loihi2")


def population(name: str, shape: tuple[int, ...], spiking: bool = True) -> DiscretePopulation:
    neurons = int(np.prod(shape))
    ones, zeros = np.ones(neurons), np.zeros(neurons)
    return DiscretePopulation(name, shape, 0.3 * ones, 0.1 * ones, zeros, zeros, zeros, ones, zeros, spiking)


def convolutional() -> DiscreteNetwork:
    """2 x 8 x 8 -> 4 channels of 3 x 3 -> 12 neurons over sparse synapses -> 3 read-outs."""
    generator = np.random.default_rng(0)
    kernel = 0.25 * generator.standard_t(3, (4, 2, 3, 3))
    conv = Conv2d(kernel, (2, 8, 8), (1, 1), (1, 1), (1, 1), 1)
    csr = random_sparse(12, 256, 0.2, format="csr", random_state=1)
    sparse = Sparse(
        generator.normal(0.0, 0.1, csr.nnz), csr.indices.astype(int), csr.indptr.astype(int), (12, 256)
    )
    return DiscreteNetwork(
        Contract(1e-3),
        (Input("in", (2, 8, 8)),),
        (population("conv", (4, 8, 8)), population("cells", (12,)), population("read", (3,), spiking=False)),
        (
            DiscreteProjection("in-conv", "in", "conv", conv, 0),
            DiscreteProjection("conv-cells", "conv", "cells", sparse, 0),
            DiscreteProjection("cells-read", "cells", "read", Dense(generator.normal(size=(3, 12))), 0),
        ),
        (Output("out", "read"),),
    )


def spikes(seed: int, samples: int = 24) -> dict[str, np.ndarray]:
    generator = np.random.default_rng(seed)
    rates = generator.uniform(0.05, 0.4, size=(samples, 1, 1))
    return {"in": (generator.random((samples, 40, 128)) < rates).astype(np.uint8)}


def whole(network: QuantisedNetwork, source: str) -> np.ndarray:
    """All planes from one source, added up."""
    planes = [p for p in network.projections if p.source == source]
    parts = [np.asarray(synapses(p.connection).todense(), dtype=np.int64) << p.weight_exp for p in planes]
    return np.sum(parts, axis=0)


@pytest.mark.parametrize("level", [1, 5])
def test_kernels_and_sparse_synapses_keep_their_shape(level: int) -> None:
    network = convolutional()
    evidence = observe(network, PROFILE, spikes(1))
    integers = Quantiser(network, PROFILE, evidence).network(dict.fromkeys(("conv", "cells", "read"), level))
    scales = {p.name: p.scale for p in integers.populations}
    for edge in network.projections:
        exact = np.asarray(synapses(edge.connection).todense()) * scales[edge.target]
        rounded = whole(integers, edge.source)
        assert not np.any(rounded[exact == 0])
        assert np.linalg.norm(rounded - exact) < 0.02 * np.linalg.norm(exact)
    kernels = [p for p in integers.projections if p.source == "in"]
    assert all(isinstance(p.connection, Conv2d) for p in kernels)
    assert all(isinstance(p.connection, Sparse) for p in integers.projections if p.source == "conv")
    assert len(kernels) == (2 if level == 1 else 4)
    per_channel = next(p.bias for p in integers.populations if p.name == "conv").reshape(4, -1)
    assert np.all(per_channel == per_channel[:, :1])  # a channel shares its weights and their correction
    assert np.unique(per_channel).size > 1


def test_a_convolution_stays_near_the_float_network_on_held_out_spikes() -> None:
    network = convolutional()
    held_out = spikes(2)
    exact = float_engine.run(network, held_out).rasters
    found = {}
    for level in (0, 5):
        integers = quantise_network(network, PROFILE, spikes(1), level=level)
        rasters = run_nodes(integers, ["conv", "cells", "read"], held_out)
        assert 0.02 < exact["conv"].mean() < 0.4 and 0.02 < exact["cells"].mean() < 0.5
        assert not rasters["read"].any()
        found[level] = [count_error(exact[node], rasters[node]) for node in ("conv", "cells")]
    assert found[5][0] < found[0][0] / 2
    assert found[5][1] < found[0][1]
    assert found[5][0] < 0.005


def test_a_read_out_is_no_part_of_the_gate_and_takes_the_default_level() -> None:
    report = quantise_network(convolutional(), PROFILE, spikes(1)).report
    assert report["levels"]["read"] >= 1
    assert set(report["gate"]["count_errors"]) == {"conv", "cells"}
    integers = quantise_network(convolutional(), PROFILE, spikes(1), level=1)
    (read,) = [p for p in integers.populations if p.name == "read"]
    assert read.vth == UNREACHABLE_VTH and not read.spiking
    assert read.scale < read.vth


def test_graded_input_keeps_its_message_bits() -> None:
    generator = np.random.default_rng(3)
    network = DiscreteNetwork(
        Contract(1e-3),
        (Input("in", (6,), message_bits=8),),
        (population("cells", (10,)),),
        (DiscreteProjection("in-cells", "in", "cells", Dense(generator.normal(size=(10, 6)) / 60), 0),),
        (Output("out", "cells"),),
    )
    graded = {"in": generator.integers(-100, 100, size=(16, 30, 6)).astype(np.int32)}
    integers = quantise_network(network, PROFILE, graded, level=1)
    assert {p.message_bits for p in integers.projections} == {8}
    exact = float_engine.run(network, graded).rasters["cells"]
    rounded = run_nodes(integers, ["cells"], graded)["cells"]
    assert exact.any()
    assert count_error(exact, rounded) < 0.02
