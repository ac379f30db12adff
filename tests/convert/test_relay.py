"""Relays: no synapse waits longer than 62 steps, and every spike still arrives in its step."""

from __future__ import annotations

from itertools import pairwise

import nir
import numpy as np
import pytest

from snn_deploy.convert.contract import Contract
from snn_deploy.convert.lowering import lower
from snn_deploy.convert.passes.relay import LONGEST_DELAY, relay_long_delays
from snn_deploy.convert.schedule import depths, lava_delay
from snn_deploy.errors import ModelNotSupported
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
