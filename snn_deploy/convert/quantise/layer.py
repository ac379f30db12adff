"""One node of the graph at one level: its populations, planes, biases, and what rounding cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from snn_deploy.convert.quantise import decays
from snn_deploy.convert.quantise.biases import round_bias
from snn_deploy.convert.quantise.blocks import Block, block
from snn_deploy.convert.quantise.decays import Correction
from snn_deploy.convert.quantise.evidence import Evidence
from snn_deploy.convert.quantise.grids import (
    LEVELS,
    Grid,
    Level,
    choose_grid,
    plane_range,
    sorted_magnitudes,
    squared_error,
)
from snn_deploy.convert.quantise.groups import Group, Piece
from snn_deploy.convert.quantise.headroom import Reach, reach, roomy_scale
from snn_deploy.convert.quantise.moments import Arriving, Moments, moments
from snn_deploy.convert.quantise.planes import cut, describe, projections
from snn_deploy.convert.quantise.report import population_row
from snn_deploy.convert.quantise.rounding import Columns, correct_bias, descend, round_nearest
from snn_deploy.convert.quantise.scale import ceilings, choose_scale, memory, relative_error, violations
from snn_deploy.errors import Violation
from snn_deploy.hw_profiles import Profile
from snn_deploy.network.arrays import FloatArray, frozen
from snn_deploy.network.discrete import DiscretePopulation
from snn_deploy.network.integers import STATE_SHIFT, UNREACHABLE_VTH
from snn_deploy.network.quantised import QuantisedPopulation, QuantisedProjection

#: Candidate scales are compared on whole rows of about this many weights of each block.
_COMPARED_WEIGHTS = 1 << 14

#: How weights are rounded: coordinate descent with or without the bias as a column, nearest with or
#: without the bias correction.
Rounding = Literal["descent+bias", "descent", "nearest+bias", "nearest"]
ROUNDINGS: tuple[Rounding, ...] = ("descent+bias", "descent", "nearest+bias", "nearest")


@dataclass(frozen=True, eq=False)
class QuantisedLayer:
    """A node's share of the QuantisedNetwork.

    rows: one report entry a population. biases: of v before rounding, integer units, one array a population.
    """

    populations: tuple[QuantisedPopulation, ...]
    projections: tuple[QuantisedProjection, ...]
    rows: tuple[dict[str, Any], ...]
    violations: tuple[Violation, ...]
    biases: tuple[FloatArray, ...]


@dataclass(frozen=True, eq=False)
class RoundingProblem:
    """A group of neurons ready to be quantised at any level: everything that no level changes.

    blocks: one a piece, weights with the decay gain already in. correction: of rounded decays. importance:
    of a squared error in each column of each block. moments: where the blocks share rows, so that one
    matrix speaks of them all. compared: some rows of each block. magnitudes: of each block's nonzero
    weights, in rising order.
    reach: how far u and v can go on any input.
    """

    population: DiscretePopulation
    group: Group
    pieces: tuple[Piece, ...]
    blocks: tuple[Block, ...]
    importance: tuple[FloatArray, ...]
    moments: Moments | None
    correction: Correction
    message_bits: Mapping[str, int]
    compared: tuple[FloatArray, ...]
    magnitudes: tuple[FloatArray, ...]
    reach: Reach


@dataclass(frozen=True, eq=False)
class LevelGrids:
    """What a level decides before any weight is rounded: the state scale, and each block's grid.

    limits: the largest scale that each format allows, by what limits it.
    """

    level: Level
    scale: int
    grids: tuple[Grid, ...]
    limits: Mapping[str, float]
    violations: tuple[Violation, ...]


def prepare(
    population: DiscretePopulation,
    group: Group,
    pieces: Sequence[Piece],
    *,
    evidence: Evidence,
    profile: Profile,
    message_bits: Mapping[str, int],
) -> RoundingProblem:
    """Fit the decay gain, view the weights as matrices and take their moments over calibration."""
    raw = [block(piece.connection) for piece in pieces]
    kinds = {b.rows for b in raw}
    shared = kinds == {"neuron"} or (kinds == {"channel"} and len(raw) == 1)
    rows = len(raw[0].matrix) if shared else 1
    match = evidence.decay_matches[population.name]
    correction = decays.correction(match, population, group.index, rows)
    gain = correction.gain
    of_rows = gain[:: max(1, gain.size // rows), None] if shared else gain[0]
    blocks = tuple(replace(b, matrix=b.matrix * of_rows) for b in raw)
    found: Moments | None = None
    if shared:
        du, dv = decays.kept_decays(group.du, group.dv, profile)
        rate = float(evidence.rasters[population.name][:, :, group.index].mean())
        arriving = [
            Arriving(evidence.rasters[p.edge.source][:, :, p.columns], p.edge.delay, p.connection, b)
            for p, b in zip(pieces, blocks, strict=True)
        ]
        forgets = rate if population.reset == "zero" else 0.0
        found = moments(arriving, float(du), float(dv), forgets)
    return RoundingProblem(
        population,
        group,
        tuple(pieces),
        blocks,
        _importance(blocks, found),
        found,
        correction,
        message_bits,
        tuple(_some_rows(b.matrix) for b in blocks),
        tuple(sorted_magnitudes(b.matrix) for b in blocks),
        reach(population, group, pieces, blocks, message_bits),
    )


def choose_grids(
    task: RoundingProblem, level: Level, *, evidence: Evidence, profile: Profile, bits: int
) -> LevelGrids:
    """Choose the state scale with the smallest weight error, and the grids that go with it."""
    largest = [float(magnitudes[-1]) for magnitudes in task.magnitudes if magnitudes.size]
    _, top = plane_range(level, profile, bits)
    seen = evidence.extremes[task.population.name]
    limits = ceilings(
        task.population, task.group, seen, profile, largest_weight=max(largest, default=0.0), top=top
    )
    problems = violations(task.group.name, limits)
    scale = 1
    if not problems:
        du, dv = decays.kept_decays(task.group.du, task.group.dv, profile)
        scale = choose_scale(
            limits,
            roomy_scale(task.reach, profile),
            largest,
            top,
            error=lambda s: _weight_error(task, level, s, profile, bits),
            memory=memory(float(du), float(dv)),
        )
    matrices = [b.matrix for b in task.blocks]
    grids = _grids(task, matrices, level, scale, profile=profile, bits=bits)
    return LevelGrids(level, scale, tuple(grids), limits, tuple(problems))


def quantise_group(
    task: RoundingProblem, planned: LevelGrids, rounding: Rounding, *, profile: Profile, bits: int
) -> QuantisedLayer:
    """Round one group of neurons as planned, and cut it into planes."""
    level, scale, grids = planned.level, planned.scale, planned.grids
    rounded, shift = _round(task, grids, scale, rounding)
    population = _population(task, scale, shift, profile)
    found: list[QuantisedProjection] = []
    weight_rows: list[dict[str, Any]] = []
    for piece, view, grid, values in zip(task.pieces, task.blocks, grids, rounded, strict=True):
        planes = projections(
            piece,
            view,
            cut(values, grid),
            target=population.name,
            bits=bits,
            message_bits=task.message_bits.get(piece.source, 0),
        )
        found += planes
        exact = view.matrix * scale
        weight_rows.append(
            {
                "name": piece.name,
                "relative_weight_error": relative_error(values, exact),
                "saturated_weights": int(np.count_nonzero(np.abs(exact) > grid.top + grid.step)),
                "planes": [describe(plane) for plane in planes],
            }
        )
    bias = _exact_bias(task, scale, shift)
    row = {
        **population_row(task.population, population, found, profile, bias=bias, gain=task.correction.gain),
        "level": LEVELS.index(level),
        "level_title": level.title,
        "rounding": rounding if task.moments is not None else "nearest",
        "scale_limited_by": min(planned.limits, key=lambda name: planned.limits[name]),
        "projections": weight_rows,
    }
    return QuantisedLayer((population,), tuple(found), (row,), planned.violations, (bias,))


def merge(layers: Sequence[QuantisedLayer]) -> QuantisedLayer:
    """The groups of one node as one layer."""
    return QuantisedLayer(
        tuple(p for layer in layers for p in layer.populations),
        tuple(p for layer in layers for p in layer.projections),
        tuple(row for layer in layers for row in layer.rows),
        tuple(v for layer in layers for v in layer.violations),
        tuple(bias for layer in layers for bias in layer.biases),
    )


def _importance(blocks: Sequence[Block], found: Moments | None) -> tuple[FloatArray, ...]:
    """The diagonal of H, cut by block; ones where calibration says nothing."""
    widths = [b.matrix.shape[1] for b in blocks]
    if found is None or not np.any(found.diagonal):
        return tuple(np.ones(width) for width in widths)
    return tuple(np.split(found.diagonal, np.cumsum(widths)[:-1])) if widths else ()


def _some_rows(matrix: FloatArray) -> FloatArray:
    """Rows spread evenly over the matrix."""
    rows, columns = matrix.shape
    kept = min(rows, max(1, _COMPARED_WEIGHTS // max(1, columns)))
    return matrix[np.linspace(0, rows, kept, endpoint=False).astype(np.int64)]


def _grids(
    task: RoundingProblem,
    matrices: Sequence[FloatArray],
    level: Level,
    scale: float,
    *,
    profile: Profile,
    bits: int,
) -> list[Grid]:
    """A grid for each block, fitted to ``matrices``: the blocks' weights, or some of them."""
    parts = zip(matrices, task.importance, task.magnitudes, strict=True)
    return [
        choose_grid(level, matrix * scale, importance, profile, bits, magnitudes=magnitudes * scale)
        for matrix, importance, magnitudes in parts
    ]


def _weight_error(task: RoundingProblem, level: Level, scale: float, profile: Profile, bits: int) -> float:
    """Squared weight error in units of the threshold, estimated from the compared rows."""
    total = 0.0
    grids = _grids(task, task.compared, level, scale, profile=profile, bits=bits)
    for grid, some, view, importance in zip(grids, task.compared, task.blocks, task.importance, strict=True):
        total += squared_error(grid, some * scale, importance) * len(view.matrix) / max(1, len(some))
    return total / scale**2


def _round(
    task: RoundingProblem, grids: Sequence[Grid], scale: float, rounding: Rounding
) -> tuple[list[FloatArray], FloatArray]:
    """Integers of every block, and the change of v's bias a neuron, in units of the weights."""
    neurons = task.group.index.size
    pairs = list(zip(grids, task.blocks, strict=True))
    if task.moments is None:
        return [grid.nearest(b.matrix * scale) for grid, b in pairs], np.zeros(neurons)
    columns = [Columns(grid.nearest, b.matrix.shape[1], b.pattern) for grid, b in pairs]
    target = np.concatenate([b.matrix for b in task.blocks], axis=1) * scale
    if rounding.startswith("descent"):
        values, shift = descend(target, columns, task.moments, use_bias=rounding.endswith("bias"))
    else:
        values = round_nearest(target, columns)
        shift = np.zeros(len(target))
        if rounding.endswith("bias"):
            shift = correct_bias(values - target, task.moments)
    stops = np.cumsum([part.count for part in columns])[:-1]
    return np.split(values, stops, axis=1), np.repeat(shift, neurons // len(shift))


def _population(
    task: RoundingProblem, scale: int, shift: FloatArray, profile: Profile
) -> QuantisedPopulation:
    population, group = task.population, task.group
    unit = scale * float(1 << STATE_SHIFT)
    mantissa, exponent = round_bias(_exact_bias(task, scale, shift), profile)
    return QuantisedPopulation(
        name=group.name,
        node=population.name,
        index=frozen(group.index, np.int64),
        du=group.du,
        dv=group.dv,
        vth=scale if population.spiking else UNREACHABLE_VTH,
        bias_mant=frozen(mantissa, np.int64),
        bias_exp=frozen(exponent, np.int64),
        u0=frozen(np.rint(population.u0[group.index] * task.correction.gain * unit), np.int64),
        v0=frozen(np.rint(population.v0[group.index] * unit), np.int64),
        scale=float(scale),
        spiking=population.spiking,
        reset=population.reset,
    )


def _exact_bias(task: RoundingProblem, scale: int, shift: FloatArray) -> FloatArray:
    """The bias of v before rounding, in integer units, with the correction of weight errors in it."""
    exact = task.population.bias[task.group.index] * task.correction.gain + task.correction.offset
    return np.asarray((exact * scale + shift) * (1 << STATE_SHIFT))
