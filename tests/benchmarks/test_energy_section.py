"""The energy section of a report: what it says with prices, without them, and by inheritance."""

from __future__ import annotations

import json

import numpy as np
import pytest

from snn_deploy.benchmarks.energy import priced_run
from snn_deploy.benchmarks.task import Workload
from snn_deploy.convert.conversion import Options, convert_graph
from snn_deploy.deploy import backends
from snn_deploy.hw_profiles.counts import HostCounts
from tests.nir_models import two_layers

WORK = Workload(
    split="unseen",
    item="one item",
    inputs={},
    queries=(),
    stored_items=40,
    raw_dimensions=300,
    host=HostCounts(queries=4, distance_macs=3200, hebbian_updates=0, bytes_touched=12800),
    work=lambda: None,
    macs_per_query={},
)


@pytest.fixture(scope="module")
def run():
    artifact = convert_graph(two_layers((20, 30, 20)), Options(profile="loihi1", dt=1e-3, reset="zero"))
    inputs = {"in": (np.random.default_rng(1).random((4, 25, 20)) < 0.3).astype(np.uint8)}
    return artifact.network, backends.get("fixed").run(artifact, inputs), inputs


def test_a_priced_chip_gives_intervals_and_the_cost_of_a_correct_recall(run) -> None:
    network, result, inputs = run
    section = priced_run(network, result, inputs, "loihi1", WORK, 0.5, "correct recall")
    assert json.loads(json.dumps(section, allow_nan=False, default=list))
    assert section["counts"]["total"]["synops"] == result.synops > 1000
    assert section["neurobench_compatible"]["SynapticOperations"]["Effective_ACs"] == result.synops / 4
    priced = section["priced"]
    item, correct = priced["per_item"]["total"], priced["per_correct"]["total"]
    assert correct["nominal"] == pytest.approx(2 * item["nominal"])
    assert 0 < item["low"] < item["nominal"] < item["high"]
    assert section["inherited"] == {}
    assert "a correct recall by the cores of loihi1" in section["statement"]
    names = [row["name"] for row in section["baselines"]]
    assert names == [
        "dense ANN, fp32",
        "dense ANN, int8",
        "quantised network, 5 bit",
        "FAISS on raw embeddings",
    ]
    assert section["baselines"][3]["macs"] == 12_000
    assert section["host_energy"]["status"] in {"measured", "not measured"}


def test_loihi2_is_unavailable_and_inherits_under_a_label(run) -> None:
    network, result, inputs = run
    section = priced_run(network, result, inputs, "loihi2", WORK, 0.5, "correct recall")
    assert section["priced"]["marginal"] == "unavailable"
    assert set(section["priced"]["per_correct"].values()) == {"unavailable"}
    heir = section["inherited"]["loihi1"]
    assert {term["label"] for term in heir["terms"] if term["joules"] != "unavailable"} == {
        "inherited from loihi1"
    }
    assert heir["total"] == "unavailable"
    assert section["statement"].startswith("unavailable: no public source prices an operation of loihi2")
    assert "inherited from loihi1" in section["statement"]
    low, _, high = section["latency"]["item"]
    assert 0 < low < high


def test_a_chip_without_prices_or_donors_says_so(run) -> None:
    network, result, inputs = run
    section = priced_run(network, result, inputs, "speck", WORK, 0.5, "correct recall")
    assert section["statement"] == "unavailable: no public source prices an operation of speck"
