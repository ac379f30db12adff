"""Timing of short runs on a machine that others use too."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any


def best_seconds(run: Callable[[], Any], budget: float) -> float:
    """Shortest of the runs that fit into ``budget`` seconds, at least one; one before is not counted."""
    run()
    best, started, runs = float("inf"), time.perf_counter(), 0
    while runs < 1 or time.perf_counter() - started < budget:
        before = time.perf_counter()
        run()
        best = min(best, time.perf_counter() - before)
        runs += 1
    return best
