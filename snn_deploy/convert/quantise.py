"""Quantise: DiscreteNetwork (float) to QuantisedNetwork (Loihi's integers).

One state scale S a population maps threshold 1 to the mantissa round(S); each projection holds
W_int = W' S / 2^e on its own grid with its own exponent e >= 0 (a negative exponent would floor the
sum and bias every step). Decays round to 12 bits, biases to a 13-bit mantissa with an exponent a
neuron. Neurons of one graph node with different decays go to one population each.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np

from snn_deploy.convert.arrays import FloatArray, IntArray, frozen
from snn_deploy.convert.connections import Connection, Dense, map_weights, weights
from snn_deploy.convert.discrete import DiscreteNetwork, DiscretePopulation, DiscreteProjection
from snn_deploy.convert.quantised import (
    STATE_SHIFT,
    UNREACHABLE_VTH,
    QuantisedNetwork,
    QuantisedPopulation,
    QuantisedProjection,
)
from snn_deploy.errors import ModelNotSupported, Violation
from snn_deploy.hw_profiles import Profile

_DECAY_UNITY = 4096
_STATE_LIMIT = 1 << 23
#: Headroom kept against the wrap of u and the 16-bit input port beyond what calibration observed.
_U_MARGIN, _DRIVE_MARGIN, _V_MARGIN = 2.0, 1.25, 1.2
_SCALE_CANDIDATES = 12


@dataclass(frozen=True)
class Extremes:
    """Largest magnitudes seen in one population during calibration, in units of the threshold.

    u: synaptic current. drive: summed weighted input of a step. v: membrane potential.
    """

    u: float
    drive: float
    v: float


def quantise(
    network: DiscreteNetwork, profile: Profile, extremes: Mapping[str, Extremes], bits: int = 8
) -> QuantisedNetwork:
    """Round a float network to the integers of ``profile``.

    extremes: what calibration observed, for every population. bits: width of the weights.
    Raises ModelNotSupported with every value that the integer formats cannot hold.
    """
    if bits not in profile.integers.weight_bits.values:
        raise ModelNotSupported(
            "the profile has no weights of this width",
            where="--bits",
            found=bits,
            allowed=", ".join(map(str, profile.integers.weight_bits.values)),
        )
    groups = {p.name: _split(p) for p in network.populations}
    sources = {node.name: [_Group(node.name, _whole(node.shape))] for node in network.inputs} | groups
    populations: list[QuantisedPopulation] = []
    projections: list[QuantisedProjection] = []
    report: list[dict[str, Any]] = []
    violations: list[Violation] = []
    for population in network.populations:
        incoming = [e for e in network.projections if e.target == population.name]
        for group in groups[population.name]:
            pieces = _pieces(incoming, group, sources)
            scale = _scale(population, group, pieces, extremes[population.name], profile=profile, bits=bits)
            quantised, problems = _population(population, group, scale, profile)
            populations.append(quantised)
            violations += problems
            for piece in pieces:
                projection = _projection(piece, quantised, profile, bits)
                projections.append(projection)
                report.append(_error(piece, projection, scale))
    if violations:
        raise ModelNotSupported(violations)
    return QuantisedNetwork(
        contract=network.contract,
        profile=profile.name,
        inputs=network.inputs,
        populations=tuple(populations),
        projections=tuple(projections),
        outputs=network.outputs,
        nodes=MappingProxyType({p.name: p.shape for p in network.populations}),
        report=MappingProxyType(
            {"bits": bits, "projections": report, "decays": _decay_errors(network, populations)}
        ),
    )


@dataclass(frozen=True)
class _Group:
    """The neurons of one node that share their integer decays."""

    name: str
    index: IntArray
    du: int = 0
    dv: int = 0


@dataclass(frozen=True)
class _Piece:
    """The part of a projection between two groups."""

    edge: DiscreteProjection
    name: str
    source: str
    connection: Connection


def _whole(shape: tuple[int, ...]) -> IntArray:
    return np.arange(int(np.prod(shape)))


def _split(population: DiscretePopulation) -> list[_Group]:
    du = np.clip(np.rint(population.du * _DECAY_UNITY) - 1, 0, _DECAY_UNITY - 1).astype(np.int64)
    dv = np.clip(np.rint(population.dv * _DECAY_UNITY), 0, _DECAY_UNITY - 1).astype(np.int64)
    pairs, which = np.unique(np.stack([du, dv], axis=1), axis=0, return_inverse=True)
    single = len(pairs) == 1
    return [
        _Group(
            population.name if single else f"{population.name}#{k}",
            np.flatnonzero(which.reshape(-1) == k),
            int(pair[0]),
            int(pair[1]),
        )
        for k, pair in enumerate(pairs)
    ]


def _pieces(
    incoming: list[DiscreteProjection], group: _Group, sources: Mapping[str, list[_Group]]
) -> list[_Piece]:
    pieces = []
    for edge in incoming:
        parts = sources[edge.source]
        for part in parts:
            connection = edge.connection
            rows, columns = np.shape(weights(connection))[0], np.shape(weights(connection))[-1]
            if len(parts) > 1 or group.index.size < rows:
                if not isinstance(connection, Dense):
                    raise ModelNotSupported(
                        "only dense projections can be split by time constant", where=edge.name
                    )
                picked = connection.weight[group.index][
                    :, part.index if len(parts) > 1 else np.arange(columns)
                ]
                connection = Dense(frozen(picked, np.float64))
            name = (
                edge.name
                if len(parts) == 1 and "#" not in group.name
                else f"{edge.name}:{part.name}->{group.name}"
            )
            pieces.append(_Piece(edge, name, part.name, connection))
    return pieces


def _scale(
    population: DiscretePopulation,
    group: _Group,
    pieces: list[_Piece],
    seen: Extremes,
    *,
    profile: Profile,
    bits: int,
) -> float:
    """State scale S with the smallest weight error among 12 in the top octave of what every format allows."""
    integers = profile.integers
    step = integers.weight_step("mixed", bits)
    top = int(integers.weight_mixed.high) // step * step
    largest = max((float(np.abs(weights(p.connection)).max(initial=0.0)) for p in pieces), default=0.0)
    bias = float(np.abs(population.bias[group.index]).max(initial=0.0))
    state = _STATE_LIMIT >> STATE_SHIFT
    limits = [
        float(integers.threshold_mantissa.high),
        state / (_U_MARGIN * max(seen.u, 1e-12)),
        state / (_V_MARGIN * max(1.0, seen.v)),
        float(1 << 15) / (_DRIVE_MARGIN * max(seen.drive, 1e-12)),
        top * 2.0 ** int(integers.weight_exp.high) / max(largest, 1e-12),
        float(integers.bias_mantissa.high) * 2.0 ** int(integers.bias_exp.high) / max(bias * 64, 1e-12),
    ]
    ceiling = min(limits)
    candidates = ceiling * 2.0 ** -np.linspace(0, 1, _SCALE_CANDIDATES, endpoint=False)

    def error(scale: float) -> float:
        rounded = float(np.rint(scale))
        total = 0.0
        for piece in pieces:
            values = weights(piece.connection) * rounded
            grid = step * 2.0 ** _exponent(values, top)
            total += float(np.sum((np.rint(values / grid) * grid - values) ** 2)) / rounded**2
        return total

    return max(1.0, float(np.rint(min(candidates, key=error))))


def _exponent(values: FloatArray, top: int) -> int:
    largest = float(np.abs(values).max(initial=0.0))
    return 0 if largest <= top else int(np.ceil(np.log2(largest / top)))


def _projection(
    piece: _Piece, target: QuantisedPopulation, profile: Profile, bits: int
) -> QuantisedProjection:
    step = profile.integers.weight_step("mixed", bits)
    # symmetric: an all-negative plane at -256 would be clipped to -255 by Lava
    top = int(profile.integers.weight_mixed.high) // step * step
    exponent = _exponent(weights(piece.connection) * target.scale, top)

    def to_grid(values: FloatArray) -> IntArray:
        grid = np.rint(values * target.scale / 2.0**exponent / step) * step
        return frozen(np.clip(grid, -top, top), np.int64)

    return QuantisedProjection(
        name=piece.name,
        source=piece.source,
        target=target.name,
        connection=map_weights(piece.connection, to_grid),
        weight_exp=exponent,
        weight_bits=bits,
        sign="mixed",
        delay=piece.edge.delay,
    )


def _population(
    population: DiscretePopulation, group: _Group, scale: float, profile: Profile
) -> tuple[QuantisedPopulation, list[Violation]]:
    integers = profile.integers
    unit = scale * (1 << STATE_SHIFT)
    bias = population.bias[group.index] * unit
    top = float(integers.bias_mantissa.high)
    exponent = np.ceil(np.log2(np.maximum(np.abs(bias) / top, 1.0))).astype(np.int64)
    violations = []
    if np.any(exponent > integers.bias_exp.high):
        worst = int(np.argmax(np.abs(bias)))
        violations.append(
            Violation(
                "the bias is larger than mantissa and exponent can hold",
                where=population.name,
                found=f"{bias[worst]:.0f} at neuron {group.index[worst]}",
                allowed=f"+-{top * 2.0 ** int(integers.bias_exp.high):.0f}",
            )
        )
    return (
        QuantisedPopulation(
            name=group.name,
            node=population.name,
            index=frozen(group.index, np.int64),
            du=group.du,
            dv=group.dv,
            vth=int(scale) if population.spiking else UNREACHABLE_VTH,
            bias_mant=frozen(np.rint(bias / 2.0**exponent), np.int64),
            bias_exp=frozen(exponent, np.int64),
            u0=frozen(np.rint(population.u0[group.index] * unit), np.int64),
            v0=frozen(np.rint(population.v0[group.index] * unit), np.int64),
            scale=scale,
            spiking=population.spiking,
        ),
        violations,
    )


def _error(piece: _Piece, projection: QuantisedProjection, scale: float) -> dict[str, Any]:
    """Relative weight error (root mean square) and share of saturated weights of one projection."""
    exact = weights(piece.connection) * scale
    kept = weights(projection.connection) * 2.0**projection.weight_exp
    norm = float(np.sqrt(np.mean(exact**2))) or 1.0
    top = int(np.abs(weights(projection.connection)).max(initial=0))
    return {
        "name": projection.name,
        "source": projection.source,
        "target": projection.target,
        "threshold_mantissa": int(scale),
        "weight_exp": projection.weight_exp,
        "relative_weight_error": float(np.sqrt(np.mean((kept - exact) ** 2))) / norm,
        "largest_weight": top,
    }


def _decay_errors(network: DiscreteNetwork, populations: list[QuantisedPopulation]) -> list[dict[str, Any]]:
    """Worst relative rounding error of each decay, by population."""
    float_of = {p.name: p for p in network.populations}
    rows = []
    for population in populations:
        exact = float_of[population.node]
        du, dv = exact.du[population.index], exact.dv[population.index]
        rows.append(
            {
                "name": population.name,
                "du": float(np.max(np.abs((population.du + 1) / _DECAY_UNITY / du - 1))),
                "dv": float(np.max(np.abs(population.dv / _DECAY_UNITY - dv) / np.maximum(dv, 1e-12))),
            }
        )
    return rows
