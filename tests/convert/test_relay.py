"""Relays: no synapse waits longer than 62 steps, and every spike still arrives in its step."""

from __future__ import annotations

from itertools import pairwise

import nir
import numpy as np
import pytest

from snn_deploy.convert.conversion import Options, convert_graph
from snn_deploy.convert.lowering import lower
from snn_deploy.convert.passes.relay import relay_long_delays
from snn_deploy.convert.pipeline import prepare
from snn_deploy.engine import float as float_engine
from snn_deploy.engine.fixed.engine import FixedEngine
from snn_deploy.engine.fixed.pipelined import stream
from snn_deploy.errors import ModelNotSupported
from snn_deploy.network.contract import Contract
from snn_deploy.network.integers import LONGEST_DELAY
from snn_deploy.network.schedule import depths, lava_delay
from tests.equivalence.compare import check
from tests.equivalence.graphs import DT, Draw, chain, graph

CONTRACT = Contract(DT)


def delayed(steps, bits=0):
    draw = Draw(0)
    net = chain(nir.Delay(np.array(steps * DT)), draw.affine(6, 4), draw.lif(6), shape=[4])
    net.nodes["input"].metadata = {"message_bits": bits}
    return net


@pytest.mark.parametrize(
    ("steps", "relays"), [(0, 0), (61, 0), (62, 0), (63, 1), (125, 1), (126, 2), (600, 9)]
)
def test_as_many_relays_as_needed(steps, relays):
    network = relay_long_delays(lower(delayed(steps), CONTRACT))
    assert sum(p.name.startswith("relay:") for p in network.populations) == relays
    assert sum(e.delay for e in network.projections) == steps
    depth = depths(network)
    assert all(0 <= lava_delay(edge, depth) <= LONGEST_DELAY for edge in network.projections)


def test_long_delays_of_one_source_share_their_relays():
    draw = Draw(1)
    net = graph(
        {
            "in": nir.Input(np.array([4])),
            "d1": nir.Delay(np.array(100 * DT)),
            "d2": nir.Delay(np.array(90 * DT)),
            "w1": draw.linear(6, 4),
            "w2": draw.linear(6, 4),
            "lif": draw.lif(6),
            "out": nir.Output(np.array([6])),
        },
        [*pairwise(["in", "d1", "w1", "lif", "out"]), *pairwise(["in", "d2", "w2", "lif"])],
    )
    network = relay_long_delays(lower(net, CONTRACT))
    assert sum(p.name.startswith("relay:") for p in network.populations) == 1


def test_a_network_without_long_delays_is_handed_back():
    network = lower(delayed(5), CONTRACT)
    assert relay_long_delays(network) is network


def test_graded_spikes_cannot_be_relayed():
    with pytest.raises(ModelNotSupported, match="graded spikes cannot be delayed this long"):
        relay_long_delays(lower(delayed(63, bits=8), CONTRACT))


def deep(layers, skips, width=4):
    """input -> l0 -> l1 -> ... -> l(layers), and connections from ``skips`` straight into the last layer.

    All layers but the second and the last repeat their spikes, so activity lasts however deep the network is.
    """
    draw = Draw(7)
    repeat = {"r": np.full(width, 2.0), "v_leak": np.zeros(width), "v_reset": np.zeros(width)}
    nodes, path = {"input": nir.Input(np.array([width]))}, ["input"]
    for i in range(layers):
        weight = np.diag(np.linspace(0.4, 1.6, width) if i == 1 else np.full(width, 1.5))
        nodes |= {
            f"w{i}": nir.Linear(weight),
            f"l{i}": nir.LIF(np.full(width, 2 * DT), v_threshold=np.ones(width), **repeat),
        }
        path += [f"w{i}", f"l{i}"]
    z = nir.LIF(np.full(5, 8e-3), np.full(5, 12.0), np.zeros(5), np.full(5, 0.9), np.zeros(5))
    nodes |= {"last": draw.linear(5, width), "z": z, "output": nir.Output(np.array([5]))}
    edges = [*pairwise([*path, "last", "z", "output"])]
    for source in skips:
        nodes[f"skip_{source}"] = draw.linear(5, width)
        edges += [(source, f"skip_{source}"), (f"skip_{source}", "z")]
    return graph(nodes, edges)


@pytest.mark.parametrize(
    ("layers", "skips", "relays"),
    [
        (62, ("input",), 0),  # 62 steps: a synapse can wait as long
        (63, ("input",), 1),
        (70, ("input",), 1),
        (125, ("input",), 1),
        (126, ("input",), 2),
        (130, ("input", "l60"), 3),
        (130, ("l0", "l1", "l127"), 4),
    ],
)
def test_skips_over_many_layers_are_relayed_in_their_own_step(layers, skips, relays):
    network = prepare(deep(layers, skips), CONTRACT).network
    assert sum(p.name.startswith("relay:") for p in network.populations) == relays
    depth = depths(network)
    assert all(0 <= lava_delay(edge, depth) <= LONGEST_DELAY for edge in network.projections)
    assert sum(e.delay for e in network.projections) == 0


@pytest.mark.parametrize(("layers", "skips"), [(70, ("input", "l3")), (130, ("l0", "l40"))])
def test_relayed_skips_give_the_spikes_of_the_equations(layers, skips):
    """The interpreter knows no relays; the skips count."""
    net, spikes = deep(layers, skips), Draw(8).spikes(1, 80, (4,), 0.3)
    assert check(net, {"input": spikes}, DT).rates["z"] > 0.02
    network, without = (prepare(g, CONTRACT).network for g in (net, deep(layers, ())))
    rasters = [float_engine.run(n, {"input": spikes}).rasters["z"] for n in (network, without)]
    assert np.mean(rasters[0] != rasters[1]) > 0.02


def test_relayed_integers_keep_their_steps_on_lavas_time_line():
    integers = convert_graph(deep(70, ("input", "l3")), Options(dt=DT, reset="zero", level=0)).network
    depth, spikes = depths(integers), Draw(8).spikes(1, 80, (4,), 0.3)
    assert max(lava_delay(edge, depth) for edge in integers.projections) <= LONGEST_DELAY
    own = FixedEngine().run(integers, {"input": spikes}, record=["z"]).spikes["z"][0]
    late = stream(integers, {"input": spikes}).spikes
    for part in (p for p in integers.populations if p.node == "z"):
        np.testing.assert_array_equal(late[part.name][depth[part.name] :][:80], own[:, part.index])
    assert 0.02 < own.mean() < 0.6


def test_graded_spikes_cannot_skip_this_far():
    net = deep(70, ("input",))
    net.nodes["input"].metadata = {"message_bits": 8}
    with pytest.raises(
        ModelNotSupported, match=r"skip_input.*graded spikes cannot be delayed this long.*found 70"
    ):
        relay_long_delays(lower(net, CONTRACT))
