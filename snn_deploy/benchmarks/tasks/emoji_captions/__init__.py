"""Emoji and their names: find a caption from its drawing, and the drawing from the caption.

Four hands have drawn the same concepts (``make hands``; OpenMoji alone otherwise); one of them, and 20 % of
the concepts in every hand, are never trained on. :mod:`.questions` says what is asked, the class here is the
encoder ``lif``, :mod:`.variants` are the others. Clean seen pairs are not asked: an encoder can learn them by
heart.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from snn_deploy.benchmarks.deployed import Deployed
from snn_deploy.benchmarks.kinds.retrieval import Embedded
from snn_deploy.benchmarks.task import Task
from snn_deploy.benchmarks.tasks.emoji_captions.coding import POOLED, caption_rates, perturb, pooled
from snn_deploy.benchmarks.tasks.emoji_captions.data import load_data
from snn_deploy.benchmarks.tasks.emoji_captions.questions import SEEN, EmojiQuestions, Ink, Vectors
from snn_deploy.train.examples import Examples
from snn_deploy.train.recipe import Recipe

_TRAINING_NOISE = 0.25
"""Training draws each view's sigma from U(0, 0.25), so that clean stored drawings are at home too."""


class EmojiCaptions(EmojiQuestions):
    """Two spiking towers, rate-coded: 16x16 averages of the drawing in three inks, and the caption's sentence
    embedding, whitened on the training captions and split into ON and OFF."""

    recipe = Recipe(rate_epochs=200, epochs=8)
    quick_recipe = Recipe(rate_epochs=45, epochs=2)
    chained = (SEEN, "caption")

    def with_encoder(self, encoder: str) -> Task:
        from snn_deploy.benchmarks.tasks.emoji_captions.variants import VARIANTS

        kind = VARIANTS.get(encoder)
        return self if kind is None else kind()

    def input_shapes(self) -> dict[str, tuple[int, ...]]:
        return {"image": (POOLED * POOLED * 3,), "caption": (2 * 512,)}

    @cached_property
    def _captions(self) -> NDArray[np.float32]:
        data = load_data()
        return caption_rates(data.text[data.seen], self.whitening)

    def views(self, rng: np.random.Generator) -> Examples:
        data = load_data()
        drawn = np.stack([data.hands[hand][data.seen] for hand in self.training_hands])
        n = len(data.seen)
        drawings = drawn[rng.integers(0, len(drawn), n), np.arange(n)]
        noise = rng.uniform(0, _TRAINING_NOISE, (n, 1, 1, 1)).astype(np.float32)
        return Examples({"image": pooled(perturb(drawings, rng, noise)), "caption": self._captions})

    def values(
        self, split: str, modality: str, rng: np.random.Generator, constants: Mapping[str, NDArray[Any]]
    ) -> NDArray[np.float32]:
        if modality == "caption":
            return caption_rates(load_data().text[self.concepts(split)], constants)
        return pooled(self.ink(split, modality, rng))

    def drawings(
        self, network: Deployed, engine: str, ink: Ink, rng: np.random.Generator, lost: float
    ) -> Embedded:
        return self._read(network, engine, "image", pooled(ink), rng, lost)

    def texts(
        self, network: Deployed, engine: str, text: Vectors, rng: np.random.Generator, *, named: bool
    ) -> Embedded:
        return self._read(network, engine, "caption", caption_rates(text, network.constants), rng)

    def _read(  # noqa: PLR0917  the facts of a presentation
        self,
        network: Deployed,
        engine: str,
        tower: str,
        rates: NDArray[np.float32],
        rng: np.random.Generator,
        lost: float = 0.0,
    ) -> Embedded:
        raster = self.coded(tower, rates, network.steps, rng)
        readings = network.read(engine, tower, raster, lost=lost)
        return Embedded(self.vectors(readings), readings)
