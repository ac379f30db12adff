"""Backend loihi2 without a board: what it says, and that its graph is the simulator's."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import lava_nets as nets
import numpy as np
import pytest

from snn_deploy.convert.artifact import Artifact
from snn_deploy.deploy import backends
from snn_deploy.deploy.backends import loihi2
from snn_deploy.deploy.lava.graph import process_graph
from snn_deploy.deploy.lava.interpreter import find_interpreter
from snn_deploy.deploy.lava.job import job_folder, lay_out, take_apart, write_job
from snn_deploy.deploy.lava.plan import make_plan
from snn_deploy.errors import BackendUnavailable

HERE = Path(__file__).parent
EXTENSION = HERE / "fake_extension"


def _artifact() -> Artifact:
    rng = np.random.default_rng(5)
    populations = [nets.population("a", 12, rng), nets.population("b", 9, rng)]
    edges = [
        nets.projection("x", "a", nets.dense(12, 10, rng)),
        nets.projection("a", "a", nets.dense(12, 12, rng), delay=1),
        nets.projection("a", "b", nets.dense(9, 12, rng)),
    ]
    return nets.artifact({"x": (10,)}, populations, edges, ("b",))


def _inputs(samples: int = 1) -> dict[str, Any]:
    return {"x": nets.spikes(samples, 24, 10, np.random.default_rng(6))}


@pytest.fixture
def with_extension(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """The fake extension on the child's path, and an Ethernet host that answers Lava's ping."""
    ping = tmp_path / "ping"
    ping.write_text("#!/bin/sh\nexit 0\n", encoding="utf-8")
    ping.chmod(0o755)
    monkeypatch.setenv("PATH", os.pathsep.join([str(tmp_path), os.environ["PATH"]]))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(EXTENSION), os.environ.get("PYTHONPATH", "")]))
    monkeypatch.setenv(loihi2.HOST_VARIABLE, "127.0.0.1")
    loihi2._missing_modules.cache_clear()
    yield
    loihi2._missing_modules.cache_clear()


def test_all_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(loihi2.HOST_VARIABLE, raising=False)
    monkeypatch.setenv(loihi2.CHIP_VARIABLE, "N9")
    with pytest.raises(BackendUnavailable) as caught:
        backends.get("loihi2").run(_artifact(), _inputs())
    assert caught.value.exit_code == 5
    assert [violation.where for violation in caught.value.violations] == [
        find_interpreter().path,
        loihi2.HOST_VARIABLE,
        loihi2.CHIP_VARIABLE,
    ]
    assert "no lava.utils.loihi2_profiler, no lava.proc.embedded_io.spike" in str(caught.value)


@pytest.mark.skipif(
    find_interpreter().path != sys.executable, reason="another Python does not see PYTHONPATH"
)
@pytest.mark.usefixtures("with_extension")
def test_a_process_without_a_hardware_model_is_named() -> None:
    """The fake extension is there, so the run starts, finds no model for the chip, and says for what."""
    backend = backends.get("loihi2")
    assert backend.availability().available
    with pytest.raises(BackendUnavailable, match="has no hardware model"):
        backend.run(_artifact(), _inputs())


def test_the_boards_graph_is_the_simulators(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the two backends hand to Lava differs in one word: the target, which picks the models."""
    seen: dict[str, tuple[Any, dict[str, bytes]]] = {}

    def capture(interpreter: Any, folder: Path, *_: Any) -> Any:
        job = json.loads((folder / "job.json").read_text(encoding="utf-8"))
        with np.load(folder / "arrays.npz") as arrays:
            seen[job.pop("target")] = (job, {key: arrays[key].tobytes() for key in arrays.files})
        raise KeyboardInterrupt

    monkeypatch.setattr("snn_deploy.deploy.lava.run.run_guarded", capture)
    monkeypatch.setattr(loihi2, "what_is_missing", list)
    for name in ("lava", "loihi2"):
        with pytest.raises(KeyboardInterrupt):
            backends.get(name).run(_artifact(), _inputs(2), batch=1)
    assert seen["simulator"] == seen["loihi2"]
    assert {process["kind"] for process in seen["loihi2"][0]["processes"]} == {
        "Source",
        "LIF",
        "Dense",
        "Sink",
    }


def test_the_adapters_board_models_carry_the_same_spikes() -> None:
    """Our SubProcessModels around CPU models, with adapters of the extension's ports, spike by spike."""
    artifact, inputs = _artifact(), _inputs()
    network = artifact.network
    plan = make_plan(network, 1, 24)
    expected = nets.reference(network, inputs)
    path = os.pathsep.join([str(EXTENSION), str(HERE.parents[2])])
    with job_folder() as folder:
        files = write_job(
            folder, process_graph(network, plan), plan, {"source x": lay_out(inputs["x"], plan)}, "loihi2"
        )
        done = subprocess.run(
            [find_interpreter().path, str(HERE / "board_on_cpu.py"), str(folder)],
            capture_output=True,
            text=True,
            check=False,
            timeout=100,
            env={**os.environ, "PYTHONPATH": path},
        )
        assert done.returncode == 0, done.stderr
        rasters = {name: take_apart(np.load(file), plan) for (name, _), file in files.items()}
    chosen = json.loads(done.stdout.splitlines()[-1])
    assert chosen["source x"] == "Loihi2SourceModel" and chosen["source x reader"] == "PyReaderModel"
    assert chosen["sink"] == "Loihi2SinkModel" and chosen["sink writer"] == "PyWriterModel"
    for name, raster in rasters.items():
        np.testing.assert_array_equal(raster, expected[name])
        assert len(set(raster.sum(axis=(0, 1)).tolist())) > 2


def test_auto_falls_back_and_says_so() -> None:
    artifact, inputs = _artifact(), _inputs(2)
    result = backends.get("auto").run(artifact, inputs, record=("b",))
    assert result.backend == "lava" and result.notes["requested"] == "auto"
    assert "extension for Loihi is not installed" in result.notes["fallback"]
    np.testing.assert_array_equal(result.spikes["b"], nets.reference(artifact.network, inputs)["b"])
    assert result.spikes["b"].any()


def test_the_command_line_lists_the_backends() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "snn_deploy", "backends", "--json"], capture_output=True, text=True, check=True
    )
    rows = {row["name"]: row for row in json.loads(done.stdout)["backends"]}
    assert rows["loihi2"]["available"] is False and "lava.proc.embedded_io" in rows["loihi2"]["reason"]
    assert rows["lava"]["available"] is True
