"""Running a benchmark by its task's name and writing its report."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from snn_deploy.benchmarks import emoji_bench, emoji_pictures
from snn_deploy.benchmarks.emoji_bench import BenchOptions, BenchResult, Stage
from snn_deploy.benchmarks.report import write_report
from snn_deploy.benchmarks.tasks import emoji_captions
from snn_deploy.errors import UsageError


def run_bench(task: str, options: BenchOptions, folder: Path, stage: Stage) -> BenchResult:
    """Run ``task`` and write report.json and report.html into ``folder``; the report names its page.

    stage is called with a line as each part begins. Raises UsageError for an unknown task.
    """
    if task != emoji_captions.NAME:
        raise UsageError("unknown task", where="TASK", found=task, allowed=emoji_captions.NAME)
    folder.mkdir(parents=True, exist_ok=True)
    result = emoji_bench.run(options, folder, stage)
    stage("drawing the report")
    page = write_report(folder, result.report, emoji_pictures.draw(result.report, result.deployed))
    return replace(result, report={**result.report, "page": str(page)})
