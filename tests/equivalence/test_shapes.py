"""Zero mismatching spikes against an independent interpreter of NIR: primitives, wirings, transients."""

from __future__ import annotations

import nir
import numpy as np
import pytest
import torch
from nir.ir.graph import Identity

from tests.equivalence import interpreter
from tests.equivalence.compare import check
from tests.equivalence.graphs import DT, Draw, chain, graph

SEEDS = range(3)


def vector_io(inputs, outputs):
    return {"input": nir.Input(np.array([inputs])), "output": nir.Output(np.array([outputs]))}


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("model", ["lif", "cuba_lif", "integrate_and_fire"])
def test_three_layers_of_each_neuron(model, seed):
    draw = Draw(seed)
    neuron = getattr(draw, model)
    net = chain(
        draw.affine(24, 16),
        neuron(24),
        draw.linear(20, 24),
        neuron(20),
        draw.affine(12, 20),
        neuron(12),
        shape=[16],
    )
    check(net, {"input": draw.spikes(4, 200, (16,))}, DT)


@pytest.mark.parametrize("seed", SEEDS)
def test_recurrence_inside_a_layer_with_biases_on_both_ways(seed):
    draw = Draw(seed)
    net = graph(
        {
            **vector_io(16, 10),
            "fc": draw.affine(24, 16),
            "lif": draw.cuba_lif(24),
            "rec": draw.affine(24, 24, 0.6),
            "out": draw.affine(10, 24),
            "spk": draw.lif(10),
        },
        [
            ("input", "fc"),
            ("fc", "lif"),
            ("lif", "rec"),
            ("rec", "lif"),
            ("lif", "out"),
            ("out", "spk"),
            ("spk", "output"),
        ],
    )
    check(net, {"input": draw.spikes(4, 200, (16,))}, DT, [("rec", "lif")])


@pytest.mark.parametrize("seed", SEEDS)
def test_nested_recurrent_graph_as_snntorch_writes_it(seed):
    draw = Draw(seed)
    inner = graph(
        {**vector_io(24, 24), "lif": draw.lif(24), "w_rec": draw.linear(24, 24, 0.6)},
        [("input", "lif"), ("lif", "w_rec"), ("w_rec", "lif"), ("lif", "output")],
    )
    net = graph(
        {**vector_io(16, 24), "fc": draw.affine(24, 16), "rnn": inner},
        [("input", "fc"), ("fc", "rnn"), ("rnn", "output")],
    )
    check(net, {"input": draw.spikes(4, 200, (16,))}, DT, [("rnn.w_rec", "rnn.lif")])


@pytest.mark.parametrize("seed", SEEDS)
def test_branches_merges_and_skips(seed):
    """Two inputs, a fork, a skip over two layers, a sum of spikes before one weight, two outputs."""
    draw = Draw(seed)
    net = graph(
        {
            "a": nir.Input(np.array([12])),
            "b": nir.Input(np.array([8])),
            "fa": draw.affine(16, 12),
            "fb": draw.affine(16, 8),
            "one": draw.cuba_lif(16),
            "up": draw.linear(16, 16),
            "two": draw.lif(16),
            "sum": draw.affine(10, 16, 0.7),
            "three": draw.neuron(10),
            "skip": draw.linear(10, 12),
            "x": nir.Output(np.array([16])),
            "y": nir.Output(np.array([10])),
        },
        [
            ("a", "fa"), ("b", "fb"), ("fa", "one"), ("fb", "one"), ("one", "up"), ("up", "two"),
            ("one", "sum"), ("two", "sum"), ("sum", "three"), ("a", "skip"), ("skip", "three"),
            ("two", "x"), ("three", "y"),
        ],
    )  # fmt: skip
    inputs = {"a": draw.spikes(4, 200, (12,)), "b": draw.spikes(4, 200, (8,))}
    check(net, inputs, DT)


@pytest.mark.parametrize("steps", [1, 2, 5])
def test_feedback_over_two_layers_with_a_declared_delay(steps):
    draw = Draw(steps)
    net = graph(
        {
            **vector_io(16, 12),
            "fc": draw.affine(20, 16),
            "one": draw.lif(20),
            "up": draw.linear(12, 20),
            "two": draw.cuba_lif(12),
            "wait": nir.Delay(np.full(12, steps * DT)),
            "down": draw.affine(20, 12, 0.8),
        },
        [
            ("input", "fc"), ("fc", "one"), ("one", "up"), ("up", "two"), ("two", "output"),
            ("two", "wait"), ("wait", "down"), ("down", "one"),
        ],
    )  # fmt: skip
    check(net, {"input": draw.spikes(4, 200, (16,))}, DT, [("down", "one")])


@pytest.mark.parametrize("seed", SEEDS)
def test_delays_of_each_line_its_own(seed):
    draw = Draw(seed)
    net = chain(
        nir.Delay(draw.rng.integers(0, 6, 16) * DT), draw.affine(24, 16), draw.lif(24),
        nir.Delay(draw.rng.integers(0, 70, 24) * DT), draw.linear(8, 24, 1.4), draw.cuba_lif(8),
        shape=[16],
    )  # fmt: skip
    check(net, {"input": draw.spikes(3, 250, (16,))}, DT)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_constant_behind_a_delay_begins_late(seed):
    """The bias alone makes these neurons fire, each from its own step on."""
    draw = Draw(seed)
    late = draw.rng.integers(0, 40, 20)
    net = chain(
        nir.Affine(0.05 * draw.weight(20, 6), draw.uniform(0.3, 0.6, 20)),
        nir.Delay(late * DT),
        nir.IF(r=np.ones(20), v_threshold=np.ones(20), v_reset=np.zeros(20)),
        shape=[6],
    )
    inputs = {"input": draw.spikes(2, 80, (6,), 0.05)}
    check(net, inputs, DT)
    fired = interpreter.run(net, inputs, DT)["n2"].any(axis=1)
    assert np.array_equal(fired.argmax(axis=0) >= late, np.ones(20, bool)) and len(set(late)) > 8


@pytest.mark.parametrize("steps", [62, 63, 64, 130, 200])
def test_long_delays_go_through_relays(steps):
    draw = Draw(steps)
    net = chain(
        draw.affine(12, 8),
        draw.lif(12),
        nir.Delay(np.array(steps * DT)),
        draw.linear(6, 12, 1.4),
        draw.lif(6),
        shape=[8],
    )
    check(net, {"input": draw.spikes(3, 400, (8,))}, DT)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize(
    "stride, padding, dilation, groups, kernel",
    [(1, 0, 1, 1, (3, 3)), (2, 1, 1, 1, (5, 5)), ((1, 2), (2, 0), 1, 2, (3, 2)),
     (1, (1, 2), (2, 1), 4, (2, 3)), (1, "same", 1, 1, (3, 4)), (1, "valid", 1, 1, (2, 2))],
)  # fmt: skip
def test_convolutions(stride, padding, dilation, groups, kernel, seed):  # noqa: PLR0917
    draw = Draw(seed)
    weight = draw.rng.normal(0.15, 0.5, (8, 4 // groups, *kernel))
    conv = nir.Conv2d((9, 11), weight, stride, padding, dilation, groups, draw.uniform(-0.05, 0.1, 8))
    like = torch_shape(conv, (4, 9, 11))
    net = chain(conv, draw.neuron(*like), shape=[4, 9, 11])
    check(net, {"input": draw.spikes(2, 200, (4, 9, 11))}, DT)


def torch_shape(conv, shape):
    return tuple(interpreter.Cell(conv, DT).step(torch.zeros(1, *shape, dtype=torch.float64)).shape[1:])


@pytest.mark.parametrize("padding, stride", [(0, 1), (2, 2), ("same", 1)])
def test_convolution_over_a_line(padding, stride):
    draw = Draw(7)
    conv = nir.Conv1d(
        20, draw.rng.normal(0.2, 0.6, (6, 3, 5)), stride, padding, 1, 1, draw.uniform(-0.05, 0.1, 6)
    )
    length = 20 if padding == "same" else (20 + 2 * padding - 5) // stride + 1
    net = chain(conv, draw.lif(6, length), shape=[3, 20])
    check(net, {"input": draw.spikes(3, 200, (3, 20))}, DT)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_convolutional_net_with_pooling_scale_and_flatten(seed):
    """Pooling before and behind spikes, and runs of linear nodes of mixed kinds between two populations."""
    draw = Draw(seed)
    net = chain(
        nir.SumPool2d(np.array([2, 2]), np.array([2, 2]), np.array([0, 0])),
        nir.Conv2d(
            (6, 6), draw.rng.normal(0.05, 0.3, (6, 2, 3, 3)), 1, 1, 1, 1, draw.uniform(-0.05, 0.05, 6)
        ),
        nir.Scale(draw.uniform(0.5, 1.5, (6, 6, 6))),
        draw.lif(6, 6, 6),
        nir.AvgPool2d(np.array([2, 2]), np.array([2, 2]), np.array([1, 1])),
        nir.Conv2d((4, 4), draw.rng.normal(0.2, 0.5, (5, 6, 2, 2)), 1, 0, 1, 1, draw.uniform(-0.05, 0.05, 5)),
        draw.integrate_and_fire(5, 3, 3),
        nir.Flatten({"input": np.array([5, 3, 3])}, 0, -1),
        draw.affine(12, 45),
        nir.Scale(np.array(1.3)),
        draw.affine(10, 12),
        draw.cuba_lif(10),
        shape=[2, 12, 12],
    )
    check(net, {"input": draw.spikes(2, 200, (2, 12, 12))}, DT)


@pytest.mark.parametrize("model", ["LI", "CubaLI", "I"])
def test_read_outs_give_their_membranes(model):
    draw = Draw(3)
    shape = (7,)
    read_out = {
        "LI": lambda: nir.LI(
            draw.uniform(5e-3, 50e-3, shape), draw.uniform(0.5, 2, shape), draw.uniform(-1, 1, shape)
        ),
        "CubaLI": lambda: nir.CubaLI(
            draw.uniform(1e-3, 9e-3, shape), draw.uniform(5e-3, 50e-3, shape), draw.uniform(0.5, 2, shape),
            draw.uniform(-1, 1, shape), draw.uniform(0.5, 2, shape),
        ),
        "I": lambda: nir.I(draw.uniform(0.5, 2, shape)),
    }[model]()  # fmt: skip
    net = chain(draw.affine(16, 12), draw.lif(16), draw.affine(7, 16), read_out, shape=[12])
    result = check(net, {"input": draw.spikes(3, 200, (12,))}, DT)
    assert result.neuron_steps > 0


def test_spikes_that_reach_neurons_without_weights():
    draw = Draw(5)
    net = chain(
        draw.lif(9),
        Identity({"input": np.array([9]), "output": np.array([9])}),
        draw.integrate_and_fire(9),
        shape=[9],
    )
    check(net, {"input": draw.spikes(3, 200, (9,), 0.3)}, DT)


@pytest.mark.parametrize("shape", [(12,), (2, 6, 7)])
def test_graded_input_is_multiplied(shape):
    draw = Draw(11)
    if len(shape) == 1:
        first, width = [draw.affine(16, 12, 0.2), draw.lif(16)], 16
    else:
        conv = nir.Conv2d(
            shape[1:], draw.rng.normal(0.03, 0.1, (3, 2, 3, 3)), 1, 0, 1, 1, draw.uniform(0, 0.1, 3)
        )
        first, width = [conv, draw.lif(3, 4, 5), nir.Flatten({"input": np.array([3, 4, 5])}, 0, -1)], 60
    net = chain(*first, draw.affine(8, width), draw.cuba_lif(8), shape=shape)
    net.nodes["input"].metadata = {"message_bits": 8}
    graded = draw.rng.integers(-20, 25, (3, 200, *shape)) * draw.spikes(3, 200, shape)
    check(net, {"input": graded.astype(np.int32)}, DT)


@pytest.mark.parametrize(
    "seed", [*range(12), *(pytest.param(k, marks=pytest.mark.slow) for k in range(12, 500))]
)
@pytest.mark.parametrize("reset", ["zero", "subtract"])
def test_random_networks(seed, reset):
    """Random layered graphs: mixed neurons, plain and delayed edges, self-recurrence, several sources."""
    draw, rng = Draw(100 + seed), np.random.default_rng(seed)
    sizes = rng.integers(6, 24, rng.integers(3, 6))
    nodes = {"input": nir.Input(np.array([14])), "output": nir.Output(np.array([sizes[-1]]))}
    edges, feedback = [], []
    sources = [("input", 14)]
    for i, size in enumerate(sizes):
        nodes[f"p{i}"] = draw.neuron(size)
        last = sources[-1]
        gain = 1.1 if reset == "zero" else 0.6  # what subtraction leaves lets neurons fire more
        for source, width in sorted({last, *(s for s in sources if rng.random() < 0.4)}):
            name = f"w_{source}_{i}"
            nodes[name] = (draw.affine if rng.random() < 0.5 else draw.linear)(size, width, gain)
            entry = name
            if rng.random() < 0.3:
                entry = f"d_{source}_{i}"
                nodes[entry] = nir.Delay(rng.integers(0, 9, width) * DT)
                edges.append((entry, name))
            leave = name
            if rng.random() < 0.3:  # constants begin as late as spikes do
                leave = f"l_{source}_{i}"
                nodes[leave] = nir.Delay(rng.integers(0, 5, size) * DT)
                edges.append((name, leave))
            edges += [(source, entry), (leave, f"p{i}")]
        if rng.random() < 0.5:
            nodes[f"r{i}"] = draw.affine(size, size, 0.5)
            edges += [(f"p{i}", f"r{i}"), (f"r{i}", f"p{i}")]
            feedback.append((f"r{i}", f"p{i}"))
        sources.append((f"p{i}", size))
    edges.append((f"p{len(sizes) - 1}", "output"))
    check(graph(nodes, edges), {"input": draw.spikes(3, 200, (14,))}, DT, feedback, reset=reset)


@pytest.mark.slow
def test_ten_million_neuron_steps():
    total = 0
    for seed in range(40):
        draw = Draw(1000 + seed)
        net = graph(
            {
                **vector_io(64, 64),
                "fc": draw.affine(128, 64, 0.5),
                "lif": draw.neuron(128),
                "rec": draw.linear(128, 128, 0.2),
                "up": draw.affine(96, 128, 0.3),
                "two": draw.neuron(96),
                "out": draw.affine(64, 96, 0.3),
                "spk": draw.neuron(64),
            },
            [
                ("input", "fc"), ("fc", "lif"), ("lif", "rec"), ("rec", "lif"), ("lif", "up"), ("up", "two"),
                ("two", "out"), ("out", "spk"), ("spk", "output"),
            ],
        )  # fmt: skip
        total += check(net, {"input": draw.spikes(5, 200, (64,))}, DT, [("rec", "lif")]).neuron_steps
    assert total >= 10**7
