"""The pictures of ``bench speed``: a ladder of speeds for each network."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from snn_deploy.benchmarks.report.figures import SpeedRow, speed_bars


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
