"""Timing: the shortest run counts, runs that are compared take turns, and the first of each is not timed."""

from __future__ import annotations

from snn_deploy.timing import best_of_each, best_seconds


def test_runs_take_turns_and_the_shortest_counts() -> None:
    now = 0.0
    ran: list[str] = []
    lengths = {"a": iter([9.0, 3.0]), "b": iter([9.0, 5.0])}

    def run(name: str) -> None:
        nonlocal now
        ran.append(name)
        now += next(lengths[name])

    best = best_of_each([lambda: run("a"), lambda: run("b")], 0.0, lambda: now)
    assert ran == ["a", "b", "a", "b"]
    assert best == [3.0, 5.0]


def test_one_run_alone_is_repeated_until_the_budget_is_spent() -> None:
    ticks = iter(range(10**6))
    calls = []
    assert best_seconds(lambda: calls.append(None), 0.02, lambda: float(next(ticks))) == 1.0
    assert len(calls) > 2


def test_a_clock_that_ticks_now_and_then_gives_no_zero() -> None:
    runs = []

    def coarse() -> float:
        return float(len(runs) // 10)

    best = best_seconds(lambda: runs.append(None), 0.0, coarse)
    assert 0.1 <= best <= 1.0
