"""What emoji-captions asks of every encoder: splits, queries, memories, and the drawings that are shown."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from functools import cached_property
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from snn_deploy.benchmarks.deployed import Deployed, Readings
from snn_deploy.benchmarks.kinds.retrieval import QUERY, Direction, Embedded, RetrievalTask, Scores
from snn_deploy.benchmarks.task import Answers
from snn_deploy.benchmarks.tasks.emoji_captions import hands
from snn_deploy.benchmarks.tasks.emoji_captions.coding import DROP, fit_whitening, perturb, whitened
from snn_deploy.benchmarks.tasks.emoji_captions.data import SIDE, load_data
from snn_deploy.benchmarks.tasks.emoji_captions.splits import (
    ALONE,
    BY_REPORTED_HAND,
    CONCEPTS,
    PARAPHRASES,
    REPORTED_HAND,
    SEEN,
    UNSEEN_CONCEPTS,
    UNSEEN_HAND,
    Ink,
    Vectors,
)
from snn_deploy.deploy.memory import unit_vectors


class EmojiQuestions(RetrievalTask):
    """Splits, queries and memories; an encoder says how drawings and texts become vectors.

    Stored are clean drawings, the mean over the training hands ("stored image"); captions; and "memory", the
    mean of both, beside which the second key of "two keys" is the caption's whitened sentence embedding.
    """

    name = "emoji-captions"
    split = (
        "seen: training concepts by training hands, under fresh noise (sigma 0.2, shift up to 2 pixels), and "
        "where it says drop with 20 % of all spikes lost (of the pixels, for methods without spikes); "
        "unseen hand: the same concepts by a hand that training never met, clean; unseen concepts: the 20 % "
        "(split seed 0) that training never met in any hand, clean; without twins: concepts that differ from "
        "another only in words such as man and woman are not asked; paraphrases: the name and keywords that "
        "training never met. Without the packages of `make hands` OpenMoji is the only hand: unseen hands "
        "and paraphrases are then not measured."
    )
    splits = tuple(CONCEPTS)
    modalities = MappingProxyType(
        {
            **dict.fromkeys(("lossy image", "noisy image", "image", "stored image", "memory"), "image"),
            **dict.fromkeys(("caption", "paraphrase", "two keys", "memory, two keys"), "caption"),
        }
    )
    directions = (
        Direction("noise and drop, image to caption", "lossy image", "caption", (SEEN,)),
        Direction("noise and drop, image to memory", "lossy image", "memory", (SEEN,)),
        Direction("noise, image to caption", "noisy image", "caption", (SEEN,)),
        Direction("image to caption", "image", "caption", (*BY_REPORTED_HAND, UNSEEN_CONCEPTS)),
        Direction("image to image", "image", "stored image", (UNSEEN_HAND,)),
        Direction("image to memory", "image", "memory", (UNSEEN_HAND,)),
        Direction("caption to image", "caption", "stored image", ALONE),
        Direction("caption to image", "caption", "image", BY_REPORTED_HAND),
        Direction("text to image", "paraphrase", "stored image", PARAPHRASES),
        Direction("text to memory", "two keys", "memory, two keys", PARAPHRASES),
    )
    item = "one drawing and one caption, both towers, a query each"
    raw_dimensions = SIDE * SIDE * 3

    @abstractmethod
    def drawings(
        self, network: Deployed, engine: str, ink: Ink, rng: np.random.Generator, lost: float
    ) -> Embedded:
        """Drawings, ink (items, 32, 32, 3) in [0, 1], as vectors; ``lost``: share of spikes that are lost."""

    @abstractmethod
    def texts(
        self, network: Deployed, engine: str, text: Vectors, rng: np.random.Generator, *, named: bool
    ) -> Embedded:
        """Sentence embeddings (items, 512) as vectors; ``named``: captions, not paraphrases."""

    # which concepts and hands

    @classmethod
    def reported(cls) -> tuple[str, ...]:
        return cls.splits if hands.present() else ALONE

    @property
    def training_hands(self) -> tuple[str, ...]:
        """Those that training meets: all but the reported one, or OpenMoji alone."""
        return tuple(hand for hand in load_data().hands if hand != REPORTED_HAND)

    @property
    def priced(self) -> str:
        return UNSEEN_HAND if UNSEEN_HAND in self.reported() else UNSEEN_CONCEPTS

    def concepts(self, split: str) -> NDArray[np.int64]:
        """Row numbers of a split's concepts in the data; of paraphrases those that have two keywords."""
        data = load_data()
        rows = data.rows(CONCEPTS[split])
        return rows[data.described[rows]] if split in PARAPHRASES else rows

    def items(self, split: str) -> int:
        return len(self.concepts(split))

    def subsets(self) -> dict[str, tuple[str, NDArray[np.bool_]]]:
        twins = load_data().twins
        whole = [split for split in (SEEN, UNSEEN_HAND) if split in self.reported()]
        return {f"{split} without twins": (split, ~twins[self.concepts(split)]) for split in whole}

    def metadata(self) -> dict[str, Any]:
        return {
            "text": "PCA-whitened universal sentence encoder",
            "hands": list(self.training_hands),
            "data": load_data().versions,
        }

    # what is shown

    def ink(self, split: str, modality: str, rng: np.random.Generator) -> Ink:
        """Ink (items, 32, 32, 3) that a query shows: by the reported hand where the split says so, else each
        concept by a training hand that is drawn at random."""
        data, rows = load_data(), self.concepts(split)
        if split in BY_REPORTED_HAND:
            ink = data.hands[REPORTED_HAND][rows]
        else:
            drawn = np.stack([data.hands[hand][rows] for hand in self.training_hands])
            ink = drawn[rng.integers(0, len(drawn), len(rows)), np.arange(len(rows))]
        return ink.astype(np.float32) / 255 if modality == "image" else perturb(ink, rng)

    @cached_property
    def whitening(self) -> dict[str, NDArray[np.float32]]:
        """Of the training captions."""
        return fit_whitening(load_data())

    def constants(self) -> Mapping[str, NDArray[Any]]:
        return self.whitening

    # vectors

    _kept: dict[tuple[str, str, int], Embedded] | None = None
    """What one call of :meth:`answers` has embedded: memories are made of what is also asked by itself."""

    def answers(self, network: Deployed, engine: str) -> Answers:
        self._kept = {}
        try:
            return super().answers(network, engine)
        finally:
            self._kept = None

    def embed(self, network: Deployed, engine: str, split: str, modality: str, draw: int) -> Embedded:
        kept, key = self._kept, (split, modality, draw)
        if kept is None:
            return self._embed(network, engine, *key)
        if key not in kept:
            kept[key] = self._embed(network, engine, *key)
        return kept[key]

    def _embed(self, network: Deployed, engine: str, split: str, modality: str, draw: int) -> Embedded:
        data, rows = load_data(), self.concepts(split)
        rng = self.rng(draw + network.seed, split, modality)

        def part(name: str) -> Embedded:
            return self.embed(network, engine, split, name, draw)

        if modality == "stored image":
            clean = [data.hands[hand][rows].astype(np.float32) / 255 for hand in self.training_hands]
            found = _mean([self.drawings(network, engine, ink, rng, 0.0) for ink in clean])
        elif modality == "memory":
            found = _mean([part("stored image"), part("caption")])
        elif modality == "memory, two keys":
            found = _with_key(part("memory"), whitened(data.text[rows], network.constants))
        elif modality == "two keys":
            found = _with_key(part("paraphrase"), whitened(data.paraphrases["odd"][rows], network.constants))
        elif modality == "paraphrase":
            found = self.texts(network, engine, data.paraphrases["odd"][rows], rng, named=False)
        elif modality == "caption":
            found = self.texts(network, engine, data.text[rows], rng, named=True)
        else:
            lost = DROP if modality == "lossy image" else 0.0
            found = self.drawings(network, engine, self.ink(split, modality, rng), rng, lost)
        return found

    def scores(self, split: str, draw: int) -> Mapping[str, Scores]:
        from snn_deploy.benchmarks.tasks.emoji_captions import baselines

        found: dict[str, dict[str, Vectors]] = {}
        for direction in self.directions:
            if split in direction.splits:
                rng = self.rng(draw, split, direction.query)
                found[direction.name] = baselines.scores(self, split, direction, rng)
        return found

    def pictures(self, network: Deployed) -> dict[str, str]:
        from snn_deploy.benchmarks.tasks.emoji_captions.pictures import recalled_captions

        split = self.reported()[min(1, len(self.reported()) - 1)]
        direction = next(d for d in self.directions if split in d.splits and d.name == "image to caption")
        ink = self.ink(split, direction.query, self.rng(QUERY + network.seed, split, direction.query))
        title = f"Drawings of the split {split}, and the captions they recalled"
        return {title: recalled_captions(self, network, split, direction, rows=self.concepts(split), ink=ink)}


def _mean(parts: list[Embedded]) -> Embedded:
    """The mean of unit vectors; the read-outs are those of the first."""
    whole = np.mean([unit_vectors(part.vectors).vectors for part in parts], axis=0, dtype=np.float32)
    return Embedded(np.asarray(whole, np.float32), parts[0].readings)


def _with_key(found: Embedded, key: Vectors) -> Embedded:
    """Both unit vectors in one, so that cosines are the mean of the two keys' cosines."""
    both = [unit_vectors(found.vectors).vectors, unit_vectors(key).vectors]
    return Embedded(np.concatenate(both, axis=1), found.readings)


def silent(items: int) -> Readings:
    """The read-outs of items that no spiking network was shown."""
    return Readings(np.zeros((items, 0), np.int32), None, ())
