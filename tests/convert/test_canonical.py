"""Wiring and values: every fault of a graph is named, all at once."""

from __future__ import annotations

import nir
import numpy as np
import pytest

from snn_deploy.convert.canonical import canonical
from snn_deploy.errors import ModelNotSupported
from tests.equivalence.graphs import Draw, chain, graph


def small():
    draw = Draw(0)
    return chain(draw.affine(3, 2), draw.lif(3), shape=[2])


def messages(net):
    with pytest.raises(ModelNotSupported) as caught:
        canonical(net)
    return [str(violation) for violation in caught.value.violations]


def changed(nodes=(), edges=(), without=()):
    net = small()
    kept = {name: node for name, node in net.nodes.items() if name not in without}
    return graph({**kept, **dict(nodes)}, [e for e in net.edges if not set(e) & set(without)] + list(edges))


def test_a_sound_graph_is_kept_as_it_is():
    net = small()
    flat = canonical(net)
    assert flat.nodes == net.nodes and flat.edges == list(net.edges)


@pytest.mark.parametrize(
    ("net", "message"),
    [
        (changed(edges=[("n0", "ghost")]), "an edge names a node that does not exist; found n0 -> ghost"),
        (changed(edges=[("n0", "n1")]), "an edge occurs more than once; found n0 -> n1, 2 times"),
        (changed(edges=[("n1", "input")]), "input: an Input node cannot be driven"),
        (changed(edges=[("output", "n0")]), "output: an Output node cannot drive another"),
        (changed({"left": nir.Linear(np.eye(3))}, [("n1", "left")]), "left: this node drives nothing"),
        (changed({"alone": Draw(1).lif(3)}, [("alone", "n1")]), "alone: nothing drives this node; found LIF"),
        (changed(without=["input"]), "graph: the graph has no Input node"),
        (changed(without=["output"]), "graph: the graph has no Output node"),
        (
            changed({"loop": Draw(1).lif(3), "rec": Draw(1).linear(3, 3), "seen": nir.Output(np.array([3]))},
                    [("loop", "rec"), ("rec", "loop"), ("loop", "seen")]),
            "graph: no input reaches these nodes; found loop, rec, seen",
        ),
        (changed({"n0": nir.Linear(np.zeros((3, 0)))}), r"n0: weight is empty; found shape (3, 0)"),
        (changed({"n0": nir.Affine(np.full((3, 2), np.nan), np.zeros(3))}),
         "n0: weight is not finite; found NaN or infinity in 6 of 6"),
        (changed({"n0": nir.Affine(np.zeros((3, 2)), np.array([0, np.inf, 0]))}),
         "n0: bias is not finite; found NaN or infinity in 1 of 3"),
        (changed({"n0": nir.Linear(np.array([["a", "b"]]))}), "n0: weight does not hold numbers"),
        (changed({"input": nir.Input(np.array([0]))}), "input: the shape must be positive whole numbers"),
        (changed({"a/b": nir.Linear(np.eye(3))}, [("n1", "a/b")]), "a/b: a node needs a name without '/'"),
    ],
)  # fmt: skip
def test_each_fault_is_named(net, message):
    assert any(message in found for found in messages(net)), messages(net)


def test_what_is_no_node_is_named():
    (told,) = messages(changed(nodes={"n1": None}))
    assert told.startswith("n1: this is no NIR node; found NoneType")


def test_all_faults_are_listed_at_once():
    net = changed(
        {"n0": nir.Affine(np.full((3, 2), np.nan), np.zeros(3)), "left": nir.Linear(np.zeros((0, 3)))},
        [("n1", "left")],
    )
    found = messages(net)
    assert len(found) == 3
    assert {text.split(":")[0] for text in found} == {"n0", "left"}


def nested(inputs=1, depth=1):
    draw = Draw(2)
    inner = chain(draw.lif(3), shape=[3])
    if inputs == 2:
        inner.nodes["second"] = nir.Input(np.array([3]))
        inner.edges.append(("second", "n0"))
    for _ in range(depth - 1):
        inner = graph(
            {"i": nir.Input(np.array([3])), "g": inner, "o": nir.Output(np.array([3]))},
            [("i", "g"), ("g", "o")],
        )
    return graph(
        {
            "in": nir.Input(np.array([2])),
            "fc": draw.affine(3, 2),
            "rnn": inner,
            "out": nir.Output(np.array([3])),
        },
        [("in", "fc"), ("fc", "rnn"), ("rnn", "out")],
    )


def test_nested_graphs_become_dotted_names():
    flat = canonical(nested(depth=3))
    assert set(flat.nodes) == {"in", "fc", "rnn.g.g.n0", "out"}
    assert set(flat.edges) == {("in", "fc"), ("fc", "rnn.g.g.n0"), ("rnn.g.g.n0", "out")}


def test_a_nested_graph_with_two_inputs_is_refused():
    assert any("rnn: a nested graph must have one Input node" in text for text in messages(nested(inputs=2)))


def test_graphs_nested_beyond_reason_are_refused():
    assert any("graphs are nested too deep" in text for text in messages(nested(depth=40)))


def test_names_that_meet_when_flattened_are_refused():
    net = nested()
    net.nodes["rnn.n0"] = Draw(1).lif(3)
    net.edges += [("fc", "rnn.n0"), ("rnn.n0", "out")]
    assert any("rnn.n0: two nodes have this name" in text for text in messages(net))
