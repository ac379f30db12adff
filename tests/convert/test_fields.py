"""Every field of every NIR primitive is used or refused: changing it changes the network or is an error.

The cases are held against dataclasses.fields, so that a field that a new version of nir adds fails here.
"""

from __future__ import annotations

from dataclasses import fields, replace

import nir
import numpy as np
import pytest
from nir.ir.graph import Identity

from snn_deploy.convert.pipeline import prepare
from snn_deploy.errors import ModelNotSupported
from snn_deploy.network.connections import synapses
from snn_deploy.network.contract import Contract
from tests.equivalence.graphs import DT, graph

N = 4


def full(value, n=N):
    return np.full(n, value)


def lif(n=N):
    return nir.LIF(full(0.01, n), full(1.0, n), full(0.0, n), full(1.0, n), full(0.0, n))


def neuron_net(node):
    width = np.array(node.r.shape)
    return graph(
        {"in": nir.Input(width), "w": nir.Affine(np.eye(N), np.ones(N)), "x": node, "out": nir.Output(width)},
        [("in", "w"), ("w", "x"), ("x", "out")],
    )


def linear_net(node, shape=(N,), out=(N,)):
    flat = int(np.prod(out))
    return graph(
        {
            "in": nir.Input(np.array(shape)),
            "x": node,
            "flat": nir.Flatten({"input": np.array(out)}, 0, -1),
            "lif": lif(flat),
            "out": nir.Output(np.array([flat])),
        },
        [("in", "x"), ("x", "flat"), ("flat", "lif"), ("lif", "out")],
    )


def flatten_net(node):
    """What Flatten sends must have the shape that the neurons behind it take: only its shape can differ."""
    neurons = nir.LIF(*(np.full((6, 4), value) for value in (0.01, 1.0, 0.0, 1.0, 0.0)))
    return graph(
        {
            "in": nir.Input(np.array([2, 3, 4])),
            "x": node,
            "lif": neurons,
            "out": nir.Output(np.array([6, 4])),
        },
        [("in", "x"), ("x", "lif"), ("lif", "out")],
    )


CONV2D = {
    "input_shape": (7, 8), "weight": np.ones((2, 4, 3, 3)), "stride": 1, "padding": 0, "dilation": 1,
    "groups": 1, "bias": np.ones(2),
}  # fmt: skip
CONV1D = {**CONV2D, "input_shape": 9, "weight": np.ones((2, 4, 3))}
POOL = {"kernel_size": np.array([2, 2]), "stride": np.array([2, 2]), "padding": np.array([0, 0])}
MEMBRANE = {"tau": full(0.01), "r": full(1.0), "v_leak": full(0.1)}
SPIKES = {"v_threshold": full(1.0), "v_reset": full(0.0)}
CUBA = {"tau_syn": full(0.005), "tau_mem": full(0.01), "r": full(1.0), "v_leak": full(0.1), "w_in": full(1.0)}

#: primitive -> its graph, its fields, and another value for each.
CASES = {
    "LIF": (neuron_net, {**MEMBRANE, **SPIKES}),
    "CubaLIF": (neuron_net, {**CUBA, **SPIKES}),
    "IF": (neuron_net, {"r": full(1.0), **SPIKES}),
    "LI": (neuron_net, MEMBRANE),
    "CubaLI": (neuron_net, CUBA),
    "I": (neuron_net, {"r": full(1.0)}),
    "Linear": (linear_net, {"weight": np.eye(N)}),
    "Affine": (linear_net, {"weight": np.eye(N), "bias": np.ones(N)}),
    "Scale": (linear_net, {"scale": np.ones(N)}),
    "Delay": (linear_net, {"delay": full(2 * DT)}),
    "Conv1d": (lambda node: linear_net(node, (4, 9), out_shape(node)), CONV1D),
    "Conv2d": (lambda node: linear_net(node, (4, 7, 8), out_shape(node)), CONV2D),
    "SumPool2d": (lambda node: linear_net(node, (4, 7, 8), pooled(node)), POOL),
    "AvgPool2d": (lambda node: linear_net(node, (4, 7, 8), pooled(node)), POOL),
    "Flatten": (
        flatten_net,
        {"input_type": {"input": np.array([2, 3, 4])}, "start_dim": 0, "end_dim": 1},
    ),
}
OTHER = {
    "weight": lambda w: w * 1.5,
    "bias": lambda b: b * 1.5,
    "scale": lambda s: s * 1.5,
    "delay": lambda d: d + DT,
    "input_shape": lambda s: 5 if isinstance(s, int) else (5, 5),
    "stride": lambda s: s + 1,
    "padding": lambda p: p + 1,
    "dilation": lambda d: 2,
    "groups": lambda g: 2,
    "kernel_size": lambda k: k + 1,
    "start_dim": lambda d: 1,
    "end_dim": lambda d: 7,
    "input_type": lambda t: {"input": np.array([3, 2, 4])},
}


def out_shape(node):
    space = np.array(node.weight.shape[2:])
    into = np.atleast_1d(node.input_shape)
    pad, dil, step = (
        np.broadcast_to(np.asarray(x), space.shape) for x in (node.padding, node.dilation, node.stride)
    )
    return (node.weight.shape[0], *((into + 2 * pad - dil * (space - 1) - 1) // step + 1))


def pooled(node):
    return (4, *((np.array([7, 8]) + 2 * node.padding - node.kernel_size) // node.stride + 1))


def fingerprint(net):
    """Everything that a run of the network depends on."""
    network = prepare(net, Contract(DT)).network
    parts = [repr(network.inputs), repr(network.outputs)]
    for p in network.populations:
        arrays = (p.du, p.dv, p.bias, p.u0, p.v0, p.gap, p.v_reset)
        parts += [p.name, repr(p.shape), str(p.spiking), *(a.tobytes().hex() for a in arrays)]
    for e in network.projections:
        matrix = synapses(e.connection).toarray()
        parts += [e.source, e.target, str(e.delay), repr(matrix.shape), matrix.tobytes().hex()]
    return parts


@pytest.mark.parametrize(
    ("name", "field"), [(name, field) for name, (_, values) in CASES.items() for field in values]
)
def test_each_field_is_used_or_refused(name, field):
    net, values = CASES[name]
    kind = getattr(nir, name)
    original = fingerprint(net(kind(**values)))
    change = OTHER.get(field, lambda value: value + 0.125)
    try:
        changed = fingerprint(net(kind(**{**values, field: change(values[field])})))
    except ModelNotSupported as error:
        assert any(v.where in ("x", "lif") for v in error.violations), error
    else:
        assert changed != original, f"{name}.{field} was dropped"


def test_every_field_of_every_primitive_has_a_case():
    missing = []
    for name in dir(nir):
        kind = getattr(nir, name)
        if not (isinstance(kind, type) and issubclass(kind, nir.NIRNode)) or kind is nir.NIRNode:
            continue
        if name in ("Input", "Output", "NIRGraph", "Threshold"):
            continue  # tests of their own, below
        own = {f.name for f in fields(kind)} - {"metadata", "output_type"}
        own -= set() if name == "Flatten" else {"input_type"}
        missing += [f"{name}.{field}" for field in own - set(CASES[name][1])]
    assert not missing


def test_conv_may_leave_its_bias_and_input_shape_out():
    net = linear_net(nir.Conv2d(**{**CONV2D, "bias": None, "input_shape": None}), (4, 7, 8), (2, 5, 6))
    network = prepare(net, Contract(DT)).network
    assert not network.populations[0].bias.any()
    assert synapses(network.projections[0].connection).shape == (60, 224)


def test_threshold_is_refused_with_a_reason():
    with pytest.raises(ModelNotSupported, match="x: a Threshold node fires on its input alone"):
        prepare(linear_net(nir.Threshold(np.ones(N))), Contract(DT))


def test_shapes_of_input_and_output_are_used():
    net = linear_net(nir.Linear(np.eye(N)))
    for name, node in (("in", nir.Input(np.array([3]))), ("out", nir.Output(np.array([3])))):
        with pytest.raises(ModelNotSupported, match="does not take what arrives"):
            prepare(graph({**net.nodes, name: node}, list(net.edges)), Contract(DT))


def test_identity_is_an_edge():
    plain = linear_net(nir.Linear(np.eye(N)))
    nodes = {**plain.nodes, "id": Identity({"input": np.array([N]), "output": np.array([N])})}
    edges = [("in", "id"), ("id", "x"), *(e for e in plain.edges if e[0] != "in")]
    assert fingerprint(graph(nodes, edges)) == fingerprint(plain)


def test_message_bits_of_an_input_and_the_metadata_of_nodes_are_kept():
    net = linear_net(nir.Linear(np.eye(N)))
    net.nodes["in"].metadata = {"message_bits": 8}
    net.nodes["x"].metadata = {"note": "trained twice"}
    prepared = prepare(net, Contract(DT))
    assert prepared.network.inputs[0].message_bits == 8
    assert prepared.graph.nodes["x"].metadata == {"note": "trained twice"}
    assert prepare(prepared.graph, Contract(DT)).network.inputs == prepared.network.inputs


def test_a_fingerprint_sees_a_change_of_the_last_bit():
    net = linear_net(nir.Linear(np.eye(N)))
    other = graph(dict(net.nodes), list(net.edges))
    other.nodes["lif"] = replace(net.nodes["lif"], tau=np.nextafter(net.nodes["lif"].tau, 1))
    assert fingerprint(other) != fingerprint(net)
