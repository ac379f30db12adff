"""The description of a quantised network has its sizes, patterns, ranges and delays."""

from __future__ import annotations

from types import MappingProxyType
from typing import Any

import numpy as np
import pytest

from snn_deploy.convert.footprint import describe
from snn_deploy.network.connections import Conv2d, Dense, Sparse
from snn_deploy.network.contract import Contract
from snn_deploy.network.network import Input, Output
from snn_deploy.network.quantised import QuantisedNetwork, QuantisedPopulation, QuantisedProjection


def population(name: str, neurons: int, **fields: Any) -> QuantisedPopulation:
    zeros = np.zeros(neurons, dtype=np.int64)
    values = {"node": name, "index": np.arange(neurons), "du": 100, "dv": 200, "vth": 300}
    arrays = {"bias_mant": zeros, "bias_exp": zeros, "u0": zeros, "v0": zeros}
    return QuantisedPopulation(name, **{**values, **arrays, **fields})


def projection(source: str, target: str, connection: Any, **fields: Any) -> QuantisedProjection:
    values = {"weight_exp": 0, "weight_bits": 8, "sign": "mixed", "delay": 0}
    return QuantisedProjection(f"{source}-{target}", source, target, connection, **{**values, **fields})


def network(populations: Any, projections: Any, inputs: Any = None) -> QuantisedNetwork:
    nodes = {p.node: (p.neurons,) for p in populations}
    return QuantisedNetwork(
        Contract(1e-3),
        "loihi1",
        tuple(inputs or [Input("in", (6,))]),
        tuple(populations),
        tuple(projections),
        (Output("out", populations[-1].node),),
        MappingProxyType(nodes),
    )


def pattern(group: Any) -> np.ndarray:
    dense = np.zeros((group.targets, group.sources), dtype=bool)
    if group.indptr is None:
        return ~dense
    for row in range(group.targets):
        dense[row, group.indices[group.indptr[row] : group.indptr[row + 1]]] = True
    return dense


@pytest.mark.parametrize("seed", range(3))
def test_dense_sparse_and_conv_give_pattern_sums_and_parameters(seed: int) -> None:
    rng = np.random.default_rng(seed)
    with_zeros = rng.integers(-3, 4, (5, 6)) * 2
    full = rng.integers(1, 9, (5, 6))
    stored = rng.random((5, 6)) < 0.4
    indptr = np.concatenate([[0], np.cumsum(stored.sum(axis=1))]).astype(np.int64)
    data = rng.integers(-2, 3, int(stored.sum()))  # with explicit zeros
    sparse = np.zeros((5, 6), dtype=np.int64)
    sparse[stored] = data
    connections = {
        "d": Dense(with_zeros),
        "f": Dense(full),
        "s": Sparse(data, np.nonzero(stored)[1], indptr, (5, 6)),
    }
    matrices = {"d": with_zeros, "f": full, "s": sparse}
    populations = [population(name, 5) for name in connections]
    edges = [projection("in", name, c, weight_exp=2) for name, c in connections.items()]
    found = {group.target: group for group in describe(network(populations, edges)).groups}
    for name, matrix in matrices.items():
        group = found[name]
        np.testing.assert_array_equal(pattern(group), matrix != 0)
        np.testing.assert_array_equal(group.drive[0], np.where(matrix < 0, matrix, 0).sum(axis=1) * 4)
        np.testing.assert_array_equal(group.drive[1], np.where(matrix > 0, matrix, 0).sum(axis=1) * 4)
        np.testing.assert_array_equal(group.fan_out, (matrix != 0).sum(axis=0))
        np.testing.assert_array_equal(group.fan_in, (matrix != 0).sum(axis=1))
    assert (found["d"].weights[0], found["d"].weights[1]) == (with_zeros.min(), with_zeros.max())
    assert found["f"].indptr is None
    assert found["d"].stored == 30 > found["d"].nonzero
    assert found["s"].stored == found["s"].nonzero == np.count_nonzero(sparse)


def test_a_convolution_shares_its_weights() -> None:
    weight = np.arange(2 * 1 * 3 * 3).reshape(2, 1, 3, 3)  # one weight is zero
    conv = Conv2d(weight, (1, 6, 6), (1, 1), (0, 0), (1, 1), 1)
    pop = population("c", 32)
    described = describe(network([pop], [projection("in", "c", conv)], [Input("in", (1, 6, 6))]))
    group = described.groups[0]
    assert (group.parameters, group.convolution, group.dense) == (18, True, False)
    assert (group.sources, group.targets) == (36, 32)
    assert group.nonzero == 16 * 17
    assert described.sources[0].channels == 36


def test_layers_come_in_topological_order_with_their_ranges() -> None:
    mantissas = np.array([-5, 7, 0], dtype=np.int64)
    exponents = np.array([0, 3, 1], dtype=np.int64)
    last = population("z", 3, bias_mant=mantissas, bias_exp=exponents, vth=77, du=-1, dv=9)
    first = population("y", 4)
    described = describe(
        network(
            [last, first],
            [
                projection("y", "z", Dense(np.ones((3, 4), int))),
                projection("in", "y", Dense(np.ones((4, 6), int))),
            ],
            [Input("in", (6,), 8)],
        )
    )
    assert [layer.name for layer in described.layers] == ["y", "z"]
    layer = described.layers[1]
    assert (layer.threshold, layer.decay_u, layer.decay_v) == (77, -1, 9)
    assert (layer.bias_mantissa, layer.bias_exp) == ((-5, 7), (0, 3))
    assert described.sources[0].message_bits == 8
    assert described.outputs == ("y",)


def test_a_delay_is_what_exceeds_the_step_of_a_connection() -> None:
    """A skip connection waits for the longer path; a recurrent one of one step needs nothing more."""
    a, b = population("a", 3), population("b", 3)
    edges = [
        projection("in", "a", Dense(np.ones((3, 6), int))),
        projection("a", "b", Dense(np.ones((3, 3), int))),
        projection("in", "b", Dense(np.ones((3, 6), int))),
        projection("a", "a", Dense(np.ones((3, 3), int)), delay=1),
        projection("in", "b", Dense(np.ones((3, 6), int)), delay=5),
    ]
    described = describe(network([a, b], edges))
    assert [group.delay for group in described.groups] == [0, 0, 1, 0, 6]
    assert described.recurrent == ("a",)
