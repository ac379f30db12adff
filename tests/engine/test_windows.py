"""The product of a convolution against the matrix of all its synapses, on drawn geometries."""

from __future__ import annotations

import numpy as np
import pytest

from snn_deploy.engine.windows import convolved
from snn_deploy.network.connections import Conv2d, synapses


@pytest.mark.parametrize("seed", range(12))
def test_windows_give_what_the_synapses_give(seed: int) -> None:
    rng = np.random.default_rng(seed)
    groups = int(rng.integers(1, 3))
    channels, outputs = groups * int(rng.integers(1, 4)), groups * int(rng.integers(1, 4))
    kernel = tuple(int(k) for k in rng.integers(1, 4, 2))
    conv = Conv2d(
        weight=rng.integers(-50, 51, (outputs, channels // groups, *kernel)),
        input_shape=(channels, *(int(cells) for cells in rng.integers(7, 12, 2))),
        stride=tuple(int(s) for s in rng.integers(1, 4, 2)),
        padding=tuple(int(p) for p in rng.integers(0, 3, 2)),
        dilation=tuple(int(d) for d in rng.integers(1, 3, 2)),
        groups=groups,
    )
    rows = rng.integers(-63, 64, (int(rng.integers(1, 40)), int(np.prod(conv.input_shape)))).astype(float)
    expected = (synapses(conv) @ rows.T).T
    assert np.array_equal(convolved(conv, rows), expected)
    assert np.unique(expected).size > 10


def test_more_samples_than_are_held_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    conv = Conv2d(rng.integers(-9, 10, (3, 2, 3, 3)), (2, 6, 5), (2, 1), (1, 1), (1, 1), 1)
    rows = rng.integers(0, 2, (50, 60)).astype(float)
    whole = convolved(conv, rows)
    monkeypatch.setattr("snn_deploy.engine.windows._ENTRIES", 1)
    assert np.array_equal(convolved(conv, rows), whole)
    assert np.array_equal(whole, (synapses(conv) @ rows.T).T)


def test_no_rows_give_no_rows() -> None:
    """A delay longer than the run leaves nothing to convolve."""
    conv = Conv2d(np.ones((3, 2, 2, 2)), (2, 5, 4), (1, 1), (0, 0), (1, 1), 1)
    assert convolved(conv, np.empty((0, 40))).shape == (0, 36)
