"""Compare benchmark runs: scores, events and energy proxies side by side."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from snn_deploy.cli.output import JsonOption, emit


def report(
    folders: Annotated[list[Path], typer.Argument(metavar="DIR...", help="Folders of bench, one task's.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder to write into.")] = Path(
        "comparison"
    ),
    as_json: JsonOption = False,
) -> None:
    """Compare runs of one task; writes comparison.json and comparison.html."""
    from snn_deploy.benchmarks.report.comparison import compare, comparison_text

    emit(compare(folders, output), as_json, comparison_text)
