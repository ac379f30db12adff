"""Running a benchmark by its task's name and writing its report."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from snn_deploy.benchmarks import emoji_bench, emoji_pictures
from snn_deploy.benchmarks.emoji_bench import BenchOptions, Stage
from snn_deploy.benchmarks.report import write_report
from snn_deploy.benchmarks.tasks import emoji_captions
from snn_deploy.errors import UsageError


def run_bench(task: str, options: BenchOptions, folder: Path, stage: Stage) -> tuple[dict[str, Any], Path]:
    """Run ``task`` and write report.json and report.html into ``folder``; returns (report, page).

    stage is called with a line as each part begins. Raises UsageError for an unknown task.
    """
    if task != emoji_captions.NAME:
        raise UsageError("unknown task", where="TASK", found=task, allowed=emoji_captions.NAME)
    folder.mkdir(parents=True, exist_ok=True)
    report, deployed = emoji_bench.run(options, folder, stage)
    stage("drawing the report")
    return report, write_report(folder, report, emoji_pictures.draw(report, deployed))
