"""Sparse codes against formulas written a second time."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.linalg import hadamard

from snn_deploy.deploy.memory.codes import SignedHadamard, SparseCoder, UnitStatistics, winners
from snn_deploy.deploy.memory.vectors import unit_vectors


def dense_projection(dim: int, units: int, seed: int) -> np.ndarray:
    """The matrix [H S_1; ...; H S_B] H S_0 by its definition."""
    order = 2
    while order < dim:
        order *= 2
    blocks = int(np.ceil(units / order))
    words = np.random.PCG64(seed).random_raw(int(np.ceil((blocks + 1) * order / 64)))
    bits = [(int(word) >> n) & 1 for word in words for n in range(64)]
    signs = 1 - 2 * np.array(bits[: (blocks + 1) * order]).reshape(blocks + 1, order)
    h = hadamard(order)
    first = h @ np.diag(signs[0])
    return np.concatenate([h @ np.diag(block) @ first for block in signs[1:]])[:units, :dim]


@pytest.mark.parametrize(("dim", "units"), [(24, 512), (32, 100), (1, 7), (100, 64), (5, 8)])
def test_projection_is_the_signed_hadamard_matrix(dim: int, units: int) -> None:
    projection = SignedHadamard(dim, units, seed=3)
    matrix = dense_projection(dim, units, seed=3)
    # Integers stay exact in float32, so that equality is equality.
    keys = np.random.default_rng(0).integers(-9, 10, size=(70, dim))
    fields = projection.project(keys.astype(np.float32))
    assert np.array_equal(fields, keys @ matrix.T)
    assert fields.any()


def test_another_seed_is_another_projection() -> None:
    keys = np.ones((1, 24), np.float32)
    assert not np.array_equal(
        SignedHadamard(24, 512, 0).project(keys), SignedHadamard(24, 512, 1).project(keys)
    )


def test_a_one_hot_key_has_no_flat_projection() -> None:
    """One Hadamard stage would give every unit the same magnitude, and ties would choose the code."""
    fields = SignedHadamard(64, 512, 0).project(np.eye(64, dtype=np.float32)[:1])
    assert np.unique(np.abs(fields)).size > 5


@given(
    hnp.arrays(np.int16, st.integers(2, 60), elements=st.integers(-4, 4)),
    st.integers(1, 70),
)
def test_winners_are_the_largest_ties_to_the_lower_unit(field: np.ndarray, k: int) -> None:
    ranked = sorted(range(field.size), key=lambda unit: (-int(field[unit]), unit))
    assert winners(field, k).tolist() == sorted(ranked[:k])


def test_statistics_are_mean_and_deviation_of_each_unit(gaussian: Callable[..., np.ndarray]) -> None:
    keys = unit_vectors(gaussian(300) + 2.0).vectors
    projection = SignedHadamard(24, 512, 0)
    fitted = UnitStatistics.fit(projection, keys)
    fields = keys.astype(np.float64) @ dense_projection(24, 512, 0).T
    assert fitted.items == 300
    # float32 sums of 24 terms of magnitude <= 32: 1e-4 is 25 roundings of the largest
    assert np.allclose(fitted.mean, fields.mean(axis=0), atol=1e-4, rtol=0)
    assert np.allclose(fitted.scale, fields.std(axis=0), atol=1e-4, rtol=0)
    assert fields.std(axis=0).min() > 0.05 * np.sqrt((fields.std(axis=0) ** 2).mean())  # no floor in play


def test_statistics_of_one_repeated_key_do_not_blow_up(gaussian: Callable[..., np.ndarray]) -> None:
    keys = unit_vectors(np.repeat(gaussian(1), 90, axis=0)).vectors
    fitted = UnitStatistics.fit(SignedHadamard(24, 512, 0), keys)
    assert (fitted.scale == 1.0).all()


def test_codes_are_the_winners_of_the_z_scores(gaussian: Callable[..., np.ndarray]) -> None:
    keys = unit_vectors(gaussian(150)).vectors
    projection = SignedHadamard(24, 512, 0)
    coder = SparseCoder(projection, UnitStatistics.fit(projection, keys), 12)
    codes = coder.encode(keys)
    for key, code in zip(keys, codes, strict=True):
        z = (projection.project(key[None])[0] - coder.statistics.mean) / coder.statistics.scale
        assert set(code.tolist()) == set(np.argsort(-z, kind="stable")[:12].tolist())
    assert np.array_equal(coder.encode(keys[77:78])[0], codes[77])
    assert len({code.tobytes() for code in codes}) == 150


def test_z_scores_remove_hubs(embedding_like: Callable[..., np.ndarray]) -> None:
    keys = unit_vectors(embedding_like(1000)).vectors
    projection = SignedHadamard(384, 4096, 0)

    def hub_ratio(statistics: UnitStatistics) -> float:
        use = np.bincount(SparseCoder(projection, statistics, 50).encode(keys).ravel(), minlength=4096)
        return float(use.max() / use.mean())

    assert hub_ratio(UnitStatistics.unfitted(4096)) > 30
    assert hub_ratio(UnitStatistics.fit(projection, keys)) < 4
