"""Lowering: what is refused, by name and with the numbers, and what a composed projection holds."""

from __future__ import annotations

import logging
from dataclasses import replace

import nir
import numpy as np
import pytest

from snn_deploy.convert.lowering import lower
from snn_deploy.convert.lowering.cycles import delay_cycles
from snn_deploy.convert.pipeline import prepare
from snn_deploy.errors import ModelNotSupported
from snn_deploy.network.connections import Conv2d, Dense, Sparse, synapses
from snn_deploy.network.contract import Contract
from snn_deploy.network.network import Projection
from tests.equivalence.graphs import DT, Draw, chain, graph

CONTRACT = Contract(DT)


def refusal(net):
    with pytest.raises(ModelNotSupported) as caught:
        prepare(net, CONTRACT)
    return str(caught.value)


def ends(inputs, outputs):
    return {"in": nir.Input(np.array([inputs])), "out": nir.Output(np.array([outputs]))}


def read_out(n):
    return nir.LI(np.full(n, 0.01), np.ones(n), np.zeros(n))


class Unknown(nir.NIRNode):
    def __init__(self):
        self.input_type = self.output_type = {}
        self.metadata = {}


def odd_graphs():
    draw = Draw(0)
    lif = draw.lif(3)
    image = nir.Conv2d((4, 4), np.ones((2, 1, 3, 3)), 1, 0, 1, 1, None)
    return {
        "a: the node does not take what arrives; found shape (2,)": _one(nir.Linear(np.ones((3, 4)))),
        "a: the bias does not match the weight rows": _one(nir.Affine(np.ones((3, 2)), np.ones(4))),
        "a: a weight must be a matrix": _one(nir.Linear(np.ones((1, 3, 2)))),
        "a: a delay must be a whole number of time steps, not negative; found 0.0015 s = 1.5 steps": _one(
            nir.Delay(np.full(2, 1.5e-3)), nir.Linear(np.ones((3, 2)))
        ),
        "found -0.001 s = -1 steps": _one(nir.Delay(np.full(2, -1e-3)), nir.Linear(np.ones((3, 2)))),
        "a: a convolution takes (channels, space)": _one(image),
        "a: the node does not take what arrives": _one(nir.Scale(np.ones(3))),
        "a: pooling takes (channels, height, width)": _one(nir.SumPool2d(np.array([2, 2]), 2, 0)),
        "n1: the node does not take what arrives; found shape (3,)": chain(
            draw.affine(3, 2), draw.lif(4), shape=[2]
        ),
        "output: an output must read the spikes or membranes": chain(
            lif, draw.affine(2, 3), shape=[3], out=[2]
        ),
        "n0: a membrane potential drives other neurons": chain(
            read_out(3), draw.affine(3, 3), lif, shape=[3]
        ),
        "this node type has no lowering to Loihi; found Unknown; allowed Affine, AvgPool2d": _one(Unknown()),
        "v_threshold must lie above v_reset": chain(replace(lif, v_reset=lif.v_threshold), shape=[3]),
        "tau is shorter than one time step, so the state would overshoot; found 0.0005": chain(
            replace(lif, tau=np.full(3, 5e-4)), shape=[3]
        ),
        "n0: v_leak is not finite": chain(replace(lif, v_leak=np.array([0, np.nan, 0])), shape=[3]),
        "a cycle without a neuron has no time step": graph(
            {**ends(3, 3), "a": nir.Linear(np.eye(3)), "b": nir.Linear(np.eye(3)), "lif": lif},
            [("in", "a"), ("a", "b"), ("b", "a"), ("b", "lif"), ("lif", "out")],
        ),
        "what arrives differs in shape": graph(
            {**ends(3, 3), "b": nir.Input(np.array([2])), "lif": lif},
            [("in", "lif"), ("b", "lif"), ("lif", "out")],
        ),
        "in: bad message_bits; found 40": graph(
            {**ends(3, 3), "in": _graded(3, 40), "lif": lif}, [("in", "lif"), ("lif", "out")]
        ),
    }  # fmt: skip


def _one(*nodes):
    """A graph whose first linear node is called a, on two lines, with three neurons behind."""
    net = chain(*nodes, Draw(0).lif(3), shape=[2])
    rename = {"n0": "a"}
    nodes_by_name = {rename.get(name, name): node for name, node in net.nodes.items()}
    return graph(nodes_by_name, [(rename.get(a, a), rename.get(b, b)) for a, b in net.edges])


def _graded(n, bits):
    node = nir.Input(np.array([n]))
    node.metadata = {"message_bits": bits}
    return node


@pytest.mark.parametrize("message", list(odd_graphs()))
def test_refusals_name_the_node_and_the_numbers(message):
    assert message in refusal(odd_graphs()[message])


def test_faults_of_several_nodes_are_listed_at_once():
    draw = Draw(0)
    slow = replace(draw.lif(3), tau=np.full(3, 1e-5))
    flat = replace(draw.cuba_lif(3), v_reset=np.full(3, 5.0))
    text = refusal(chain(draw.affine(3, 4), slow, draw.affine(3, 3), flat, shape=[2]))
    assert "n0: the node does not take what arrives" in text
    assert "n1: tau is shorter" in text
    assert "n3: v_threshold must lie above v_reset" in text


def test_feedback_over_two_layers_without_a_delay_is_refused_with_the_numbers():
    draw = Draw(1)
    net = graph(
        {
            **ends(4, 4), "fc": draw.affine(4, 4), "one": draw.lif(4), "up": draw.linear(4, 4),
            "two": draw.lif(4), "down": draw.linear(4, 4),
        },
        [("in", "fc"), ("fc", "one"), ("one", "up"), ("up", "two"), ("two", "down"), ("down", "one"),
         ("two", "out")],
    )  # fmt: skip
    text = refusal(net)
    assert "this cycle cannot be exact: each Lava connection costs one step" in text
    assert "found 1 step(s) of delay around 2 connections; allowed at least 2 steps" in text


def edges_of(*triples):
    connection = Dense(np.eye(1))
    return [Projection(f"{a}{b}", a, b, connection, None, delay) for a, b, delay in triples]


def closing(edges):
    return {e.name for e, d in zip(edges, delay_cycles(edges, ["in"], 1), strict=True) if d.delay > e.delay}


@pytest.mark.parametrize(
    ("triples", "expected"),
    [
        ([("in", "a", 0), ("a", "a", 0)], {"aa"}),
        ([("in", "a", 0), ("a", "b", 0), ("b", "a", 0)], {"ba"}),
        (
            [("in", "a", 0), ("a", "b", 3), ("b", "a", 0)],
            {"ba"},
        ),  # the way back costs the step, not the Delay
        ([("in", "a", 0), ("a", "b", 0), ("b", "c", 0), ("c", "a", 0), ("c", "b", 0), ("a", "c", 0)], {"ca"}),
        # entered at a and at b: the one Delay tells which way is back
        ([("in", "a", 0), ("in", "b", 0), ("a", "b", 0), ("b", "a", 1)], {"ba"}),
    ],
)
def test_which_projection_closes_a_cycle(triples, expected):
    for order in (triples, triples[::-1]):
        try:
            assert closing(edges_of(*order)) == expected
        except ModelNotSupported:
            assert (
                "c",
                "b",
                0,
            ) in triples  # b and c drive each other and both hear a: ambiguous, and said so


def test_a_cycle_that_does_not_say_which_way_is_back_is_refused():
    edges = edges_of(("in", "a", 0), ("in", "b", 0), ("a", "b", 0), ("b", "a", 0))
    with pytest.raises(ModelNotSupported, match="a, b: these populations drive each other"):
        delay_cycles(edges, ["in"], 1)


def test_scalar_parameters_are_spread_over_the_layer():
    zero_d = nir.LIF(*(np.array(value) for value in (0.01, 1.0, 0.0, 1.0, 0.0)))
    net = graph(
        {**ends(2, 5), "fc": Draw(0).affine(5, 2), "lif": zero_d, "rec": Draw(0).linear(5, 5)},
        [("rec", "lif"), ("in", "fc"), ("fc", "lif"), ("lif", "rec"), ("lif", "out")],
    )  # fmt: skip
    assert lower(net, CONTRACT).populations[0].neuron.tau.shape == (5,)


def test_a_batch_dimension_of_one_is_ignored_with_a_warning(caplog):
    net = chain(Draw(0).affine(3, 2), Draw(0).lif(3), shape=[1, 2])
    with caplog.at_level(logging.WARNING):
        lower(net, CONTRACT)
    assert "dimensions of size 1 ignored" in caplog.text


def test_what_linear_nodes_compose_to():
    draw = Draw(3)
    conv = nir.Conv2d((6, 6), draw.rng.normal(size=(3, 2, 3, 3)), 1, 1, 1, 1, None)
    pool = nir.SumPool2d(np.array([2, 2]), np.array([2, 2]), np.array([0, 0]))
    flat = nir.Flatten({"input": np.array([3, 3, 3])}, 0, -1)
    fc = draw.linear(4, 27)

    def connection(*nodes, neurons):
        return lower(chain(*nodes, draw.lif(*neurons), shape=[2, 6, 6]), CONTRACT).projections[0].connection

    assert isinstance(connection(conv, neurons=(3, 6, 6)), Conv2d)
    assert isinstance(connection(conv, nir.Scale(np.array(2.0)), neurons=(3, 6, 6)), Conv2d)
    assert isinstance(connection(conv, nir.Scale(draw.rng.random((3, 6, 6))), neurons=(3, 6, 6)), Sparse)
    assert isinstance(connection(conv, pool, neurons=(3, 3, 3)), Sparse)
    whole = connection(conv, pool, flat, fc, neurons=(4,))
    assert isinstance(whole, Dense)
    separate = synapses(connection(conv, pool, neurons=(3, 3, 3))).toarray()
    np.testing.assert_allclose(whole.weight, fc.weight @ separate, rtol=0, atol=1e-13)


def test_names_of_projections_differ_when_one_weight_drives_two_populations():
    draw = Draw(4)
    net = graph(
        {"in": nir.Input(np.array([2])), "fc": draw.affine(3, 2), "a": draw.lif(3), "b": draw.lif(3),
         "x": nir.Output(np.array([3])), "y": nir.Output(np.array([3]))},
        [("in", "fc"), ("fc", "a"), ("fc", "b"), ("a", "x"), ("b", "y")],
    )  # fmt: skip
    names = [e.name for e in lower(net, CONTRACT).projections]
    assert len(set(names)) == 2
