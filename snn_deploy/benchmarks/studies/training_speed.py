"""A training step against Norse's own time stepping, in one run, on one thread, as ratios.

A step is forward and backward of a tower, without the optimiser, which both share. CPU time of the
thread, so that a busy machine counts little; medians of interleaved repetitions.
"""

from __future__ import annotations

import importlib.metadata
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from statistics import median
from typing import Any

from snn_deploy.benchmarks.outcome import BenchOptions, Outcome, Stage

NAME = "training-speed"
_WIDTHS, _STEPS, _SAMPLES, _REPETITIONS = (256, 384, 512), 20, 128, 9
_QUICK_REPETITIONS = 3
_CASES = {
    "feed-forward": {"norm": False, "recurrent": False},
    "recurrent": {"norm": False, "recurrent": True},
    "feed-forward, batch norm": {"norm": True, "recurrent": False},
    "recurrent, batch norm": {"norm": True, "recurrent": True},
}


def study(options: BenchOptions, folder: Path, stage: Stage) -> Outcome:
    """Measure, and write report.json into ``folder``."""
    from snn_deploy.benchmarks.report import write_json

    stage(f"{len(_CASES)} kinds of tower")
    report = run(_QUICK_REPETITIONS if options.quick else _REPETITIONS)
    write_json(folder / "report.json", report)
    return Outcome(report, render, lambda: None)


def run(repetitions: int = _REPETITIONS) -> dict[str, Any]:
    """Seconds of a step, Norse's and ours, of each kind of tower, and their ratio with its quartiles.

    Raises BackendUnavailable where torch or Norse is missing.
    """
    from snn_deploy.convert.frontends.norse import import_norse

    import_norse()
    from snn_deploy.train.against_norse import training_steps
    from snn_deploy.train.loop import one_thread

    rows = {}
    with one_thread():
        for name, kind in _CASES.items():
            steps = training_steps(_WIDTHS, _STEPS, _SAMPLES, **kind)
            pairs = [(_seconds(steps.norse), _seconds(steps.ours)) for _ in range(repetitions + 1)][1:]
            ratios = sorted(theirs / ours for theirs, ours in pairs)
            rows[name] = {
                "norse_seconds": median(theirs for theirs, _ in pairs),
                "seconds": median(ours for _, ours in pairs),
                "ratio": median(ratios),
                "ratio_quartiles": [ratios[len(ratios) // 4], ratios[-1 - len(ratios) // 4]],
                "equal_spikes": steps.equal,
                "rates": list(steps.rates),
            }
    return {
        "study": NAME,
        "widths": list(_WIDTHS),
        "steps": _STEPS,
        "samples": _SAMPLES,
        "repetitions": repetitions,
        "threads": 1,
        "rows": rows,
        "versions": {name: importlib.metadata.version(name) for name in ("torch", "norse")},
    }


def render(record: Mapping[str, Any]) -> str:
    """The record as a table for a terminal."""
    widths = "-".join(map(str, record["widths"]))
    lines = [
        f"Forward and backward, {widths}, {record['steps']} steps, batch {record['samples']}, one thread; "
        f"CPU time, median of {record['repetitions']}",
        f"{'tower':26}{'Norse, ms':>10}{'ours, ms':>10}{'times':>8}  {'quartiles':14}{'equal spikes':>12}",
    ]
    for name, row in record["rows"].items():
        low, high = row["ratio_quartiles"]
        lines.append(
            f"{name:26}{1e3 * row['norse_seconds']:10.1f}{1e3 * row['seconds']:10.1f}{row['ratio']:8.2f}  "
            f"{f'{low:.2f} .. {high:.2f}':14}{row['equal_spikes']:12.6f}"
        )
    return "\n".join(lines) + "\n"


def _seconds(step: Callable[[], None]) -> float:
    begun = time.thread_time()
    step()
    return time.thread_time() - begun
