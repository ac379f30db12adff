"""The splits of emoji-captions, and what a task tells its baselines and pictures of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

REPORTED_HAND = "fluent"
"""The hand that training never meets; recipes are to be chosen with another in its place."""

SEEN, UNSEEN_HAND = "seen", "unseen hand"
UNSEEN_CONCEPTS, UNSEEN_BOTH = "unseen concepts", "unseen hand and concepts"
CONCEPTS = {
    SEEN: "seen",
    UNSEEN_HAND: "seen",
    UNSEEN_CONCEPTS: "unseen",
    UNSEEN_BOTH: "unseen",
    "paraphrases, seen concepts": "seen",
    "paraphrases, unseen concepts": "unseen",
}
"""Split -> the concepts that are asked."""
ALONE = (SEEN, UNSEEN_CONCEPTS)
BY_REPORTED_HAND = (UNSEEN_HAND, UNSEEN_BOTH)
PARAPHRASES = tuple(split for split in CONCEPTS if split.startswith("paraphrases"))

Vectors = NDArray[np.float32]
Ink = NDArray[np.float32]


class Drawings(Protocol):
    """What a task shows: drawings of a split, by the hands of training."""

    @property
    def training_hands(self) -> Sequence[str]: ...

    def concepts(self, split: str) -> Any: ...

    def ink(self, split: str, modality: str, rng: np.random.Generator) -> Ink: ...


def lost_pixels(ink: Ink, share: float, rng: np.random.Generator) -> Ink:
    """Ink of which this share of the pixels is blank, all colours of a pixel together."""
    kept = rng.random((*ink.shape[:3], 1), np.float32) >= share
    return np.asarray(ink * kept, np.float32)
