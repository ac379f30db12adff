"""An artifact and a run of it, assessed: the counts are the run's own."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from snn_deploy.convert.artifact import Artifact
from snn_deploy.convert.conversion import Options, convert_graph
from snn_deploy.convert.footprint import describe
from snn_deploy.deploy import backends
from snn_deploy.deploy.activity import activity_of_run
from snn_deploy.deploy.fitting import assess_artifact, assess_run, draw_grid
from snn_deploy.errors import UsageError
from snn_deploy.hw_profiles.assessment import Choices
from snn_deploy.hw_profiles.counts import HostCounts
from tests.nir_models import two_layers

SIZES = (30, 40, 20)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Artifact, dict[str, np.ndarray]]:
    rng = np.random.default_rng(0)
    graph = two_layers(SIZES, taus=2)
    artifact = convert_graph(graph, Options(profile="loihi1", dt=1e-3, reset="zero"))
    path = tmp_path_factory.mktemp("fitting") / "m.snn"
    artifact.save(path)
    inputs = {"in": (rng.random((5, 30, SIZES[0])) < 0.2).astype(np.uint8)}
    np.savez(path.with_suffix(".npz"), spikes=inputs["in"])
    return path, artifact, inputs


@pytest.mark.parametrize("recorded", [True, False])
def test_activity_is_that_of_the_run(model: tuple, recorded: bool) -> None:
    _, artifact, inputs = model
    assert len(artifact.network.populations) == 3
    result = backends.get("fixed").run(artifact, inputs, record=["a", "b"] if recorded else [])
    activity = activity_of_run(artifact.network, result, inputs)
    assert (activity.samples, activity.steps) == (5, 30)
    np.testing.assert_array_equal(activity.spikes["in"], inputs["in"].sum(axis=(0, 1)))
    layers = {layer.name: layer for layer in result.layers}
    for node in ("a", "b"):
        members = [p for p in artifact.network.populations if p.node == node]
        total = sum(activity.spikes[p.name].sum() for p in members)
        assert total == pytest.approx(layers[node].spikes)
        assert total > 50
        assert activity.counted[node] == (
            layers[node].spikes,
            layers[node].synops,
            layers[node].synops_stored,
        )
        if recorded:
            raster = result.spikes[node].reshape(5, 30, -1).sum(axis=(0, 1))
            for p in members:
                np.testing.assert_array_equal(activity.spikes[p.name], raster[p.index])
            assert len(np.unique(raster)) > 3


def test_counts_by_description_equal_the_runs_own(model: tuple) -> None:
    """No spike is lost in a feed-forward run, so spikes times fan-out are the run's synaptic operations."""
    _, artifact, inputs = model
    result = backends.get("fixed").run(artifact, inputs, record=["a", "b"])
    activity = activity_of_run(artifact.network, result, inputs)
    network = describe(artifact.network)
    for node in ("a", "b"):
        targets = {layer.name for layer in network.layers if layer.node == node}
        groups = [group for group in network.groups if group.target in targets]
        nonzero = sum(float(activity.spikes[g.source] @ g.fan_out) for g in groups)
        assert nonzero == next(layer.synops for layer in result.layers if layer.name == node) > 1000


def test_an_assessed_run_carries_counts_host_work_and_labels(model: tuple) -> None:
    _, artifact, inputs = model
    result = backends.get("fixed").run(artifact, inputs)
    host = HostCounts(queries=5, distance_macs=1000, hebbian_updates=10, bytes_touched=4000)
    answer = assess_run(artifact.network, result, inputs, "loihi2", inherit="loihi1", host=host)
    assert answer.counts.synops == result.synops
    assert answer.counts.spikes == result.total_spikes
    assert answer.counts.host == host
    assert "counted in a run on 'fixed'" in answer.counts.origin
    assert answer.energy.label == "inherited from loihi1"
    assert answer.fit.fits
    record = answer.as_dict()
    assert record["energy"]["floor"] == "unavailable"
    assert record["counts"]["per_item"]["synops"] == pytest.approx(result.synops / 5)
    assert record["break_even"]["bits"] == 5


def test_a_file_is_assessed_by_its_input_or_by_an_assumed_rate(model: tuple) -> None:
    path, artifact, inputs = model
    counted = assess_artifact(path, "loihi1", Choices(), spikes_in=path.with_suffix(".npz"))
    result = backends.get("fixed").run(artifact, inputs)
    assert counted.counts.synops == result.synops
    assumed = assess_artifact(path, "loihi1", Choices(), rate=0.1, steps=20)
    assert assumed.counts.spikes == pytest.approx(0.1 * 20 * 60)
    assert "assumed" in assumed.counts.origin


def test_no_picture_of_a_chip_without_a_mesh(model: tuple, tmp_path: Path) -> None:
    answer = assess_artifact(model[0], "truenorth", Choices())
    with pytest.raises(UsageError, match="no mesh"):
        draw_grid(answer, tmp_path / "x.png")
