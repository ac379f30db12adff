"""Second moments of what synapses do to a membrane: which weight errors matter, and which cancel.

Between resets the membrane is linear in the weights: v = sum_j w_j phi_j + b phi_bias, where phi_j is
the presynaptic raster filtered by the synapse and then by the membrane. Resets are ignored, but a
neuron that is reset to zero forgets sooner, so the membrane's leak is taken as max(dv, rate). A weight
error d then costs d^T H d with H = E[phi phi^T] (the layer-wise objective of GPTQ, on spikes).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from snn_deploy.convert.quantise.blocks import Block
from snn_deploy.network.arrays import FloatArray, SpikeArray
from snn_deploy.network.connections import Connection, Conv2d

#: Moments are averaged over at most this many (sample, step) pairs.
_PAIRS = 6000
#: Columns up to which the whole matrix is kept; beyond, only its diagonal and the bias column.
_FULL_COLUMNS = 2048


@dataclass(frozen=True, eq=False)
class Moments:
    """Averages over calibration of the filtered rasters phi of all columns that feed a population.

    diagonal: E[phi_j^2], shape (columns,). full: E[phi phi^T], or None where there are too many columns.
    with_bias: E[phi_j phi_bias], shape (columns,). bias: E[phi_bias^2].
    """

    diagonal: FloatArray
    full: FloatArray | None
    with_bias: FloatArray
    bias: float


@dataclass(frozen=True, eq=False)
class Arriving:
    """One source's raster (samples, steps, neurons) and how it enters the population."""

    raster: SpikeArray
    delay: int
    connection: Connection
    block: Block


def moments(arriving: Sequence[Arriving], du: float, dv: float, rate: float) -> Moments:
    """Filter the rasters by decays ``du`` and ``max(dv, rate)`` and average their products.

    rate: of the resets that make a neuron forget its v.
    """
    leak = min(1.0, max(dv, rate, 1e-6))
    samples, steps = arriving[0].raster.shape[:2]
    generator = np.random.default_rng(0)
    pairs = generator.permutation(samples * steps)[:_PAIRS]
    chosen = (pairs // steps, pairs % steps)
    parts = [_features(a, _filtered(a.raster, a.delay, du, leak)[chosen], generator) for a in arriving]
    phi = np.concatenate(parts, axis=1)
    constant = ((1 - (1 - leak) ** (1.0 + np.arange(steps))) / leak)[chosen[1]]
    full = phi.T @ phi / len(phi) if phi.shape[1] <= _FULL_COLUMNS else None
    return Moments(
        diagonal=np.asarray(np.einsum("nj,nj->j", phi, phi) / len(phi)),
        full=full,
        with_bias=constant @ phi / len(phi),
        bias=float(constant @ constant / len(phi)),
    )


def _filtered(raster: SpikeArray, delay: int, du: float, leak: float) -> FloatArray:
    """Return sum_k (1 - leak)^k u[t - k], u[t] = (1 - du) u[t-1] + s[t - delay], in place of s."""
    samples, steps, width = raster.shape
    phi = np.empty((samples, steps, width))
    u = np.zeros((samples, width))
    v = np.zeros((samples, width))
    for t in range(steps):
        u *= 1 - du
        if t >= delay:
            u += raster[:, t - delay]
        v *= 1 - leak
        v += u
        phi[:, t] = v
    return phi


def _features(arriving: Arriving, phi: FloatArray, generator: np.random.Generator) -> FloatArray:
    """One row a pair: the columns of the block's matrix. A convolution sees a patch at a random place."""
    connection = arriving.connection
    if not isinstance(connection, Conv2d):
        return phi
    _, height, width = connection.output_shape
    channels, kernel_height, kernel_width = connection.weight.shape[1:]
    images = np.pad(
        phi.reshape(len(phi), *connection.input_shape),
        ((0, 0), (0, 0), *((pad, pad) for pad in connection.padding)),
    )
    row = generator.integers(height, size=len(phi)) * connection.stride[0]
    column = generator.integers(width, size=len(phi)) * connection.stride[1]
    rows = row[:, None] + np.arange(kernel_height) * connection.dilation[0]
    columns = column[:, None] + np.arange(kernel_width) * connection.dilation[1]
    picked = images[
        np.arange(len(phi))[:, None, None, None],
        np.arange(channels)[None, :, None, None],
        rows[:, None, :, None],
        columns[:, None, None, :],
    ]
    return np.asarray(picked.reshape(len(phi), -1))
