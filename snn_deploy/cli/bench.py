"""Run a benchmark task and write report.json and report.html."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from snn_deploy.cli.output import JsonOption, emit

_TASK_HELP = "A task, a study, or the path of your own task (.py); `snn-deploy tasks` lists them."


def bench(
    task: Annotated[str, typer.Argument(help=_TASK_HELP)],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder to write into.")] = Path("bench"),
    encoder: Annotated[
        str | None, typer.Option(help="Kind of spiking encoder, such as lif; the task's own by default.")
    ] = None,
    profile: Annotated[str, typer.Option(help="Hardware profile, a name or a TOML file.")] = "loihi2",
    seeds: Annotated[int, typer.Option(min=1, help="Networks to train, from --seed upward.")] = 1,
    seed: Annotated[int, typer.Option(min=0, help="First seed.")] = 0,
    quick: Annotated[bool, typer.Option("--quick", help="Less training, fewer samples.")] = False,
    parity: Annotated[bool, typer.Option(help="Compare with real Lava.")] = True,
    model: Annotated[
        Path | None,
        typer.Option(
            help="Take this trained model instead of training: .pt, .safetensors, .nir, or a converted .snn."
        ),
    ] = None,
    dt: Annotated[float | None, typer.Option(help="Seconds of a step, where --model states none.")] = None,
    reset: Annotated[
        str | None, typer.Option(help="Reset mode, where --model states none: zero or subtract.")
    ] = None,
    data: Annotated[
        Path | None, typer.Option(help="Folder of a study's data that no package brings.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Train, convert, certify against Lava, score, and report with intervals and baselines."""
    from snn_deploy.benchmarks.bench import run_bench
    from snn_deploy.benchmarks.outcome import BenchOptions
    from snn_deploy.cli.output import stderr_console

    options = BenchOptions(encoder, profile, seeds, seed, quick, parity, model, dt, reset, data)
    outcome = run_bench(task, options, output, stderr_console().print)
    emit(outcome.report, as_json, outcome.text)
    outcome.verify()
