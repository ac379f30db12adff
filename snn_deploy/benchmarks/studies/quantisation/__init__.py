"""Count errors, cost and retrieval of quantised networks against float, at 8 and 4 bits."""

from __future__ import annotations

from pathlib import Path

from snn_deploy.benchmarks.outcome import BenchOptions, Outcome, Stage


def study(options: BenchOptions, folder: Path, stage: Stage) -> Outcome:
    """Quantise, measure, compare with Lava, and write report.json into ``folder``."""
    from snn_deploy.benchmarks.studies.quantisation import runner

    report = runner.run(
        options.seeds, first_seed=options.seed, quick=options.quick, parity=options.certify, stage=stage
    )
    runner.write(report, folder)
    return Outcome(report, runner.render, lambda: runner.require_equal(report))
