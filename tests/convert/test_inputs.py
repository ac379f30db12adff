"""INPUT.npz: what is read, and every refusal at once."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from snn_deploy.convert.inputs import read_inputs
from snn_deploy.engine.inputs import checked_inputs, graded_range
from snn_deploy.errors import UnsafeFile, UsageError
from snn_deploy.network.network import Input


def network(*inputs):
    return SimpleNamespace(inputs=inputs)


ONE = network(Input("a", (2, 3)))
GRADED = network(Input("a", (4,), 8), Input("b", (2,)))


def npz(tmp_path, **arrays):
    path = tmp_path / "in.npz"
    np.savez(path, **arrays)
    return path


def test_spikes_are_flattened(tmp_path):
    spikes = np.random.default_rng(0).integers(0, 2, (5, 7, 2, 3))
    read = read_inputs(npz(tmp_path, spikes=spikes), ONE)
    assert read["a"].dtype == np.uint8
    np.testing.assert_array_equal(read["a"], spikes.reshape(5, 7, 6))


def test_events_that_were_counted_are_binarised_on_demand(tmp_path):
    """OR of the events of a step; graded input keeps its values."""
    frames = np.random.default_rng(1).poisson(0.7, (4, 6, 2, 3)) - 1.0
    path = npz(tmp_path, spikes=frames)
    assert frames.max() > 1 and frames.min() < 0
    np.testing.assert_array_equal(
        read_inputs(path, ONE, binarise=True)["a"], (frames > 0).reshape(4, 6, 6).astype(np.uint8)
    )
    values = np.random.default_rng(0).integers(-128, 128, (3, 4, 4))
    path = npz(tmp_path, **{"graded.a": values, "spikes.b": 3 * np.ones((3, 4, 2))})
    read = read_inputs(path, GRADED, binarise=True)
    np.testing.assert_array_equal(read["a"], values)
    np.testing.assert_array_equal(read["b"], np.ones((3, 4, 2)))


def test_counts_of_events_say_what_can_be_done(tmp_path):
    with pytest.raises(UsageError) as caught:
        read_inputs(npz(tmp_path, spikes=np.full((1, 2, 2, 3), 3)), ONE)
    for way in ("frames > 0", "--binarise", "--graded", "rate-code"):
        assert way in caught.value.violations[0].remedy


def test_binarising_leaves_what_is_no_number_to_be_refused(tmp_path):
    with pytest.raises(UsageError, match="found nan"):
        read_inputs(npz(tmp_path, spikes=np.full((1, 2, 2, 3), np.nan)), ONE, binarise=True)


def test_graded_input_keeps_sign_and_size_and_a_missing_input_is_silent(tmp_path):
    values = np.random.default_rng(0).integers(-128, 128, (3, 4, 4))
    read = read_inputs(npz(tmp_path, **{"graded.a": values}), GRADED)
    assert read["a"].dtype == np.int32
    np.testing.assert_array_equal(read["a"], values)
    assert read["b"].shape == (3, 4, 2) and not read["b"].any()


def test_the_range_of_a_width():
    assert graded_range(8) == (-128, 127)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (np.full((1, 1, 4), 128), "found 128 (4 values); allowed -128 to 127"),
        (np.full((1, 1, 4), -129), "found -129"),
        (np.full((1, 1, 4), 0.5), "found 0.5"),
        (np.full((1, 1, 4), np.nan), "found nan"),
        (np.full((1, 1, 4), np.inf), "found inf"),
    ],
)
def test_graded_values_that_do_not_fit(values, message):
    with pytest.raises(UsageError) as caught:
        checked_inputs(GRADED, {"a": values})
    assert message in str(caught.value)


def test_spikes_for_a_graded_input_are_a_wrong_key(tmp_path):
    path = npz(tmp_path, **{"spikes.a": np.zeros((1, 1, 4))})
    with pytest.raises(UsageError, match=r"found spikes\.a; allowed graded\.a, spikes\.b"):
        read_inputs(path, GRADED)


def test_everything_wrong_is_listed_at_once():
    with pytest.raises(UsageError) as caught:
        checked_inputs(
            GRADED, {"a": np.full((1, 2, 4), 999), "b": np.full((1, 3, 2), 2), "c": np.zeros((1, 2, 1))}
        )
    text = str(caught.value)
    assert "c: unknown input" in text
    assert "a: graded spikes must be whole numbers" in text
    assert "b: spikes must be 0 or 1" in text
    assert "inputs differ in samples or steps" in text


@pytest.mark.parametrize("shape", [(2, 3), (1, 2, 4), (0, 5, 6)])
def test_wrong_shapes(shape):
    with pytest.raises(UsageError, match=r"wrong shape|nothing to run"):
        checked_inputs(ONE, {"a": np.zeros(shape)})


def test_pickles_are_not_opened(tmp_path):
    path = tmp_path / "in.npz"
    np.savez(path, spikes=np.array([{"a": 1}], dtype=object))
    with pytest.raises(UnsafeFile, match="not a readable"):
        read_inputs(path, ONE)
