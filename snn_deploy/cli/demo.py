"""Train small, convert, run on Lava, recall and report, in minutes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from snn_deploy.cli.output import JsonOption, emit


def demo(
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder to write into.")] = Path("demo"),
    encoder: Annotated[str, typer.Option(help="lif or recurrent")] = "lif",
    as_json: JsonOption = False,
) -> None:
    """The whole path on real drawings and captions: ``bench emoji-captions --quick``."""
    from snn_deploy.benchmarks.bench import run_bench
    from snn_deploy.benchmarks.outcome import BenchOptions
    from snn_deploy.cli.output import stderr_console

    options = BenchOptions(encoder=encoder, quick=True)
    outcome = run_bench("emoji-captions", options, output, stderr_console().print)
    emit(outcome.report, as_json, outcome.text)
    outcome.verify()
