"""A user's own task by its path: the README's digits, end to end, and every way to err."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from snn_deploy import cli
from snn_deploy.benchmarks import record

pytest.importorskip("sklearn")
pytest.importorskip("torch")

Verb = Callable[..., int]


def call(*arguments: object) -> int:
    with pytest.raises(SystemExit) as end:
        cli.main([str(argument) for argument in arguments])
    assert isinstance(end.value.code, int)
    return end.value.code


@pytest.fixture(scope="module")
def source(root: Path) -> str:
    readme = (root / "README.md").read_text(encoding="utf-8")
    block = re.search(r"<!-- task: .*?-->\n```python\n(.*?)```", readme, re.DOTALL)
    assert block is not None
    return block.group(1)


@pytest.fixture(scope="module")
def folder(source: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with digits.py and the model that ``train`` made of it."""
    folder = tmp_path_factory.mktemp("own")
    (folder / "digits.py").write_text(source, encoding="utf-8")
    assert call("train", folder / "digits.py", "-o", folder / "digits.pt", "--quick") == 0
    return folder


@pytest.fixture(scope="module")
def run(folder: Path) -> Path:
    model = folder / "digits.pt"
    assert call("bench", folder / "digits.py", "--model", model, "-o", folder / "run", "--quick") == 0
    return folder / "run"


def test_the_task_of_the_readme_is_short(source: str) -> None:
    assert len(source.splitlines()) <= 60


def test_it_fires_beats_chance_and_equals_lava(run: Path) -> None:
    found = record.read(run)
    assert (found.task, found.about) == (
        "digits",
        "Handwritten digits of scikit-learn: which digit an 8x8 drawing shows",
    )
    assert found.config.model == "digits.pt"
    for engine in ("float", "fixed"):
        accuracy = found.metrics["test"]["accuracy"][engine]
        assert accuracy.n == found.n["test"] == 360
        assert accuracy.ci95[0] > 0.5 > 4 * found.chance["test"]["accuracy"]
    assert list(found.baselines["test"]) == ["most frequent class", "logistic regression"]
    assert found.baselines["test"]["logistic regression"]["accuracy"].value > 0.9
    assert found.activity["test"].spikes > 10
    assert found.parity is not None
    assert found.parity.equal
    assert all(layer.spikes > 0 for layer in found.parity.layers)
    page = (run / "report.html").read_text(encoding="utf-8")
    assert page.count("<svg") == 4
    assert "logistic regression" in page


def test_training_anew_gives_the_figures_of_the_model(folder: Path, run: Path) -> None:
    again = folder / "again"
    assert call("bench", folder / "digits.py", "-o", again, "--quick", "--no-parity") == 0
    trained, given = record.read(again), record.read(run)
    assert trained.metrics == given.metrics
    assert trained.baselines == given.baselines
    assert (trained.parity, trained.config.model) == (None, None)


def test_a_nir_graph_and_a_converted_model_are_taken(folder: Path, run: Path) -> None:
    given = record.read(run)
    graph, converted = folder / "digits.nir", folder / "digits.snn"
    assert call("convert", folder / "digits.pt", "-o", converted, "--export-nir", graph) == 0
    for model in (graph, converted):
        out = folder / model.suffix[1:]
        assert call("bench", folder / "digits.py", "--model", model, "-o", out, "--quick", "--no-parity") == 0
        assert (
            record.read(out).metrics["test"]["accuracy"]["float"]
            == given.metrics["test"]["accuracy"]["float"]
        )


def test_report_compares_its_runs(folder: Path, run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    twin = folder / "twin"
    twin.mkdir()
    (twin / "report.json").write_text((run / "report.json").read_text(encoding="utf-8"), encoding="utf-8")
    capsys.readouterr()
    assert call("report", run, twin, "-o", folder / "compared", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["task"], found["metric"]) == ("digits", "accuracy")
    assert found["fronts"]["synops"]["test"]["front"] == [str(run), str(twin)]
    assert (folder / "compared" / "comparison.html").is_file()


def broken(change: Callable[[str], str], said: str, *options: object) -> Any:
    return pytest.param(change, said, options, id=said)


@pytest.mark.parametrize(
    ("change", "said", "options"),
    [
        broken(lambda s: s.replace("    name =", "    nome ="), "the task lacks name"),
        broken(lambda s: s.replace("def load(", "def lode("), "the task lacks load"),
        broken(lambda s: s.replace('"digits"', '"My Digits"', 1), "found 'My Digits'"),
        broken(
            lambda s: s.replace("quick_recipe = recipe.changed(", "quick_recipe = dict("), "a Recipe(...)"
        ),
        broken(lambda s: s.replace("Recipe(hidden=64", "Recipe(hiden=64"), "raised an error"),
        broken(lambda s: s.replace("digits.data[rows]", "digits.data[rows][0:9]"), "one row an example"),
        broken(lambda s: s.replace("/ digits.data.max()", ""), "values in [0, 1]"),
        broken(lambda s: s.replace("/ digits.data.max()", "/ undefined"), "NameError"),
        broken(lambda s: s + "\nraise SystemExit(3)\n", "ends the program"),
        broken(lambda s: s + "\ndef (\n", "not valid Python"),
        broken(
            lambda s: s.replace("class Digits", "class Base").replace("(ClassificationTask)", ""),
            "found none",
        ),
        broken(lambda s: s.partition("\n")[2], "docstring"),
        broken(lambda s: s, "the model has its own encoder", "--model", "m.pt", "--encoder", "lif"),
        broken(lambda s: s, "one model is one network", "--model", "m.pt", "--seeds", 2),
        broken(lambda s: s, "no such file", "--model", "m.pt"),
        broken(lambda s: s, "no such model file", "--model", "m.nir"),
        broken(lambda s: s, "Give --model", "--dt", 0.001),
        broken(lambda s: s, "unknown encoder", "--encoder", "transformer"),
    ],
)
def test_what_is_wrong_is_one_error_that_names_the_file(  # noqa: PLR0917  fixtures and a case
    source: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    change: Callable[[str], str],
    said: str,
    options: tuple[object, ...],
) -> None:
    path = tmp_path / "mine.py"
    path.write_text(change(source), encoding="utf-8")
    assert call("bench", path, "-o", tmp_path / "out", "--quick", *options) == 2
    error = capsys.readouterr().err
    assert said in error
    assert "Traceback" not in error
    if not options:
        assert str(path) in error or "mine.py" in error


def test_a_path_that_is_not_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call("train", tmp_path / "none.py", "-o", tmp_path / "m.pt") == 2
    assert "no such task file" in capsys.readouterr().err


def test_a_killed_training_goes_on_with_the_same_result(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from snn_deploy.benchmarks.training import train_task
    from snn_deploy.train import checkpoint

    monkeypatch.setattr(checkpoint, "SECONDS", 0.0)
    model, told = tmp_path / "digits.pt", []

    def killed(epoch: Any) -> None:
        told.append(epoch.epoch)
        if len(told) == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_task(str(folder / "digits.py"), model, quick=True, progress=killed)
    assert (tmp_path / "digits.pt.training").exists() and not model.exists()
    curve = tmp_path / "curve.svg"
    assert call("train", folder / "digits.py", "-o", model, "--quick", "--curve", curve) == 0
    assert not (tmp_path / "digits.pt.training").exists() and "<svg" in curve.read_text()
    whole, resumed = (torch_arrays(path) for path in (folder / "digits.pt", model))
    assert whole and whole == resumed


def torch_arrays(path: Path) -> dict[str, bytes]:
    """Every array of a model by name, as bytes."""
    import torch

    arrays = torch.load(path, weights_only=True)["state_dict"]
    return {name: array.numpy().tobytes() for name, array in arrays.items()}


KILLED = """
import sys
from snn_deploy import cli
from snn_deploy.train import checkpoint
checkpoint.SECONDS = 0.0
write = checkpoint.Checkpoint.write
def told(self, run):
    write(self, run)
    print(run.position.epoch, run.position.batch, file=sys.stderr, flush=True)
checkpoint.Checkpoint.write = told
cli.main(sys.argv[1:])
"""


def kill_after(batches: int, *arguments: object) -> None:
    """Run the command line and kill -9 it once so many batches have been stored."""
    command = [sys.executable, "-c", KILLED, *map(str, arguments)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as child:
        assert child.stderr is not None
        for _ in range(batches):
            assert child.stderr.readline()
        child.send_signal(signal.SIGKILL)
    assert child.returncode == -signal.SIGKILL


@pytest.mark.slow  # tests/train/test_checkpoint.py kills a run in every pass
def test_train_after_kill_9_ends_with_the_arrays_of_an_uninterrupted_run(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model, state = tmp_path / "digits.pt", tmp_path / "digits.pt.training"
    arguments = ("train", folder / "digits.py", "-o", model, "--quick")
    kill_after(int(np.random.default_rng().integers(2, 150)), *arguments)  # of 184 batches
    assert state.exists() and not model.exists()
    assert call(*arguments, "--seed", 1) == 2
    error = capsys.readouterr().err
    assert "seed: the training state is of another run" in error and "--restart" in error
    assert state.exists()
    assert call(*arguments) == 0
    assert not state.exists()
    assert torch_arrays(model) == torch_arrays(folder / "digits.pt")


@pytest.mark.slow
def test_bench_after_kill_9_gives_the_figures_of_an_uninterrupted_run(folder: Path, run: Path) -> None:
    out = folder / "killed"
    arguments = ("bench", folder / "digits.py", "-o", out, "--quick", "--no-parity")
    kill_after(100, *arguments)
    assert (out / "model-0.pt.training").exists()
    assert call(*arguments) == 0
    assert not (out / "model-0.pt.training").exists()
    assert "<svg" in (out / "curve-0.svg").read_text(encoding="utf-8")
    assert record.read(out).metrics == record.read(run).metrics
    assert torch_arrays(out / "model-0.pt") == torch_arrays(folder / "digits.pt")


def test_a_curve_that_cannot_be_drawn_is_refused_before_training(folder: Path, tmp_path: Path) -> None:
    for curve in ("curve.txt", "none/curve.svg"):
        model = tmp_path / "m.pt"
        assert call("train", folder / "digits.py", "-o", model, "--quick", "--curve", tmp_path / curve) == 2
        assert not list(tmp_path.iterdir())
