"""Read-out vectors: ON minus OFF, unit norm, silence counted."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from snn_deploy.deploy.memory import on_minus_off, unit_vectors
from snn_deploy.deploy.memory.vectors import checked_keys
from snn_deploy.errors import UsageError


@given(hnp.arrays(np.uint8, hnp.array_shapes(min_dims=2, max_dims=2, max_side=8)))
def test_on_minus_off_is_the_signed_difference(counts: np.ndarray) -> None:
    counts = np.concatenate((counts, counts[:, ::-1] // 2), axis=1)
    half = counts.shape[1] // 2
    signed = [[int(row[i]) - int(row[i + half]) for i in range(half)] for row in counts]
    assert on_minus_off(counts).tolist() == signed


@pytest.mark.parametrize(
    ("counts", "message"),
    [
        (np.ones((2, 5)), "same size.*width 5.*even width"),
        (np.array([[1, -1]]), "negative"),
        (np.array([[1.0, np.nan]]), r"NaN or infinity"),
        (np.ones(4), r"shape \(4,\)"),
        (np.ones((2, 0)), r"shape \(2, 0\)"),
        (np.array([["a", "b"]]), "not real numbers"),
        ([[1, 2], [3]], "unequal length"),
    ],
)
def test_counts_that_are_no_read_out_are_refused(counts: object, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        on_minus_off(counts)  # type: ignore[arg-type]


@given(
    hnp.arrays(
        np.float64,
        hnp.array_shapes(min_dims=2, max_dims=2, max_side=8),
        elements=st.floats(-1e300, 1e300, allow_subnormal=False),
    )
)
def test_rows_are_unit_or_silent(values: np.ndarray) -> None:
    unit = unit_vectors(values)
    silent = np.array([not any(row) for row in values.tolist()])
    assert unit.silent.tolist() == silent.tolist()
    assert unit.silent_count == silent.sum()
    norms = np.linalg.norm(unit.vectors.astype(np.float64), axis=1)
    assert np.all(np.abs(norms[~silent] - 1.0) < 1e-6)  # float32 rounding
    assert not unit.vectors[silent].any()


def test_a_row_has_the_same_unit_vector_alone_and_in_a_batch() -> None:
    values = np.random.default_rng(0).normal(size=(37, 129))
    batch = unit_vectors(values).vectors
    assert all(np.array_equal(unit_vectors(row[None]).vectors[0], batch[n]) for n, row in enumerate(values))


def test_every_row_that_cannot_be_a_key_is_named() -> None:
    keys = np.eye(4)
    keys[[1, 3]] = 0
    with pytest.raises(UsageError) as caught:
        checked_keys(keys, 4)
    assert [violation.where for violation in caught.value.violations] == ["keys[1]", "keys[3]"]
    assert "silent" in str(caught.value)
