"""The pictures in the report of emoji-captions: a raster, the bars, the events, what was recalled."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from snn_deploy.benchmarks import figures
from snn_deploy.benchmarks.metrics.retrieval import DEPTH
from snn_deploy.benchmarks.tasks.emoji_data import load_data
from snn_deploy.benchmarks.tasks.emoji_recall import DIRECTIONS, Deployed, noisy_drawings
from snn_deploy.deploy import backends
from snn_deploy.deploy.memory import unit_vectors
from snn_deploy.network.schedule import depths

_EXAMPLES = 8
_TOP = 5


def draw(report: Mapping[str, Any], deployed: Deployed) -> dict[str, str]:
    """Titles and SVG pictures for one report; ``deployed`` is the first seed's network."""
    return {
        "Spikes of one query (the drawing's path, fixed engine)": _raster(deployed),
        "Recall@1 with 95 % intervals": figures.recall_bars(report, "recall@1"),
        "Recall@5 with 95 % intervals": figures.recall_bars(report, "recall@5"),
        "Events a query, by layer": figures.event_bars(report["activity"]),
        "Drawings of unseen concepts, asked under noise, and the captions they recalled": _examples(deployed),
    }


def _raster(deployed: Deployed) -> str:
    spikes = {"image": deployed.query_spikes(1)["image"]}
    network = deployed.artifact.network
    depth = depths(network)
    layers = list(dict.fromkeys(p.node for p in sorted(network.populations, key=lambda p: depth[p.name])))
    result = backends.get("fixed").run(deployed.artifact, spikes, record=layers)
    shown = {name: result.spikes[name][0] for name in layers if result.spikes[name].any()}
    return figures.spike_raster({"input": spikes["image"][0], **shown})


def _examples(deployed: Deployed) -> str:
    asked, stored = deployed.readouts("fixed", "unseen", DIRECTIONS[0])
    scores = unit_vectors(asked.vectors).vectors @ unit_vectors(stored.vectors).vectors.T
    data = load_data()
    rows = data.rows("unseen")
    drawings = noisy_drawings("unseen", deployed.seed)
    shown = []
    for item in np.random.default_rng(deployed.seed).choice(len(rows), _EXAMPLES, replace=False):
        order = np.argsort(-scores[item], kind="stable")
        rank = int(np.flatnonzero(order == item)[0]) + 1
        recalled = [data.captions[rows[i]] for i in order[:_TOP]]
        shown.append((drawings[item], data.captions[rows[item]], recalled, rank if rank <= DEPTH else 0))
    return figures.recalled_drawings(shown)
