"""Layouts of samples over Lava runs."""

from __future__ import annotations

import lava_nets as nets
import numpy as np
import pytest

from snn_deploy.deploy.lava.job import lay_out, take_apart
from snn_deploy.deploy.lava.plan import make_plan
from snn_deploy.network.quantised import QuantisedNetwork


def _network(recurrent: bool, input_delay: int = 0) -> QuantisedNetwork:
    rng = np.random.default_rng(0)
    edges = [nets.projection("x", "a", nets.dense(6, 4, rng), input_delay)]
    if recurrent:
        edges.append(nets.projection("a", "a", nets.dense(6, 6, rng), 1))
    return nets.artifact({"x": (4,)}, [nets.population("a", 6, rng)], edges, ("a",)).network


@pytest.mark.parametrize("samples", [1, 5, 6, 7])
@pytest.mark.parametrize("copies", [1, 3])
@pytest.mark.parametrize("input_delay", [0, 2])
def test_samples_come_back_as_they_went(samples: int, copies: int, input_delay: int) -> None:
    plan = make_plan(_network(False, input_delay), samples, 10, copies=copies)
    raster = np.random.default_rng(1).integers(0, 2, (samples, 10, 4)).astype(np.uint8)
    rows = lay_out(raster, plan)
    assert rows.shape == (plan.rows, plan.copies * 4) and plan.runs == 1
    np.testing.assert_array_equal(take_apart(rows, plan)[:samples], raster)
    gaps = np.delete(rows, [c * plan.interval + t for c in range(plan.chunks) for t in range(10)], axis=0)
    assert not gaps.any() and len(gaps) == (plan.chunks - 1) * input_delay


def test_an_input_delay_leaves_a_gap_between_samples() -> None:
    assert make_plan(_network(False, 2), 6, 10, "stream").interval == 12


def test_recurrent_samples_share_no_run() -> None:
    plan = make_plan(_network(True), 7, 10, copies=3)
    assert (plan.copies, plan.chunks, plan.runs, plan.strategy) == (3, 1, 3, "block")


def test_auto_takes_as_many_copies_as_there_are_samples() -> None:
    assert make_plan(_network(False), 7, 10).copies == 7
    assert make_plan(_network(True), 7, 10).runs == 1
