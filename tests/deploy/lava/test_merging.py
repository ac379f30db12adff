"""A node with many pairs of decays runs as one Lava process, and gives the spikes of its populations."""

from __future__ import annotations

from dataclasses import replace

import lava_nets as nets
import numpy as np
import pytest

from snn_deploy.convert.artifact import Artifact
from snn_deploy.deploy.backends.lava import LavaBackend
from snn_deploy.deploy.lava.merging import merge
from snn_deploy.deploy.lava.plan import Strategy
from snn_deploy.network.contract import ResetMode
from snn_deploy.network.quantised import QuantisedNetwork

GROUPS, NEURONS = 11, 3


def network(seed: int, *, recurrent: bool) -> QuantisedNetwork:
    """x -> a, in eleven groups that each have their own decays, threshold and exponents -> b."""
    rng = np.random.default_rng(seed)
    registers = [(int(rng.integers(-1, 4096)), int(rng.integers(4097))) for _ in range(GROUPS)]
    members = [
        replace(
            nets.population(f"a#{k}", NEURONS, rng, du=registers[k][0], dv=registers[k][1]),
            node="a",
            index=np.arange(GROUPS * NEURONS).reshape(NEURONS, GROUPS)[:, k],
            vth=int(rng.integers(60, 300)),
        )
        for k in range(GROUPS)
    ]
    edges = []
    for member in members:
        fan_in = nets.projection("x", member.name, nets.dense(NEURONS, 10, rng))
        edges.append(replace(fan_in, weight_exp=int(rng.integers(0, 3))))
        edges.append(replace(fan_in, name=f"{fan_in.name} again"))  # a second plane, alike in all
        edges.append(nets.projection(member.name, "b", nets.dense(8, NEURONS, rng)))
        if recurrent:
            edges += [
                nets.projection(other.name, member.name, nets.dense(NEURONS, NEURONS, rng), delay=1)
                for other in members[:: int(rng.integers(1, 4))]
            ]
    populations = [*members, nets.population("b", 8, rng)]
    return nets.artifact({"x": (10,)}, populations, edges, ("a", "b")).network


@pytest.mark.parametrize(
    ("strategy", "recurrent", "reset"),
    [("block", True, "zero"), ("stream", False, "zero"), ("stream", False, "subtract")],
    ids=["recurrent", "stream", "subtract"],
)
def test_merged_populations_equal_the_integer_equations(
    strategy: Strategy, recurrent: bool, reset: ResetMode
) -> None:
    whole = network(3, recurrent=recurrent)
    contract = replace(whole.contract, reset=reset)
    subtracting = tuple(replace(p, reset=reset) for p in whole.populations)
    whole = replace(whole, contract=contract, populations=subtracting)
    samples = nets.spikes(3, 20, 10, np.random.default_rng(5))
    found = LavaBackend(strategy=strategy).run(
        Artifact(whole, graph=None),
        {"x": samples},
        record=("a", "b"),  # type: ignore[arg-type]
    )
    assert found.notes["one_process_for"] == {"a (merged)": GROUPS}
    assert found.notes["lava_processes"] < 20
    expected = nets.reference(whole, {"x": samples})
    a = np.empty((3, 20, GROUPS * NEURONS), dtype=np.uint8)
    for member in whole.populations[:-1]:
        a[:, :, member.index] = expected[member.name]
    np.testing.assert_array_equal(found.spikes["a"], a)
    np.testing.assert_array_equal(found.spikes["b"], expected["b"])
    trains = {train.tobytes() for train in a.reshape(-1, GROUPS * NEURONS).T}
    assert len(trains) > GROUPS and 0.02 < a.mean() < 0.7 and expected["b"].any()


def test_few_populations_and_sums_that_are_shifted_down_keep_their_own_processes() -> None:
    whole = network(4, recurrent=False)
    assert merge(whole, few=GROUPS).network is whole
    edges = (replace(whole.projections[0], weight_exp=-1), *whole.projections[1:])
    assert not merge(replace(whole, projections=edges)).members
