"""Every fault of an .npz file is exit code 7 and one message on every verb that reads one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from snn_deploy import cli
from snn_deploy.convert.conversion import Options, convert_graph
from snn_deploy.convert.frontends.nir_file import write_graph
from tests.conformance.cases import case
from tests.npz_faults import FAULTS, whole

#: Verb and arguments; INPUT is the damaged file. What follows -o must not come to be.
VERBS = {
    "run": "run model.snn INPUT -o new",
    "fit": "fit model.snn --profile loihi2 --input INPUT",
    "parity": "parity model.snn INPUT --against float -o new",
    "convert": "convert graph.nir -o new --calibration INPUT",
    "memory store": "memory store store.sqlite INPUT --array spikes",
    "memory recall": "memory recall store.sqlite INPUT --array spikes",
    "memory chain": "memory chain store.sqlite INPUT --array spikes",
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    found = tmp_path_factory.mktemp("npz")
    graph = case("LIF").graph
    write_graph(found / "graph.nir", graph)
    convert_graph(graph, Options(level=0, seed=1)).save(found / "model.snn")
    return found


def call(folder: Path, line: str, monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.chdir(folder)
    with pytest.raises(SystemExit) as ended:
        cli.main(line.replace("INPUT", "input.npz").split())
    return int(ended.value.code or 0)


@pytest.fixture
def spikes(folder: Path, monkeypatch: pytest.MonkeyPatch) -> np.ndarray:
    (folder / "store.sqlite").unlink(missing_ok=True)
    assert call(folder, "memory create store.sqlite --dim 8", monkeypatch) == 0
    shape = case("LIF").inputs()["input"].shape[2:]
    return (np.random.default_rng(0).random((2, 9, *shape)) < 0.5).astype(np.uint8)


@pytest.mark.parametrize("verb", VERBS)
def test_every_fault_is_exit_code_7(
    folder: Path,
    spikes: np.ndarray,
    verb: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    capsys.readouterr()
    for name, damaged in FAULTS.items():
        (folder / "input.npz").write_bytes(damaged({"spikes": spikes}))
        code = call(folder, VERBS[verb], monkeypatch)
        said = capsys.readouterr()
        assert code == 7, (name, said.err)
        assert "input.npz" in said.err and "Traceback" not in said.err, name
        assert said.out == "" and not (folder / "new").exists(), name


@pytest.mark.parametrize("verb", ["run", "fit", "parity", "convert"])
def test_the_sound_file_is_read(
    folder: Path, spikes: np.ndarray, verb: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "input.npz").write_bytes(whole({"spikes": spikes}))
    assert call(folder, VERBS[verb], monkeypatch) == 0
    (folder / "new").unlink(missing_ok=True)
