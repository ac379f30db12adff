"""The quantisation benchmark: its arithmetic, one network end to end, and (slow) the whole target table."""

from __future__ import annotations

import json

import numpy as np
import pytest

from snn_deploy.benchmarks.studies.quantisation import measure, subjects
from snn_deploy.benchmarks.studies.quantisation import runner as quantisation
from snn_deploy.benchmarks.studies.quantisation.targets import FEED_FORWARD, HEAVY_STRONG, TARGETS, Target
from snn_deploy.convert.calibration import observe
from snn_deploy.convert.quantise import Quantiser
from snn_deploy.convert.quantise.search import Search
from snn_deploy.errors import VerificationMismatch
from snn_deploy.hw_profiles import load

PROFILE = load("loihi2")


@pytest.fixture(scope="module")
def feed_forward() -> subjects.Subject:
    return subjects.trained(0, 300, recurrent=False)


@pytest.mark.parametrize(("bits", "level"), [(8, 1), (4, 5)])
def test_a_trained_network_keeps_to_its_targets(feed_forward, bits: int, level: int) -> None:
    subject = feed_forward
    exact = measure.exact_rasters(subject)
    evidence = observe(subject.network, PROFILE, {subject.input: subject.calibration})
    quantiser = Quantiser(subject.network, PROFILE, evidence, bits)
    network = Search(quantiser).at(dict.fromkeys(subject.nodes, level)).network
    integer = measure.integer_rasters(subject, network)
    found = measure.spike_metrics(subject, exact, integer) | measure.task_metrics(subject, exact, integer)
    assert found["accuracy, float"].mean() > 0.9
    assert 0.02 < exact[subject.hidden[0]].mean() < 0.3
    assert found["hidden count error"].mean() > 0  # integers are not the float network
    mine = [t for t in TARGETS if (t.subject, t.bits, t.level) == (FEED_FORWARD, bits, str(level))]
    assert {target.metric for target in mine} == {"hidden count error", "task loss"}
    for target in mine:
        assert target.holds(float(found[target.metric].mean())), target
    # the same error, from the definition
    last = subject.hidden[-1]
    difference = exact[last].astype(int).sum(axis=1) - integer[last].astype(int).sum(axis=1)
    wanted = np.abs(difference).mean() / exact[last].astype(int).sum(axis=1).mean()
    assert found["hidden count error"].mean() == pytest.approx(wanted)


def test_calibration_and_test_inputs_differ(feed_forward) -> None:
    assert feed_forward.calibration.shape[1:] == feed_forward.test.shape[1:]
    for sample in feed_forward.calibration[:20]:
        assert not np.any(np.all(feed_forward.test == sample, axis=(1, 2)))


def test_events_are_counted_by_synapse_and_by_plane(feed_forward) -> None:
    subject = feed_forward
    exact = measure.exact_rasters(subject)
    quantiser = Quantiser(
        subject.network, PROFILE, observe(subject.network, PROFILE, {subject.input: subject.calibration})
    )
    single, signed = (quantiser.network(dict.fromkeys(subject.nodes, level)) for level in (0, 1))
    found = measure.event_ratios(exact, signed, single)

    def totals(network) -> tuple[int, int]:
        synops = messages = 0
        for plane in network.projections:
            spikes = exact[plane.source].astype(int).sum(axis=(0, 1))
            used = np.asarray(plane.connection.weight) != 0
            synops += int((used * spikes).sum())
            messages += int(spikes[used.any(axis=0)].sum())
        return synops, messages

    (synops, messages), (single_synops, single_messages) = totals(signed), totals(single)
    assert found["synaptic operations"].mean() == pytest.approx(synops / single_synops)
    assert found["axon messages"].mean() == pytest.approx(messages / single_messages)
    assert 1.9 < found["axon messages"].mean() <= 2


def test_a_target_knows_its_sense() -> None:
    assert Target("s", 8, "1", "m", "<=", 0.1).holds(0.1)
    assert not Target("s", 8, "1", "m", "<=", 0.1).holds(0.11)
    assert Target("s", 8, "1", "m", ">=", 0.1).holds(0.1)
    assert not Target("s", 8, "1", "m", ">=", 0.1).holds(0.09)
    assert not Target("s", 8, "1", "m", "|.| <=", 0.1).holds(-0.11)


def test_a_network_that_differs_from_lava_ends_the_benchmark() -> None:
    fact = {"subject": "x", "seed": 3, "bits": 8, "level": "1", "equal_to_lava": False}
    with pytest.raises(
        VerificationMismatch, match="x, seed 3, 8 bits, level 1: the integer network's spikes"
    ):
        quantisation.require_equal({"networks": [fact, {**fact, "equal_to_lava": True}]})
    quantisation.require_equal({"networks": [{**fact, "equal_to_lava": None}]})


def test_sensitivity_grows_with_what_the_weights_are_off(feed_forward, monkeypatch) -> None:
    exact = measure.exact_rasters(feed_forward)
    little = measure.sensitivity(feed_forward, exact)["hidden count error"].mean()
    monkeypatch.setattr(measure, "PERTURBATION", 0.03)
    much = measure.sensitivity(feed_forward, exact)["hidden count error"].mean()
    assert 0 < little < 0.01
    assert much > 3 * little


@pytest.mark.slow
def test_targets_hold_where_they_can_and_every_network_equals_lava(tmp_path) -> None:
    report = quantisation.run(2, stage=lambda line: None)
    quantisation.write(report, tmp_path)
    table = quantisation.render(json.loads((tmp_path / "report.json").read_text()))
    checked = [row for row in report["rows"] if row["target"] is not None]
    assert len(checked) == len(TARGETS)
    missed = {(row["subject"], row["metric"]) for row in checked if not row["holds"]}
    assert {metric for subject, metric in missed if subject != HEAVY_STRONG} <= {
        "synaptic operations",  # a heavier tail leaves fewer weights in the single plane to compare with
        "output count error",  # within 2 % of its limit
    }
    # a recurrence as strong as Norse's default magnifies any weight error
    assert (HEAVY_STRONG, "hidden count error") in missed
    assert table.count("MISSED") == len([row for row in checked if not row["holds"]])
    assert not report["targets_hold"]
    assert report["spikes_equal_lava"] is True
    assert len(report["networks"]) == 2 * 23
    assert all(row["n"] >= 400 for row in report["rows"])
