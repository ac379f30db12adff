"""Timing of short runs on a machine that others use too."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any


def best_seconds(
    run: Callable[[], Any], budget: float, clock: Callable[[], float] = time.thread_time
) -> float:
    """Shortest of the runs that fit into ``budget`` seconds, at least one; one before is not counted.

    clock: by default the CPU time of the calling thread, which other processes cannot lengthen by taking
    the core away; give time.perf_counter where the work is done by other threads.
    """
    return best_of_each([run], budget, clock)[0]


def best_of_each(
    runs: Sequence[Callable[[], Any]], budget: float, clock: Callable[[], float] = time.thread_time
) -> list[float]:
    """Like :func:`best_seconds`, for several runs that are to be compared: they take turns."""
    for run in runs:
        run()
    best = [float("inf")] * len(runs)
    started, rounds = time.perf_counter(), 0
    while rounds < 1 or time.perf_counter() - started < budget:
        for i, run in enumerate(runs):
            best[i] = min(best[i], _seconds(run, clock))
        rounds += 1
    return best


def _seconds(run: Callable[[], Any], clock: Callable[[], float]) -> float:
    """Seconds of one run: of as many as it takes until the clock moves, since some tick only now and then."""
    before, runs = clock(), 0
    while True:
        run()
        runs += 1
        elapsed = clock() - before
        if elapsed > 0:
            return elapsed / runs
