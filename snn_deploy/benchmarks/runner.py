"""Running a benchmark by its task's name. To add a task, write its function and name it here."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from snn_deploy.benchmarks.outcome import BenchOptions, Outcome, Stage
from snn_deploy.errors import UsageError

Task = Callable[[BenchOptions, Path, Stage], Outcome]


def run_bench(task: str, options: BenchOptions, folder: Path, stage: Stage) -> Outcome:
    """Run ``task`` and write its report into ``folder``; stage is called with a line as each part begins.

    Raises UsageError for an unknown task, and what the task raises.
    """
    if task not in _TASKS:
        raise UsageError("unknown task", where="TASK", found=task, allowed=", ".join(_TASKS))
    folder.mkdir(parents=True, exist_ok=True)
    return _TASKS[task](options, folder, stage)


def _emoji_captions(options: BenchOptions, folder: Path, stage: Stage) -> Outcome:
    from snn_deploy.benchmarks import emoji_bench

    return emoji_bench.run(options, folder, stage)


def _quantisation(options: BenchOptions, folder: Path, stage: Stage) -> Outcome:
    from snn_deploy.benchmarks.studies import quantisation

    report = quantisation.run(
        options.seeds, first_seed=options.seed, quick=options.quick, parity=options.certify, stage=stage
    )
    quantisation.write(report, folder)
    return Outcome(report, quantisation.render, lambda: quantisation.require_equal(report))


def _speed(options: BenchOptions, folder: Path, stage: Stage) -> Outcome:
    from snn_deploy.benchmarks import speed
    from snn_deploy.benchmarks.texts import speed_text

    report = speed.run(folder, stage, quick=options.quick, lava=options.certify)
    return Outcome(report, speed_text, lambda: None)


_TASKS: dict[str, Task] = {
    "emoji-captions": _emoji_captions,
    "quantisation": _quantisation,
    "speed": _speed,
}
