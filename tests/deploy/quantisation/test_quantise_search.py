"""The gate's arithmetic, and what the search pays for."""

from __future__ import annotations

import numpy as np
import pytest

from snn_deploy.deploy.quantisation.gate import Limits, Verdict, agreements, count_error


def raster(counts: list[list[int]], steps: int = 10) -> np.ndarray:
    """Spikes with these counts, (samples, steps, neurons)."""
    values = np.asarray(counts)
    return (np.arange(steps)[None, :, None] < values[:, None, :]).astype(np.uint8)


def test_count_error_is_the_mean_difference_over_the_mean_count() -> None:
    exact, integer = raster([[4, 2], [0, 6]]), raster([[3, 2], [1, 8]])
    assert count_error(exact, integer) == pytest.approx((1 + 0 + 1 + 2) / 12)
    silent = raster([[0, 0]])
    assert count_error(silent, silent) == 0
    assert count_error(silent, raster([[0, 1]])) == 1


def test_only_decisive_samples_count_for_agreement() -> None:
    exact = np.array([[5, 3, 0], [5, 4, 0], [1, 6, 2], [2, 0, 0]])
    integer = np.array([[5, 3, 0], [3, 4, 0], [7, 6, 2], [2, 0, 1]])
    # sample 1 has a margin of one spike, so its change does not count; sample 2's does
    assert agreements([(exact, integer)]) == (2, 3)
    assert agreements([(exact[:, :1], integer[:, :1])]) == (0, 0)


def test_the_gate_names_every_limit_that_is_broken() -> None:
    verdict = Verdict({"a": 0.031, "b": 0.02}, agreement=0.985, decisive=200)
    assert not verdict.passed
    assert verdict.failures == (
        "a: mean count error 3.10%, allowed 2%",
        "top-1 agreement 98.5% on 200 decisive samples, allowed 99%",
    )
    assert Verdict({"a": 0.02}, agreement=0.99, decisive=100).passed
    assert Verdict({"a": 0.0}, agreement=None, decisive=0).passed


def test_the_score_gives_no_credit_below_the_limits() -> None:
    gate = Limits.of_the_gate(["a"])
    good, better = Verdict({"a": 0.015}, 1.0, 9), Verdict({"a": 0.001}, 0.995, 9)
    assert good.score(gate) == better.score(gate)
    assert Verdict({"a": 0.03}, 1.0, 9).score(gate) > good.score(gate)
    assert Verdict({"a": 0.015}, 0.9, 9).score(gate) > good.score(gate)
    lax = Limits({"a": 0.05}, 0.8)
    assert Verdict({"a": 0.03}, 0.9, 9).score(lax) == good.score(lax)
    assert Verdict({"a": 0.03}, 0.9, 9).beyond(gate) == {"a", None}
    assert Verdict({"a": 0.03}, 0.9, 9).beyond(lax) == set()
