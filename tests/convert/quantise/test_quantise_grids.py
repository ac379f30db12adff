"""Planes sum to the rounded weights, and each plane passes Lava's clipping and truncation unchanged."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from snn_deploy.convert.quantise.grids import LEVELS, Grid, check_level, choose_grid
from snn_deploy.convert.quantise.planes import Plane, cut
from snn_deploy.errors import UsageError
from snn_deploy.hw_profiles import load

PROFILE = load("loihi2")


def lava_keeps(plane: Plane, bits: int) -> np.ndarray:
    """What Lava 0.10.0 makes of a plane: the sign mode bounds the weights, then low bits are floored."""
    low, high = {"mixed": (-256, 255), "excitatory": (0, 255), "inhibitory": (-255, 0)}[plane.sign]
    clipped = np.clip(plane.values, low, high)
    dropped = 8 - bits + (1 if plane.sign == "mixed" else 0)
    if plane.sign == "inhibitory":
        return -((-clipped >> dropped) << dropped)
    return (clipped >> dropped) << dropped


def heavy(seed: int, shape: tuple[int, int] = (40, 60)) -> np.ndarray:
    return np.random.default_rng(seed).standard_t(2.5, shape) * 800.0


@pytest.mark.parametrize("bits", [4, 6, 8])
@pytest.mark.parametrize("level", range(len(LEVELS)))
@pytest.mark.parametrize("sign", ["both", "positive", "negative"])
def test_planes_sum_to_the_rounded_weights_and_lie_on_lavas_grid(bits: int, level: int, sign: str) -> None:
    scaled = heavy(level)
    if sign != "both":
        scaled = np.abs(scaled) * (1 if sign == "positive" else -1)
    grid = choose_grid(LEVELS[level], scaled, np.ones(60), PROFILE, bits)
    rounded = grid.nearest(scaled)
    planes = cut(rounded, grid)
    total = np.zeros(scaled.shape, dtype=np.int64)
    for plane in planes:
        assert 0 <= plane.exponent <= 7
        assert plane.values.min() > -256
        np.testing.assert_array_equal(lava_keeps(plane, bits), plane.values)
        total += plane.values << plane.exponent
    np.testing.assert_array_equal(total, rounded)
    assert np.unique(total).size > (4 if sign == "both" else 2)
    if level == 0:
        assert [plane.sign for plane in planes] == ["mixed"]
    if LEVELS[level].by_sign and sign == "both":
        assert {plane.sign for plane in planes} == {"excitatory", "inhibitory"}


def test_each_rung_of_the_ladder_is_finer_on_a_heavy_tail() -> None:
    scaled = heavy(3)

    def error(level: int) -> float:
        grid = choose_grid(LEVELS[level], scaled, np.ones(60), PROFILE, 8)
        return float(np.mean((grid.nearest(scaled) - scaled) ** 2))

    errors = [error(level) for level in range(8)]
    assert errors[1] < errors[0] / 3  # half the step is a quarter of the squared error
    assert errors[3] < errors[2] < errors[0]
    assert errors[3] < errors[1]
    assert errors[7] <= errors[6] <= errors[5] <= errors[4] < errors[1] / 3


@pytest.mark.parametrize(("level", "share"), [(4, 0.05), (5, 0.1), (6, 0.25)])
def test_residual_levels_bound_the_share_of_double_entries(level: int, share: float) -> None:
    scaled = heavy(5, (200, 100))
    grid = choose_grid(LEVELS[level], scaled, np.ones(100), PROFILE, 8)
    assert grid.fine is not None
    planes = cut(grid.nearest(scaled), grid)
    coarse = sum(np.count_nonzero(plane.values) for plane in planes if plane.exponent == grid.coarse)
    assert 0 < coarse <= 1.02 * share * scaled.size
    assert grid.fine < grid.coarse


@pytest.mark.parametrize("level", range(8))
def test_a_sample_with_all_magnitudes_gives_the_grid_of_the_whole(level: int) -> None:
    scaled = heavy(7, (400, 100))
    scaled[::3, ::7] = 0
    whole = choose_grid(LEVELS[level], scaled, np.ones(100), PROFILE, 8)
    magnitudes = np.sort(np.abs(scaled[scaled != 0]))
    some = choose_grid(LEVELS[level], scaled[::5], np.ones(100), PROFILE, 8, magnitudes=magnitudes)
    assert some == whole
    assert whole.coarse > 0


def test_disjoint_levels_store_each_weight_once() -> None:
    scaled = heavy(6)
    for level in (2, 3):
        planes = cut_at(scaled, level)
        assert len(planes) > 1
        assert np.sum([plane.values != 0 for plane in planes], axis=0).max() == 1


def cut_at(scaled: np.ndarray, level: int) -> list[Plane]:
    grid = choose_grid(LEVELS[level], scaled, np.ones(scaled.shape[1]), PROFILE, 8)
    return cut(grid.nearest(scaled), grid)


finite = st.floats(-30_000, 30_000, allow_nan=False, width=32)


@settings(deadline=None, max_examples=150)
@given(arrays(np.float64, (5, 4), elements=finite), st.integers(0, 7), st.sampled_from([1, 2, 4, 6, 8]))
def test_nearest_is_nearest_and_planes_are_exact(scaled: np.ndarray, level: int, bits: int) -> None:
    if bits == 1 and not LEVELS[level].by_sign:
        with pytest.raises(UsageError, match="no room for a sign"):
            choose_grid(LEVELS[level], scaled, np.ones(4), PROFILE, bits)
        return
    grid = choose_grid(LEVELS[level], scaled, np.ones(4), PROFILE, bits)
    rounded = grid.nearest(scaled)
    np.testing.assert_array_equal(grid.nearest(rounded), rounded)
    every = all_values(grid)
    inside = np.clip(scaled, -grid.top, grid.top)
    best = np.abs(every[:, None, None] - inside).min(axis=0)
    np.testing.assert_array_equal(np.abs(rounded - inside), best)
    planes = cut(rounded, grid)
    np.testing.assert_array_equal(sum(p.values << p.exponent for p in planes), rounded)
    for plane in planes:
        np.testing.assert_array_equal(lava_keeps(plane, bits), plane.values)


def all_values(grid: Grid) -> np.ndarray:
    """Every value the planes can sum to, listed from what one plane can hold."""
    one = np.arange(0, grid.limit + 1, grid.step)
    coarse = one << grid.coarse
    if grid.fine is None:
        positive = coarse
    elif grid.disjoint:
        positive = np.union1d(coarse, one << grid.fine)
    else:
        positive = np.arange(0, (grid.limit << grid.coarse) + 1, grid.step << grid.fine)
    return np.union1d(-positive, positive)


def test_an_unknown_level_is_refused() -> None:
    with pytest.raises(
        UsageError, match=r"--level: unknown quantisation level; found 8; allowed auto, 0\.\.7"
    ):
        check_level(8)
