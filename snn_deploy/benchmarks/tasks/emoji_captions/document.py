"""The document's own encoder: dual towers of 256 and 128 LIF neurons and 512 outputs, rate-coded for T = 60.

Recipe: NT-Xent at temperature 0.2, AdamW at 3e-4, batches of 16, 24 epochs, no augmentation; the embedding is
the outputs' spikes in the last quarter of the steps. Captions are raw sentence embeddings, ON and OFF.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from snn_deploy.benchmarks.deployed import Deployed
from snn_deploy.benchmarks.kinds.retrieval import Embedded
from snn_deploy.benchmarks.tasks.emoji_captions.data import SIDE, load_data
from snn_deploy.benchmarks.tasks.emoji_captions.questions import EmojiQuestions, Ink, Vectors
from snn_deploy.train.coding import on_off
from snn_deploy.train.encoders import Layer, feed_forward
from snn_deploy.train.examples import Examples
from snn_deploy.train.objectives import NtXent, Objective
from snn_deploy.train.readout import Readout
from snn_deploy.train.recipe import Recipe

_READOUT = Readout(last=0.25)
_CAPTION_GAIN = 8.0
"""Spike probability of a caption channel whose value is 1: most values are below 1/8."""


class DenseRate(EmojiQuestions):
    """Two towers as the module says; the penalty keeps their layers from falling silent."""

    encoder = "dense-rate"
    readout_name = "counts"
    recipe = Recipe(
        steps=60,
        rate_epochs=0,
        epochs=24,
        batch=16,
        learning_rate=3e-4,
        temperature=0.2,
        rate_penalty=0.1,
        rate_high=0.5,
    )
    quick_recipe = recipe.changed({"epochs": 1, "batch": 128})

    def input_shapes(self) -> dict[str, tuple[int, ...]]:
        return {"image": (3 * SIDE * SIDE,), "caption": (2 * 512,)}

    def towers(self, encoder: str, recipe: Recipe) -> dict[str, list[Layer]]:
        widths = (256, 128, 512)
        return {name: feed_forward(shape, widths, recipe) for name, shape in self.input_shapes().items()}

    def objective(self, recipe: Recipe) -> Objective:
        return NtXent(recipe.temperature, readout=_READOUT, on_off=False)

    def views(self, rng: np.random.Generator) -> Examples:
        data = load_data()
        drawn = np.stack([data.hands[hand][data.seen] for hand in self.training_hands])
        n = len(data.seen)
        ink = drawn[rng.integers(0, len(drawn), n), np.arange(n)]
        return Examples(
            {"image": _flat(ink.astype(np.float32) / 255), "caption": _rates(data.text[data.seen])}
        )

    def values(
        self, split: str, modality: str, rng: np.random.Generator, constants: Mapping[str, NDArray[Any]]
    ) -> NDArray[np.float32]:
        if modality == "caption":
            return _rates(load_data().text[self.concepts(split)])
        return _flat(self.ink(split, modality, rng))

    def drawings(
        self, network: Deployed, engine: str, ink: Ink, rng: np.random.Generator, lost: float
    ) -> Embedded:
        return self._read(network, engine, "image", _flat(ink), rng, lost)

    def texts(
        self, network: Deployed, engine: str, text: Vectors, rng: np.random.Generator, *, named: bool
    ) -> Embedded:
        return self._read(network, engine, "caption", _rates(text), rng, 0.0)

    def _read(  # noqa: PLR0917  the facts of a presentation
        self,
        network: Deployed,
        engine: str,
        tower: str,
        rates: NDArray[np.float32],
        rng: np.random.Generator,
        lost: float,
    ) -> Embedded:
        raster = self.coded(tower, rates, network.steps, rng)
        readings = network.read(engine, tower, raster, -1, lost=lost)
        if readings.raster is None:
            raise RuntimeError("the last layer was to be recorded")
        first = network.steps - int(_READOUT.counted(network.steps))
        last = readings.raster[:, first:]
        return Embedded(last.sum(axis=1, dtype=np.float32), readings)


def _flat(ink: Ink) -> NDArray[np.float32]:
    return np.ascontiguousarray(ink.reshape(len(ink), -1))


def _rates(text: Vectors) -> NDArray[np.float32]:
    return np.asarray(np.minimum(_CAPTION_GAIN * on_off(text), 1), np.float32)
