"""Pictures of a report, drawn by matplotlib as SVG text."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from snn_deploy.benchmarks.metrics.estimate import Estimate
    from snn_deploy.benchmarks.record import Activity, Record

_COLOURS = {"float": "#8aa1b4", "fixed": "#1f5f8b"}
_BASELINE, _CHANCE = "#c9a227", "#b3402a"


def spike_raster(rasters: Mapping[str, NDArray[np.uint8]]) -> str:
    """Spikes of one sample, a panel a layer; rasters: layer -> uint8 (steps, neurons)."""
    figure = new_figure(8, 1.1 * len(rasters) + 0.6)
    for i, (name, raster) in enumerate(rasters.items()):
        axes = figure.add_subplot(len(rasters), 1, i + 1)
        step, neuron = np.nonzero(raster)
        axes.plot(step, neuron, linestyle="none", marker=".", markersize=1.6, color="black")
        axes.set_xlim(-0.5, raster.shape[0] - 0.5)
        axes.set_ylim(-1, raster.shape[1])
        axes.set_yticks([0, raster.shape[1] - 1])
        rate = raster.mean()
        axes.set_title(
            f"{name}: {int(raster.sum())} spikes, {100 * rate:.1f} % a step", fontsize=8, loc="left"
        )
        axes.tick_params(labelsize=7)
        if i + 1 < len(rasters):
            axes.set_xticklabels([])
    figure.axes[-1].set_xlabel("time step", fontsize=8)
    return svg_text(figure)


def metric_bars(record: Record, metric: str) -> str:
    """Float, fixed, the best baseline and chance for every query, with 95 % intervals."""
    queries = record.queries
    figure = new_figure(8, 3.4)
    axes = figure.add_subplot()
    positions = np.arange(len(queries))
    for offset, engine in ((-0.27, "float"), (0.0, "fixed")):
        entries = [record.metrics[query][metric][engine] for query in queries]
        _bars(axes, positions + offset, entries, engine, _COLOURS[engine])
    best = [
        max((methods[metric] for methods in record.baselines[query].values()), key=lambda e: e.value)
        for query in queries
    ]
    _bars(axes, positions + 0.27, best, "best baseline", _BASELINE)
    for position, query in zip(positions, queries, strict=True):
        level = record.chance[query][metric]
        axes.hlines(
            level, position - 0.4, position + 0.4, color=_CHANCE, label="chance" if position == 0 else ""
        )
    axes.set_xticks(positions, [query.replace(": ", "\n") for query in queries], fontsize=8)
    axes.set_ylabel(metric, fontsize=8)
    axes.tick_params(labelsize=8)
    axes.legend(fontsize=7, frameon=False)
    return svg_text(figure)


def event_bars(activity: Mapping[str, Activity]) -> str:
    """Synaptic operations and spikes per query, by layer (log scale)."""
    rows = [(f"{query}\n{layer.name}", layer) for query, cost in activity.items() for layer in cost.per_layer]
    figure = new_figure(8, 0.42 * len(rows) + 0.9)
    axes = figure.add_subplot()
    positions = np.arange(len(rows))[::-1]
    for offset, name, colour in ((0.2, "synops", "#1f5f8b"), (-0.2, "spikes", "#c9a227")):
        values = [max(getattr(layer, name), 0.1) for _, layer in rows]
        axes.barh(positions + offset, values, 0.38, label=name, color=colour)
    axes.set_xscale("log")
    axes.set_yticks(positions, [label for label, _ in rows], fontsize=6.5)
    axes.set_xlabel("events a query (mean)", fontsize=8)
    axes.tick_params(axis="x", labelsize=7)
    axes.legend(fontsize=7, frameon=False)
    return svg_text(figure)


def table(counts: NDArray[np.int64], names: Sequence[str]) -> str:
    """A square table of counts, rows and columns of the same names, darker where more."""
    side = min(8.0, 1.2 + 0.38 * len(names))
    figure = new_figure(side, side)
    axes = figure.add_subplot()
    axes.imshow(counts, cmap="Blues")
    for (row, column), count in np.ndenumerate(counts):
        if count:
            shade = "white" if 2 * count > counts.max() else "#1c2730"
            axes.text(column, row, str(count), ha="center", va="center", fontsize=6.5, color=shade)
    axes.set_xticks(range(len(names)), names, fontsize=7, rotation=90 if max(map(len, names)) > 3 else 0)
    axes.set_yticks(range(len(names)), names, fontsize=7)
    return svg_text(figure)


def fronts(panels: Mapping[str, Mapping[str, Any]], cost: str, metric: str) -> str:
    """Recall against cost, a panel a query, each run a point with its intervals, the front as a line.

    panels: query -> {"points": run -> {"cost", "cost_range", "recall", "ci95"}, "front": runs, "chance",
    "baseline": {"name", "value"}}.
    """
    columns = min(2, len(panels))
    rows = -(-len(panels) // columns)
    figure = new_figure(8, 2.7 * rows + 0.5)
    for i, (query, panel) in enumerate(panels.items()):
        axes = figure.add_subplot(rows, columns, i + 1)
        _front_panel(axes, panel)
        axes.set_title(query, fontsize=9, loc="left")
        if i % columns == 0:
            axes.set_ylabel(f"{metric}, %", fontsize=8)
    figure.supxlabel(cost, fontsize=8)
    handles, labels = figure.axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, fontsize=7, frameon=False, loc="outside upper center", ncols=4)
    return svg_text(figure)


def _front_panel(axes: Any, panel: Mapping[str, Any]) -> None:
    from matplotlib.ticker import EngFormatter

    best, front, points = panel["baseline"], panel["front"], panel["points"]
    axes.axhline(100 * panel["chance"], color=_CHANCE, lw=2, label="chance")
    axes.axhline(100 * best["value"], color=_BASELINE, lw=1, ls="--", label="best baseline")
    line = [(points[name]["cost"], 100 * points[name]["recall"]) for name in front]
    axes.plot(*zip(*line, strict=True), drawstyle="steps-post", color="#c5d9e8", lw=3, label="front")
    for name, point in points.items():
        x, y = point["cost"], 100 * point["recall"]
        low, high = point["cost_range"]
        down, up = (100 * end for end in point["ci95"])
        colour = "#1f5f8b" if name in front else "#8aa1b4"
        spread = {"xerr": [[x - low], [high - x]], "yerr": [[max(0, y - down)], [max(0, up - y)]]}
        axes.errorbar(x, y, **spread, fmt="o", color=colour, ms=5, elinewidth=0.8, capsize=2)
        axes.annotate(name, (x, y), xytext=(6, 5), textcoords="offset points", fontsize=7, color="#333333")
    axes.set_ylim(bottom=0)
    axes.margins(x=0.25, y=0.15)
    axes.tick_params(labelsize=7)
    axes.xaxis.set_major_formatter(EngFormatter(sep=""))
    axes.spines[["top", "right"]].set_visible(False)


def recalled_drawings(rows: Sequence[tuple[NDArray[np.uint8], str, Sequence[str], int]]) -> str:
    """Query drawings with what they recalled: (ink (h, w, 3), right caption, recalled captions, rank)."""
    figure = new_figure(8, 0.75 * len(rows))
    for i, (ink, caption, recalled, rank) in enumerate(rows):
        axes = figure.add_subplot(len(rows), 8, 8 * i + 1)
        axes.imshow(255 - ink)
        axes.axis("off")
        text = figure.add_subplot(len(rows), 8, (8 * i + 2, 8 * i + 8))
        text.axis("off")
        place = f"rank {rank}" if rank else "not in the first 100"
        text.text(0, 0.62, f"{caption}  ({place})", fontsize=8, weight="bold")
        text.text(0, 0.15, ", ".join(recalled), fontsize=7, color="#444444")
    return svg_text(figure)


def _bars(
    axes: Any, positions: NDArray[np.float64], entries: Sequence[Estimate], label: str, colour: str
) -> None:
    values = np.array([entry.value for entry in entries])
    low, high = np.array([entry.ci95 for entry in entries]).T
    errors = np.maximum([values - low, high - values], 0).tolist()  # an array of one bar makes NumPy warn
    axes.bar(positions, values, 0.25, yerr=errors, label=label, color=colour, capsize=2, error_kw={"lw": 0.8})


def new_figure(width: float, height: float) -> Figure:
    """An empty figure of so many inches."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def svg_text(figure: Figure) -> str:
    """The figure as an SVG element, the same bytes for the same picture."""
    import matplotlib

    buffer = io.StringIO()
    with matplotlib.rc_context(
        {"svg.fonttype": "none", "svg.hashsalt": "snn-deploy", "font.family": "sans-serif"}
    ):
        figure.savefig(buffer, format="svg", metadata={"Date": None})
    text = buffer.getvalue()
    return text[text.index("<svg") :]
