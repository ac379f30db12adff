"""Pictures of a report, drawn by matplotlib as SVG text."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_COLOURS = {"float": "#8aa1b4", "fixed": "#1f5f8b"}
_BASELINE, _CHANCE = "#c9a227", "#b3402a"


def spike_raster(rasters: Mapping[str, NDArray[np.uint8]]) -> str:
    """Spikes of one sample, a panel a layer; rasters: layer -> uint8 (steps, neurons)."""
    figure = _figure(8, 1.1 * len(rasters) + 0.6)
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
    return _svg(figure)


def recall_bars(report: Mapping[str, Any], metric: str) -> str:
    """Float, fixed, the best baseline and chance for every split and direction, with 95 % intervals."""
    keys = list(report["metrics"])
    figure = _figure(8, 3.4)
    axes = figure.add_subplot()
    positions = np.arange(len(keys))
    for offset, engine in ((-0.27, "float"), (0.0, "fixed")):
        entries = [report["metrics"][key][metric][engine] for key in keys]
        _bars(axes, positions + offset, entries, engine, _COLOURS[engine])
    best = [
        max((b[metric] for b in report["baselines"][key].values()), key=lambda e: e["value"]) for key in keys
    ]
    _bars(axes, positions + 0.27, best, "best baseline", _BASELINE)
    for position, key in zip(positions, keys, strict=True):
        level = report["chance"][key][metric]
        axes.hlines(
            level, position - 0.4, position + 0.4, color=_CHANCE, label="chance" if position == 0 else ""
        )
    axes.set_xticks(positions, [key.replace(": ", "\n") for key in keys], fontsize=8)
    axes.set_ylabel(metric, fontsize=8)
    axes.tick_params(labelsize=8)
    axes.legend(fontsize=7, frameon=False)
    return _svg(figure)


def event_bars(activity: Mapping[str, Any]) -> str:
    """Synaptic operations and spikes of one query, by layer (log scale)."""
    rows = [
        (f"{key}\n{layer['name']}", layer) for key, cost in activity.items() for layer in cost["per_layer"]
    ]
    figure = _figure(8, 0.42 * len(rows) + 0.9)
    axes = figure.add_subplot()
    positions = np.arange(len(rows))[::-1]
    for offset, name, colour in ((0.2, "synops", "#1f5f8b"), (-0.2, "spikes", "#c9a227")):
        axes.barh(
            positions + offset, [max(layer[name], 0.1) for _, layer in rows], 0.38, label=name, color=colour
        )
    axes.set_xscale("log")
    axes.set_yticks(positions, [label for label, _ in rows], fontsize=6.5)
    axes.set_xlabel("events a query (mean)", fontsize=8)
    axes.tick_params(axis="x", labelsize=7)
    axes.legend(fontsize=7, frameon=False)
    return _svg(figure)


def recalled_drawings(rows: Sequence[tuple[NDArray[np.uint8], str, Sequence[str], int]]) -> str:
    """Query drawings with what they recalled: (ink (h, w, 3), right caption, recalled captions, rank)."""
    figure = _figure(8, 0.75 * len(rows))
    for i, (ink, caption, recalled, rank) in enumerate(rows):
        axes = figure.add_subplot(len(rows), 8, 8 * i + 1)
        axes.imshow(255 - ink)
        axes.axis("off")
        text = figure.add_subplot(len(rows), 8, (8 * i + 2, 8 * i + 8))
        text.axis("off")
        place = f"rank {rank}" if rank else "not in the first 100"
        text.text(0, 0.62, f"{caption}  ({place})", fontsize=8, weight="bold")
        text.text(0, 0.15, ", ".join(recalled), fontsize=7, color="#444444")
    return _svg(figure)


def _bars(axes: Any, positions: NDArray[np.float64], entries: list[Any], label: str, colour: str) -> None:
    values = np.array([entry["value"] for entry in entries])
    low, high = np.array([entry["ci95"] for entry in entries]).T
    errors = np.maximum([values - low, high - values], 0)
    axes.bar(positions, values, 0.25, yerr=errors, label=label, color=colour, capsize=2, error_kw={"lw": 0.8})


def _figure(width: float, height: float) -> Figure:
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def _svg(figure: Figure) -> str:
    import matplotlib

    buffer = io.StringIO()
    with matplotlib.rc_context(
        {"svg.fonttype": "none", "svg.hashsalt": "snn-deploy", "font.family": "sans-serif"}
    ):
        figure.savefig(buffer, format="svg", metadata={"Date": None})
    text = buffer.getvalue()
    return text[text.index("<svg") :]
