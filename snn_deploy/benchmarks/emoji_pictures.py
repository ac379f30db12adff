"""The pictures in the report of emoji-captions: a raster, the bars, the events, what was recalled."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from snn_deploy.benchmarks import figures
from snn_deploy.benchmarks.metrics.retrieval import DEPTH
from snn_deploy.benchmarks.tasks import emoji_recall
from snn_deploy.benchmarks.tasks.emoji_data import load_data
from snn_deploy.convert.artifact import Artifact
from snn_deploy.convert.schedule import depths
from snn_deploy.deploy import backends
from snn_deploy.deploy.memory import unit_vectors

_EXAMPLES = 8
_TOP = 5


def draw(
    report: Mapping[str, Any], artifact: Artifact, whitening: Mapping[str, Any], seed: int
) -> dict[str, str]:
    """Titles and SVG pictures for one report; ``artifact`` is the first seed's."""
    return {
        "Spikes of one query (the drawing's path, fixed engine)": _raster(artifact, whitening, seed),
        "Recall@1 with 95 % intervals": figures.recall_bars(report, "recall@1"),
        "Recall@5 with 95 % intervals": figures.recall_bars(report, "recall@5"),
        "Events a query, by layer": figures.event_bars(report["activity"]),
        "Drawings of unseen concepts, asked under noise, and the captions they recalled": _examples(
            artifact, whitening, seed
        ),
    }


def _raster(artifact: Artifact, whitening: Mapping[str, Any], seed: int) -> str:
    steps = int(artifact.provenance["steps"])
    spikes = {"image": emoji_recall.query_spikes(steps, 1, seed, whitening)["image"]}
    depth = depths(artifact.network)
    layers = [p.node for p in sorted(artifact.network.populations, key=lambda p: depth[p.name])]
    layers = list(dict.fromkeys(layers))
    result = backends.get("fixed").run(artifact, spikes, record=layers)
    shown = {name: result.spikes[name][0] for name in layers if result.spikes[name].any()}
    return figures.spike_raster({"input": spikes["image"][0], **shown})


def _examples(artifact: Artifact, whitening: Mapping[str, Any], seed: int) -> str:
    asked, stored = emoji_recall.readouts(
        artifact, "fixed", "unseen", emoji_recall.DIRECTIONS[0], seed, whitening
    )
    scores = unit_vectors(asked.vectors).vectors @ unit_vectors(stored.vectors).vectors.T
    data = load_data()
    rows = data.rows("unseen")
    drawings = emoji_recall.noisy_drawings("unseen", seed)
    shown = []
    for item in np.random.default_rng(seed).choice(len(rows), _EXAMPLES, replace=False):
        order = np.argsort(-scores[item], kind="stable")
        rank = int(np.flatnonzero(order == item)[0]) + 1
        recalled = [data.captions[rows[i]] for i in order[:_TOP]]
        shown.append((drawings[item], data.captions[rows[item]], recalled, rank if rank <= DEPTH else 0))
    return figures.recalled_drawings(shown)
