"""Our kernels, stock Lava and float peers on the same networks, in one run, as ratios."""

from __future__ import annotations

from pathlib import Path

from snn_deploy.benchmarks.outcome import BenchOptions, Outcome, Stage


def study(options: BenchOptions, folder: Path, stage: Stage) -> Outcome:
    """Measure, and write speed.json and report.html into ``folder``."""
    from snn_deploy.benchmarks.studies.speed.runner import run
    from snn_deploy.benchmarks.studies.speed.text import speed_text

    report = run(folder, stage, quick=options.quick, lava=options.certify)
    return Outcome(report, speed_text, lambda: None)
