"""Parameters whose dimensions have size 1 are as wide as what arrives."""

from __future__ import annotations

from itertools import pairwise

import nir
import numpy as np
import pytest

from snn_deploy.convert.artifact import graph_tree
from snn_deploy.convert.frontends.nir_file import graph_from_tree
from snn_deploy.convert.pipeline import prepare
from snn_deploy.engine import float as float_engine
from snn_deploy.errors import ModelNotSupported
from snn_deploy.network.contract import Contract
from tests.equivalence.graphs import DT, Draw, chain, graph

SPACE = (3, 4, 4)
_FIRING = {"v_threshold": 0.9, "v_reset": -0.1}
NEURONS = {
    nir.LIF: {"tau": 8e-3, "r": 9.0, "v_leak": 0.1, **_FIRING},
    nir.IF: {"r": 0.4, **_FIRING},
    nir.CubaLIF: {"tau_syn": 4e-3, "tau_mem": 8e-3, "r": 5.0, "v_leak": 0.0, "w_in": 2.0, **_FIRING},
}


def spikes_of(net: nir.NIRGraph, raster: np.ndarray) -> np.ndarray:
    """All spikes of the last neurons, and those of the graph that a file gives back."""
    prepared = prepare(net, Contract(DT))
    again = prepare(graph_from_tree(graph_tree(prepared.graph), "again"), Contract(DT))
    first, second = (
        float_engine.run(one.network, {"input": raster.reshape(*raster.shape[:2], -1)}).rasters
        for one in (prepared, again)
    )
    name = prepared.network.outputs[0].node
    np.testing.assert_array_equal(first[name], second[name])
    return first[name]


@pytest.mark.parametrize("kind", NEURONS)
@pytest.mark.parametrize("seed", range(4))
def test_a_dimension_of_size_one_is_as_wide_as_what_arrives(kind: type, seed: int) -> None:
    """Per channel, per row, per layer, with a batch axis or without: the same spikes as written in full."""
    draw = Draw(seed)
    small = [(3, 1, 1), (1, 3, 1, 4), (1,), ()][seed]
    values = {name: value * draw.uniform(0.8, 1.2, small) for name, value in NEURONS[kind].items()}
    full = {name: np.broadcast_to(v.reshape(v.shape[-3:]), SPACE).copy() for name, v in values.items()}
    kernel = draw.rng.normal(0.15, 0.4, (3, 2, 3, 3))
    raster = draw.spikes(2, 60, (2, 6, 6), 0.2)

    def net(parameters: dict[str, np.ndarray]) -> nir.NIRGraph:
        conv = nir.Conv2d((6, 6), kernel, 1, 0, 1, 1, np.zeros(3))
        nodes = {"input": nir.Input(np.array([2, 6, 6])), "conv": conv, "neurons": kind(**parameters)}
        nodes["output"] = nir.Output(np.array(SPACE))
        return graph(nodes, [("input", "conv"), ("conv", "neurons"), ("neurons", "output")])

    wanted = spikes_of(net(full), raster)
    assert 0.01 < wanted.mean() < 0.95 and np.ptp(wanted.sum(axis=(0, 1))) > 0
    np.testing.assert_array_equal(spikes_of(net(values), raster), wanted)


def test_also_over_a_cycle_and_in_scale_and_delay() -> None:
    draw = Draw(9)
    fc, rec, wide = draw.affine(6, 4, 1.5), draw.linear(6, 6, 0.5), NEURONS[nir.LIF]

    def net(size: tuple[int, ...]) -> nir.NIRGraph:
        nodes = {
            "input": nir.Input(np.array([4])),
            "scale": nir.Scale(np.full(size and (4,) if size == (6,) else size, 1.25)),
            "fc": fc,
            "wait": nir.Delay(np.full(size, 3 * DT)),
            "lif": nir.LIF(**{name: np.full(size, value) for name, value in wide.items()}),
            "rec": rec,
            "output": nir.Output(np.array([6])),
        }
        fc.bias[:] = 0  # a constant in front of a Delay is refused
        chained = ["input", "scale", "fc", "wait", "lif", "output"]
        edges = [*pairwise(chained), ("lif", "rec"), ("rec", "lif")]
        return graph(nodes, edges)

    raster = draw.spikes(2, 80, (4,), 0.4)
    wanted = spikes_of(net((6,)), raster)
    assert 0.01 < wanted.mean() < 0.9
    for size in ((), (1,), (1, 1)):
        np.testing.assert_array_equal(spikes_of(net(size), raster), wanted)


@pytest.mark.parametrize("size", [(4,), (2,), (5, 5)])
def test_what_does_not_fit_is_refused_with_both_shapes(size: tuple[int, ...]) -> None:
    lif = nir.LIF(**{name: np.full(size, value) for name, value in NEURONS[nir.LIF].items()})
    with pytest.raises(ModelNotSupported, match=r"n1: the node does not take .* found shape \(5,\)"):
        prepare(chain(Draw(1).affine(5, 4), lif, shape=[4]), Contract(DT))
