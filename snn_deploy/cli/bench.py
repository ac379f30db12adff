"""Run a benchmark task and write report.json and report.html."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from snn_deploy.cli.output import JsonOption, emit


def bench(
    task: Annotated[str, typer.Argument(help="emoji-captions, quantisation or speed")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder to write into.")] = Path("bench"),
    encoder: Annotated[str, typer.Option(help="lif or recurrent")] = "lif",
    profile: Annotated[str, typer.Option(help="Hardware profile, a name or a TOML file.")] = "loihi2",
    seeds: Annotated[int, typer.Option(min=1, help="Networks to train, from --seed upward.")] = 1,
    seed: Annotated[int, typer.Option(min=0, help="First seed.")] = 0,
    quick: Annotated[bool, typer.Option("--quick", help="Less training, fewer samples.")] = False,
    parity: Annotated[bool, typer.Option(help="Compare with real Lava.")] = True,
    as_json: JsonOption = False,
) -> None:
    """Train, convert, certify against Lava, recall, and report with intervals and baselines."""
    from snn_deploy.benchmarks.outcome import BenchOptions
    from snn_deploy.benchmarks.runner import run_bench
    from snn_deploy.cli.output import stderr_console

    options = BenchOptions(encoder, profile, seeds, seed, quick, parity)
    outcome = run_bench(task, options, output, stderr_console().print)
    emit(outcome.report, as_json, outcome.text)
    outcome.verify()
