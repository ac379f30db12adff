"""The page of one run: its record as tables, and pictures of what its network does."""

from __future__ import annotations

from pathlib import Path

from snn_deploy.benchmarks.deployed import Deployed
from snn_deploy.benchmarks.record import Record
from snn_deploy.benchmarks.report import figures, render_page
from snn_deploy.benchmarks.task import Task

_DRAWN_METRICS = 2


def write_page(folder: Path, record: Record, task: Task, network: Deployed) -> Path:
    """Write report.html into ``folder``; ``network`` is the first seed's. Returns the page's path."""
    pictures = {
        "Spikes of one query (fixed engine)": _raster(task, network),
        **{
            f"{metric} with 95 % intervals": figures.metric_bars(record, metric)
            for metric in list(task.metrics)[:_DRAWN_METRICS]
        },
        "Events a query, by layer": figures.event_bars(record.activity),
        **task.pictures(network),
    }
    return render_page(folder / "report.html", "run.html.j2", record, pictures)


def _raster(task: Task, network: Deployed) -> str:
    """The spikes of the first item in its first tower, layer by layer."""
    tower, raster = next(iter(task.sample(network, 1).items()))
    layers = network.layers(tower)
    spikes = network.run("fixed", {tower: raster}, record=layers).spikes
    shown = {name: spikes[name][0] for name in layers}
    return figures.spike_raster({"input": raster[0].reshape(raster.shape[1], -1), **shown})
