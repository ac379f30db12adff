"""A picture of the core grid: which layer is where, how full its core is, and where spikes travel."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from snn_deploy.files import atomic_write
from snn_deploy.hw_profiles.assessment import Assessment
from snn_deploy.hw_profiles.description import FloatArray
from snn_deploy.hw_profiles.placement import Placement

if TYPE_CHECKING:
    from matplotlib.axes import Axes

LARGEST_FLOWS = 300
"""Lines drawn at most; the rest is too thin to be seen."""
LEGEND_INCHES = 2.0
MAX_CHIPS = 8
"""Chips drawn; more do not fit a page."""


def draw(assessment: Assessment, placement: Placement, path: Path) -> None:
    """Write the grid as PNG, PDF or SVG, by the ending of ``path``; replaces it only when complete.

    Each square is a core: its colour the layer, its filling the share of synapse memory in use. Lines
    join tiles, as thick as the packets between them.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    mesh = placement.mesh
    chips = min(assessment.fit.chips, MAX_CHIPS)
    width, height = mesh.columns * chips + LEGEND_INCHES, mesh.rows + 0.6
    figure = Figure(figsize=(width, height))
    FigureCanvasAgg(figure)
    axes = figure.add_axes((0.01, 0.02, 1 - LEGEND_INCHES / width, 1 - 0.6 / height))
    positions = _positions(placement)
    _draw_sites(axes, placement, chips)
    _draw_flows(axes, placement, positions)
    _draw_cores(axes, assessment, positions)
    axes.set(aspect="equal", xticks=[], yticks=[], xlim=(-0.6, mesh.columns * chips - 0.4))
    axes.set_ylim(mesh.rows - 0.4, -0.6)
    report = assessment.fit
    axes.set_title(
        f"{report.profile.title}: {len(report.partition.cores)} cores, {report.chips} chip(s); "
        f"{placement.total_hops:.4g} hops a step ({placement.order})",
        fontsize=9,
    )
    with atomic_write(path) as temporary:
        figure.savefig(temporary, dpi=110)


def _positions(placement: Placement) -> FloatArray:
    """Centre of each core's square, in tile units; the cores of a tile stand in a square of their own."""
    across = int(np.ceil(np.sqrt(placement.mesh.cores_per_tile)))
    met: dict[tuple[int, int], int] = {}
    centres = np.zeros((len(placement.sites), 2))
    for core, (x, y) in enumerate(placement.sites.tolist()):
        slot = met.get((x, y), 0)
        met[x, y] = slot + 1
        centres[core] = _slot_centre(x, y, slot, across)
    return centres


def _slot_centre(x: int, y: int, slot: int, across: int) -> tuple[float, float]:
    step = 0.84 / across
    return x - 0.42 + step * (slot % across + 0.5), y - 0.42 + step * (slot // across + 0.5)


def _draw_sites(axes: Axes, placement: Placement, chips: int) -> None:
    from matplotlib.collections import PatchCollection
    from matplotlib.patches import Rectangle

    mesh = placement.mesh
    tiles = [
        Rectangle((x - 0.46, y - 0.46), 0.92, 0.92)
        for x in range(mesh.columns * chips)
        for y in range(mesh.rows)
    ]
    axes.add_collection(PatchCollection(tiles, facecolor="#f4f4f4", edgecolor="#c8c8c8", linewidth=0.6))
    for chip in range(1, chips):
        axes.axvline(chip * mesh.columns - 0.5, color="#888888", linewidth=1.0)


def _draw_flows(axes: Axes, placement: Placement, positions: FloatArray) -> None:
    from matplotlib.collections import LineCollection

    flow = np.triu(placement.traffic.between + placement.traffic.between.T, 1)
    if not flow.any():
        return
    strongest = np.argsort(flow, axis=None)[::-1][:LARGEST_FLOWS]
    ends = np.stack(np.unravel_index(strongest, flow.shape), axis=1)
    ends = ends[flow[ends[:, 0], ends[:, 1]] > 0]
    packets = flow[ends[:, 0], ends[:, 1]]
    lines: Any = positions[ends]
    widths = 0.2 + 2.0 * packets / packets.max()
    axes.add_collection(
        LineCollection(lines, linewidths=widths.tolist(), colors="#555555", alpha=0.35, zorder=6)
    )


def _draw_cores(axes: Axes, assessment: Assessment, positions: FloatArray) -> None:
    import matplotlib
    from matplotlib.patches import Patch, Rectangle

    layers = list(assessment.fit.partition.slices)
    palette = matplotlib.colormaps["tab20"]
    colours = {name: palette(i % 20) for i, name in enumerate(layers)}
    per_tile = assessment.placement.mesh.cores_per_tile if assessment.placement is not None else 1
    side = 0.80 / int(np.ceil(np.sqrt(per_tile)))
    limit = assessment.fit.profile.limits.synapse_bits_per_core
    bound = limit.value if limit is not None else None
    for core in assessment.fit.partition.cores:
        x, y = positions[core.index] - side / 2
        share = min(core.use["synapse_bits_per_core"] / bound, 1.0) if bound else 1.0
        colour = colours[core.slices[0].layer]
        axes.add_patch(
            Rectangle((x, y), side, side, facecolor="white", edgecolor=colour, linewidth=1.0, zorder=4)
        )
        axes.add_patch(
            Rectangle((x, y + side * (1 - share)), side, side * share, facecolor=colour, zorder=5, alpha=0.85)
        )
    shown = layers[:20]
    handles = [Patch(color=colours[name], label=name) for name in shown]
    axes.legend(handles=handles, fontsize=7, loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False)
