"""Timing of short runs on a machine that others use too."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any


def best_seconds(
    run: Callable[[], Any], budget: float, clock: Callable[[], float] = time.thread_time
) -> float:
    """Shortest of the runs that fit into ``budget`` seconds, at least one; one before is not counted.

    clock: by default the CPU time of the calling thread, which other processes cannot lengthen by taking
    the core away; give time.perf_counter where the work is done by other threads.
    """
    run()
    best, started, runs = float("inf"), time.perf_counter(), 0
    while runs < 1 or time.perf_counter() - started < budget:
        before = clock()
        run()
        best = min(best, clock() - before)
        runs += 1
    return best
