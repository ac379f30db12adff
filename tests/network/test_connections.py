"""Linear maps: convolution against torch, composition against matrix products."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from snn_deploy.convert.compose import add, compose, drive, identity, keep_rows, scale_rows, sparse
from snn_deploy.network.connections import Conv2d, Dense, Sparse, fan_out, size, synapses

CONVS = {
    "plain": ((3, 6, 7), (4, 3, 3, 3), (1, 1), (0, 0), (1, 1), 1),
    "strided, padded": ((3, 6, 7), (4, 3, 3, 2), (2, 1), (1, 2), (1, 1), 1),
    "dilated, grouped": ((4, 8, 7), (6, 2, 2, 3), (1, 2), (0, 1), (2, 1), 2),
    "depthwise": ((4, 6, 6), (4, 1, 2, 2), (2, 2), (0, 0), (1, 1), 4),
}


def conv(name):
    shape, weight, stride, padding, dilation, groups = CONVS[name]
    values = np.random.default_rng(1).normal(size=weight)
    return Conv2d(values, shape, stride, padding, dilation, groups)


@pytest.mark.parametrize("name", CONVS)
def test_a_convolution_is_torch_s(name):
    connection = conv(name)
    x = np.random.default_rng(2).normal(size=connection.input_shape)
    expected = F.conv2d(
        torch.from_numpy(x)[None],
        torch.from_numpy(connection.weight),
        None,
        connection.stride,
        connection.padding,
        connection.dilation,
        connection.groups,
    )[0]
    assert connection.output_shape == tuple(expected.shape)
    np.testing.assert_allclose(synapses(connection) @ x.reshape(-1), expected.reshape(-1), rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", CONVS)
def test_synapses_are_counted_as_stored_and_as_nonzero(name):
    connection = conv(name)
    connection.weight[0] = 0
    dense = synapses(connection).toarray()
    pattern = synapses(replace(connection, weight=np.ones_like(connection.weight))).toarray()
    np.testing.assert_array_equal(fan_out(connection, stored=False), np.count_nonzero(dense, axis=0))
    np.testing.assert_array_equal(fan_out(connection, stored=True), np.count_nonzero(pattern, axis=0))


def maps():
    rng = np.random.default_rng(3)
    holes = rng.normal(size=(5, 5)) * (rng.random((5, 5)) < 0.5)
    from scipy.sparse import csr_matrix

    return {
        "dense": Dense(rng.normal(size=(5, 5))),
        "sparse": sparse(csr_matrix(holes)),
        "identity": identity(5),
    }


@pytest.mark.parametrize("outer", list(maps()))
@pytest.mark.parametrize("inner", list(maps()))
def test_composition_and_sum_are_those_of_matrices(outer, inner):
    a, b = maps()[outer], maps()[inner]
    x, y = synapses(a).toarray(), synapses(b).toarray()
    np.testing.assert_allclose(synapses(compose(a, b)).toarray(), x @ y, rtol=0, atol=1e-14)
    np.testing.assert_allclose(synapses(add([a, b])).toarray(), x + y, rtol=0, atol=0)
    assert isinstance(compose(a, b), Dense if "dense" in (outer, inner) else Sparse)


def test_behind_the_identity_a_map_is_left_as_it_is():
    connection = conv("plain")
    assert compose(connection, None) is connection


@pytest.mark.parametrize("connection", [*maps().values(), conv("plain")])
def test_rows_are_scaled_each_by_its_own_gain(connection):
    rows = size(connection)[0]
    gain = np.random.default_rng(4).normal(size=rows)
    expected = gain[:, None] * synapses(connection).toarray()
    np.testing.assert_array_equal(synapses(scale_rows(connection, gain)).toarray(), expected)


def test_one_gain_a_channel_leaves_a_convolution_a_convolution():
    connection = conv("plain")
    gain = np.repeat(np.arange(1.0, 5.0), np.prod(connection.output_shape[1:]))
    scaled = scale_rows(connection, gain)
    assert isinstance(scaled, Conv2d)
    np.testing.assert_array_equal(scaled.weight, connection.weight * np.arange(1.0, 5.0)[:, None, None, None])


def test_rows_that_are_not_kept_are_silent():
    for connection in (None, *maps().values()):
        whole = np.eye(5) if connection is None else synapses(connection).toarray()
        kept = synapses(keep_rows(connection, np.array([1, 4]), 5)).toarray()
        expected = whole * np.isin(np.arange(5), [1, 4])[:, None]
        np.testing.assert_array_equal(kept, expected)


def test_a_constant_goes_through_a_map():
    for connection in maps().values():
        x = np.arange(5.0)
        np.testing.assert_array_equal(drive(connection, x), synapses(connection).toarray() @ x)
