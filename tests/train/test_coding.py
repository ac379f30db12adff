import numpy as np
import pytest

from snn_deploy.errors import UsageError
from snn_deploy.train.coding import direct_code, event_code, on_off, rate_code


def test_counts_are_binomial():
    steps, samples = 50, 400
    p = np.array([0.0, 0.02, 0.3, 0.5, 0.97, 1.0])
    spikes = rate_code(np.tile(p, (samples, 1)), steps, 7)
    assert spikes.shape == (samples, steps, len(p))
    assert spikes.dtype == np.uint8
    assert set(np.unique(spikes)) == {0, 1}
    counts = spikes.sum(1)
    # Five standard errors of the mean and of the variance of n binomial draws.
    variance = steps * p * (1 - p)
    assert np.all(np.abs(counts.mean(0) - steps * p) <= 5 * np.sqrt(variance / samples))
    fourth = variance * (1 + 3 * (steps - 2) * p * (1 - p))  # fourth central moment of a binomial
    spread = np.sqrt((fourth - variance**2) / samples)
    assert np.all(np.abs(counts.var(0) - variance) <= 5 * spread + variance / samples)
    assert counts[:, 0].max() == 0
    assert counts[:, -1].min() == steps


def test_steps_and_channels_are_independent():
    spikes = rate_code(np.full((300, 8), 0.5), 40, 3).astype(float) - 0.5
    pairs = spikes[:, :-1] * spikes[:, 1:]
    assert abs(pairs.mean()) <= 5 * 0.25 / np.sqrt(pairs.size)
    channels = spikes[:, :, :-1] * spikes[:, :, 1:]
    assert abs(channels.mean()) <= 5 * 0.25 / np.sqrt(channels.size)


def test_seed_decides():
    values = np.random.default_rng(0).random((5, 9))
    assert np.array_equal(rate_code(values, 20, 1), rate_code(values, 20, 1))
    assert not np.array_equal(rate_code(values, 20, 1), rate_code(values, 20, 2))


@pytest.mark.parametrize("values", [[[1.01]], [[-0.01]], [[np.nan]], [0.5]])
def test_refuses_what_is_no_probability(values):
    with pytest.raises(UsageError, match="rate coding takes probabilities"):
        rate_code(values, 10, 0)


def test_refuses_no_steps():
    with pytest.raises(UsageError, match="0 steps"):
        rate_code([[0.5]], 0, 0)


def test_shapes_beyond_vectors_are_coded_as_vectors_are():
    values = np.random.default_rng(4).random((3, 2, 5, 7))
    flat = rate_code(values.reshape(3, -1), 9, 2)
    assert np.array_equal(rate_code(values, 9, 2).reshape(3, 9, -1), flat)


def test_direct_coding_repeats_without_memory():
    values = np.random.default_rng(0).normal(size=(4, 2, 3))
    coded = direct_code(values, 6)
    assert coded.shape == (4, 6, 2, 3)
    assert coded.strides[1] == 0
    assert all(np.array_equal(coded[:, t], values.astype(np.float32)) for t in range(6))
    with pytest.raises(UsageError, match="finite"):
        direct_code([[np.inf]], 3)


def test_events_of_other_lengths_are_refused():
    rasters = rate_code([[0.5, 0.2]], 8, 0)
    assert event_code(rasters, 8) is rasters
    with pytest.raises(UsageError, match=r"found shape \(1, 8, 2\); allowed 9 steps"):
        event_code(rasters, 9)


def test_on_off_splits_signs():
    values = np.array([[1, -2, 0], [-3, 4, 5]])
    split = on_off(values)
    assert np.array_equal(split, [[1, 0, 0, 0, 2, 0], [0, 4, 5, 3, 0, 0]])
