"""Emoji and their names: find a caption from its drawing, and the drawing from the caption.

Split "seen": concepts of the training set, under noise drawn afresh (Gaussian, sigma 0.2 of full ink, on
every pixel of the 32x32 drawing, and a shift of up to 2 pixels). Clean seen pairs say nothing: an encoder
can learn them by heart. Split "unseen": the 20 % of concepts (seed 0) that training never meets.

The image encoder reads the drawing as 16x16 averages of 2x2 pixels in three inks, the caption encoder the
caption's sentence embedding, whitened on the training captions and split into ON and OFF. Both are
rate-coded into spikes.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from snn_deploy.benchmarks.deployed import Deployed
from snn_deploy.benchmarks.kinds.retrieval import QUERY, Direction, RetrievalTask, Scores
from snn_deploy.benchmarks.tasks.emoji_captions.coding import (
    POOLED,
    caption_rates,
    fit_whitening,
    perturb,
    pooled,
)
from snn_deploy.benchmarks.tasks.emoji_captions.data import SIDE, load_data
from snn_deploy.train.examples import Examples
from snn_deploy.train.recipe import Recipe

_TRAINING_NOISE = 0.25
"""Training draws each view's sigma from U(0, 0.25), so that clean stored drawings are at home too."""


class EmojiCaptions(RetrievalTask):
    """Drawings are asked under noise, captions by a fresh draw of their spikes; stored are clean drawings."""

    name = "emoji-captions"
    split = (
        "seen: concepts of the training set, drawings under fresh noise (sigma 0.2, shift up to 2 pixels); "
        "unseen: the 20 % of concepts (split seed 0) that training never met, under the same noise. "
        "Captions are asked by a fresh draw of their spikes."
    )
    recipe = Recipe(rate_epochs=200, epochs=8)
    quick_recipe = Recipe(rate_epochs=45, epochs=2)
    splits = ("seen", "unseen")
    modalities = MappingProxyType({"image": "image", "noisy image": "image", "caption": "caption"})
    directions = (
        Direction("image to caption", "noisy image", "caption"),
        Direction("caption to image", "caption", "image"),
    )
    chained = ("seen", "caption")
    item = "one noisy drawing and one caption, both towers, a query each"
    raw_dimensions = SIDE * SIDE * 3

    def input_shapes(self) -> dict[str, tuple[int, ...]]:
        return {"image": (POOLED * POOLED * 3,), "caption": (2 * 512,)}

    def items(self, split: str) -> int:
        return len(load_data().rows(split))

    @cached_property
    def _whitening(self) -> dict[str, NDArray[np.float32]]:
        return fit_whitening(load_data())

    @cached_property
    def _captions(self) -> NDArray[np.float32]:
        data = load_data()
        return caption_rates(data.text[data.seen], self._whitening)

    def constants(self) -> Mapping[str, NDArray[Any]]:
        return self._whitening

    def metadata(self) -> dict[str, Any]:
        return {"text": "PCA-whitened universal sentence encoder", "data": load_data().versions}

    def views(self, rng: np.random.Generator) -> Examples:
        data = load_data()
        drawings = data.drawings[data.seen]
        noise = rng.uniform(0, _TRAINING_NOISE, (len(drawings), 1, 1, 1)).astype(np.float32)
        return Examples({"image": pooled(perturb(drawings, rng, noise)), "caption": self._captions})

    def values(
        self, split: str, modality: str, rng: np.random.Generator, constants: Mapping[str, NDArray[Any]]
    ) -> NDArray[np.float32]:
        data = load_data()
        rows = data.rows(split)
        if modality == "caption":
            return caption_rates(data.text[rows], constants)
        if modality == "image":
            return pooled(data.drawings[rows].astype(np.float32) / 255)
        return pooled(self.noisy(split, rng))

    def noisy(self, split: str, rng: np.random.Generator) -> NDArray[np.float32]:
        """Ink (items, 32, 32, 3) of the drawings as the queries of ``rng`` show them."""
        data = load_data()
        return perturb(data.drawings[data.rows(split)], rng)

    def scores(self, split: str, draw: int) -> Mapping[str, Scores]:
        from snn_deploy.benchmarks.tasks.emoji_captions.baselines import scores

        noisy = self.noisy(split, self.rng(draw, split, "noisy image"))
        return scores(load_data(), split, noisy)

    def pictures(self, network: Deployed) -> dict[str, str]:
        from snn_deploy.benchmarks.tasks.emoji_captions.pictures import recalled_captions

        title = "Drawings of unseen concepts, asked under noise, and the captions they recalled"
        ink = self.noisy("unseen", self.rng(QUERY + network.seed, "unseen", "noisy image"))
        return {title: recalled_captions(self, network, ink)}
