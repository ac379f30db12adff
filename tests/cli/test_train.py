import json

import pytest
import typer
from typer.testing import CliRunner

from snn_deploy.cli.train import train
from snn_deploy.errors import UsageError

app = typer.Typer()
app.command()(train)


def invoke(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def test_options_reach_the_training_and_json_is_alone_on_stdout(tmp_path, monkeypatch):
    seen = {}

    def train_task(*arguments, progress, **options):
        seen["arguments"] = (*arguments, *options.values())
        return {"model": str(arguments[1]), "loss": 1.5}

    monkeypatch.setattr("snn_deploy.benchmarks.training.train_task", train_task)
    out = tmp_path / "m.pt"
    result = invoke(
        "emoji-captions", "-o", out, "--encoder", "recurrent", "--epochs", 3, "--seed", 7, "--quick",
        "--set", "hidden=64", "--set", "weight-decay = 0.1", "--json", "--safetensors", "--restart",
        "--curve", tmp_path / "c.svg", "--data", tmp_path / "d.npz",
    )  # fmt: skip
    assert result.exit_code == 0
    target = tmp_path / "m.safetensors"
    assert json.loads(result.stdout) == {"model": str(target), "loss": 1.5}
    settings = {"hidden": "64", "weight_decay": "0.1"}
    options = ("recurrent", 3, 7, True, settings, tmp_path / "c.svg", True, tmp_path / "d.npz")
    wanted = ("emoji-captions", target, *options)
    assert seen["arguments"] == wanted


@pytest.mark.parametrize(
    ("arguments", "message"),
    [(["--set", "hidden"], "a setting is KEY=VALUE"), ([], "unknown task")],
)
def test_errors_are_those_of_the_package(tmp_path, arguments, message):
    result = invoke("none", "-o", tmp_path / "m.pt", *arguments)
    assert isinstance(result.exception, UsageError)
    assert message in str(result.exception)


def test_help_loads_neither_torch_nor_norse():
    import subprocess
    import sys

    code = (
        "import sys, snn_deploy.cli.train; print({'torch', 'norse', 'numpy', 'pydantic'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
