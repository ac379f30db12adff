"""The pictures of ``bench speed``: a ladder of speeds for each network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from snn_deploy.benchmarks.report import short
from snn_deploy.benchmarks.report.figures import new_figure, svg_text

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_FAMILIES = {"ours": "#1f5f8b", "peer": "#c9a227", "Lava": "#b3402a"}


def draw(report: Mapping[str, Any]) -> dict[str, str]:
    """Network -> SVG."""
    return {name: _ladder(entry) for name, entry in report["networks"].items()}


def _ladder(entry: Mapping[str, Any]) -> str:
    engine = entry["engine"]
    rows = [
        SpeedRow(f"kernel {name}", "ours", by_batch)
        for name, by_batch in engine["samples_per_second"].items()
    ]
    rows += [
        SpeedRow(name, "peer", by_batch)
        for name, by_batch in entry["peers"].get("samples_per_second", {}).items()
    ]
    lava = dict(entry.get("lava", {}).get("samples_per_second", {}))
    lava.pop("end to end", None)  # it stands again under the name of its way
    # Lava's ways have their own number of samples a run, which is no batch of ours
    rows += [SpeedRow(f"Lava, {way}", "Lava", {"": speed}) for way, speed in lava.items()]
    return speed_bars(rows, list(engine["samples_per_second"][engine["kernel"]]))


@dataclass(frozen=True)
class SpeedRow:
    """One tool of a speed chart: ``family`` is ours, peer or Lava; ``speeds``: batch -> samples a second."""

    name: str
    family: str
    speeds: Mapping[str, float]


def speed_bars(rows: Sequence[SpeedRow], batches: Sequence[str]) -> str:
    """Samples a second of every tool, fastest first, a bar a batch, on a logarithmic axis."""
    rows = sorted(rows, key=lambda row: -max(row.speeds.values()))
    figure = new_figure(8, 0.15 * sum(len(row.speeds) + 0.9 for row in rows) + 1.1)
    axes = figure.add_subplot()
    strengths = dict(zip(batches, np.linspace(0.4, 1, len(batches)), strict=True))
    place, ticks = 0.0, []
    for row in rows:
        ticks.append(place + (len(row.speeds) - 1) / 2)
        for batch, speed in row.speeds.items():
            axes.barh(place, speed, 0.92, color=_shade(_FAMILIES[row.family], strengths.get(batch, 1.0)))
            axes.text(speed * 1.08, place, short(speed), va="center", fontsize=6.5, color="#333333")
            place += 1
        place += 0.9
    axes.set_xscale("log")
    low = min(min(row.speeds.values()) for row in rows)
    high = max(max(row.speeds.values()) for row in rows)
    axes.set_xlim(10 ** np.floor(np.log10(low) - 0.05), high * 2.5)
    axes.set_ylim(place - 0.9, -0.8)
    axes.set_yticks(ticks, [row.name for row in rows], fontsize=8)
    axes.tick_params(axis="y", length=0)
    axes.tick_params(axis="x", labelsize=7)
    axes.grid(axis="x", color="#e6ecf0")
    axes.set_axisbelow(True)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.set_xlabel("samples a second, logarithmic", fontsize=8)
    _speed_legend(figure, strengths, {row.family for row in rows})
    return svg_text(figure)


def _speed_legend(figure: Figure, strengths: Mapping[str, float], families: set[str]) -> None:
    from matplotlib.patches import Patch

    titles = {"ours": "ours, Loihi integers", "peer": "peers, floats", "Lava": "stock Lava, Loihi integers"}
    handles = [Patch(color=_FAMILIES[name], label=titles[name]) for name in _FAMILIES if name in families]
    handles += [Patch(color=_shade("#444444", s), label=f"batch {name}") for name, s in strengths.items()]
    figure.legend(handles=handles, fontsize=7, frameon=False, loc="outside upper center", ncols=len(handles))


def _shade(colour: str, strength: float) -> str:
    """The colour mixed with white; not transparent, so that no grid line shows through."""
    from matplotlib.colors import to_hex, to_rgb

    red, green, blue = (1 - strength * (1 - part) for part in to_rgb(colour))
    return to_hex((red, green, blue))
