"""Recall in the task emoji-captions: which queries are asked, on which engine, and what they cost."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from snn_deploy.benchmarks.metrics.retrieval import ranks, ranks_of_scores
from snn_deploy.benchmarks.tasks import emoji_baselines
from snn_deploy.benchmarks.tasks import emoji_captions as task
from snn_deploy.benchmarks.tasks.emoji_data import load_data
from snn_deploy.convert.artifact import Artifact
from snn_deploy.deploy import backends
from snn_deploy.deploy.memory import on_minus_off
from snn_deploy.engine.result import LayerActivity
from snn_deploy.network.quantised import QuantisedNetwork

#: Spikes are drawn from disjoint seeds, so that no query is the raster of the item it looks for.
_GALLERY, _QUERY, _CALIBRATION = 1_000, 2_000, 3_000
_CALIBRATION_SAMPLES = 64


@dataclass(frozen=True)
class Direction:
    """One kind of query: what is shown, and what is stored."""

    name: str
    query: str
    gallery: str


DIRECTIONS = (
    Direction("image to caption", "noisy image", "caption"),
    Direction("caption to image", "caption", "image"),
)


@dataclass(frozen=True, eq=False)
class Embedded:
    """Read-outs of one modality of a split: vectors (items, pairs), ON minus OFF counts, and the activity."""

    vectors: NDArray[np.float32]
    layers: tuple[LayerActivity, ...]

    def cost_per_query(self) -> dict[str, Any]:
        """Events of one query on the chip: totals and by layer, means over all queries."""
        items = len(self.vectors)
        fields = ("spikes", "input_events", "synops", "synops_stored", "neuron_updates")
        per_layer: list[dict[str, Any]] = [
            {"name": layer.name, "neurons": layer.neurons, **{f: getattr(layer, f) / items for f in fields}}
            for layer in self.layers
        ]
        return {**{f: sum(row[f] for row in per_layer) for f in fields}, "per_layer": per_layer}


@dataclass(frozen=True, eq=False)
class Deployed:
    """A converted dual encoder, with what its input coding needs.

    whitening: as stored with the model. seed: draws the noise and the spikes of queries and stored items.
    """

    artifact: Artifact
    whitening: Mapping[str, Any]
    seed: int

    @property
    def steps(self) -> int:
        return int(self.artifact.provenance["steps"])

    def readouts(self, backend: str, split: str, direction: Direction) -> tuple[Embedded, Embedded]:
        """(queries, stored items) of one split and direction, run on ``backend``."""
        return (
            self._embed(backend, split, direction.query, _QUERY),
            self._embed(backend, split, direction.gallery, _GALLERY),
        )

    def recall(self, backend: str) -> tuple[dict[str, NDArray[np.int64]], dict[str, Embedded]]:
        """Ranks of every split and direction, "split: direction" -> (items,), and the queries' read-outs."""
        found: dict[str, NDArray[np.int64]] = {}
        asked: dict[str, Embedded] = {}
        for split in task.SPLITS:
            for direction in DIRECTIONS:
                queries, stored = self.readouts(backend, split, direction)
                key = f"{split}: {direction.name}"
                found[key] = ranks(queries.vectors, stored.vectors)
                asked[key] = queries
        return found, asked

    def captions_twice(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Read-outs of the seen captions on the fixed engine from two draws of spikes: stored, and cues."""
        stored = self._embed("fixed", "seen", "caption", _GALLERY)
        return stored.vectors, self._embed("fixed", "seen", "caption", _QUERY).vectors

    def query_spikes(self, samples: int) -> dict[str, NDArray[np.uint8]]:
        """The first ``samples`` unseen queries of both towers, as a run takes them."""
        return paired_spikes("unseen", self.steps, samples, _QUERY + self.seed, self.whitening)

    def _embed(self, backend: str, split: str, modality: str, draw: int) -> Embedded:
        tower = task.TOWERS[modality]
        spikes = task.spikes(split, modality, draw + self.seed, steps=self.steps, whitening=self.whitening)
        result = backends.get(backend).run(self.artifact, {tower: spikes})
        behind = _behind(self.artifact.network, tower)
        output = next(o for o in self.artifact.network.outputs if o.node in behind)
        layers = tuple(layer for layer in result.layers if layer.name in behind)
        return Embedded(on_minus_off(result.counts[output.name]), layers)


def paired_spikes(
    split: str, steps: int, samples: int, seed: int, whitening: Mapping[str, Any]
) -> dict[str, NDArray[np.uint8]]:
    """Spikes of the first pairs of a split for both towers, drawings under noise."""
    return {
        task.TOWERS[modality]: task.spikes(split, modality, seed, steps=steps, whitening=whitening)[:samples]
        for modality in ("noisy image", "caption")
    }


def calibration_spikes(steps: int, seed: int, whitening: Mapping[str, Any]) -> dict[str, NDArray[np.uint8]]:
    """Training pairs under fresh noise, for calibration: no query and no unseen concept is among them."""
    return paired_spikes("seen", steps, _CALIBRATION_SAMPLES, _CALIBRATION + seed, whitening)


def noisy_drawings(split: str, seed: int) -> NDArray[np.uint8]:
    """Ink (items, 32, 32, 3) of the drawings as the queries of ``seed`` show them."""
    data = load_data()
    draw = [_QUERY + seed, task.SPLITS.index(split), task.MODALITIES.index("noisy image")]
    ink = task.perturb(data.drawings[data.rows(split)], np.random.default_rng(draw))
    return np.asarray(255 * ink).astype(np.uint8)


def baseline_ranks(split: str, seed: int) -> dict[str, dict[str, NDArray[np.int64]]]:
    """Ranks of the baselines on the same noisy drawings, "split: direction" -> method -> (items,)."""
    found: dict[str, dict[str, NDArray[np.int64]]] = {}
    for name, matrix in emoji_baselines.scores(split, _QUERY + seed).items():
        direction, _, method = name.partition(": ")
        found.setdefault(f"{split}: {direction}", {})[method] = ranks_of_scores(matrix)
    return found


def _behind(network: QuantisedNetwork, source: str) -> set[str]:
    """Graph nodes that spikes of an input can reach."""
    reached = {source}
    node_of = {population.name: population.node for population in network.populations}
    while True:
        grown = reached | {edge.target for edge in network.projections if edge.source in reached}
        if grown == reached:
            return {node_of[name] for name in reached if name in node_of}
        reached = grown
