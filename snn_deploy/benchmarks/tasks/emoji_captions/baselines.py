"""What retrieval on emoji-captions reaches without any spiking network, on the same queries.

Every function here gives a score matrix, float32 (queries, stored), in which the right answer of query k
is stored item k; the metrics are computed where those of the spiking encoder are.

- pixel neighbour: distances in 16x16 pixels to every clean training drawing. Concepts of training are ranked
  by their nearest drawing: a look-up of stored pictures. Others are ranked by the cosine of their captions'
  sentence embeddings with that of the nearest drawing of all.
- pixel neighbour, every shift: the same against each training drawing in all 25 places that the noise can
  move it to. It knows what the noise does, and takes 25 times the memory.
- ridge: ridge regression from 16x16 pixels to the whitened sentence embedding, fitted on clean and noisy
  training drawings, ranked by cosine. Drawings that are stored are the mean over the training hands.
- whitened sentence embedding: cosine of the text with the stored caption.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from snn_deploy.benchmarks.kinds.retrieval import Direction
from snn_deploy.benchmarks.tasks.emoji_captions.coding import (
    DROP,
    SHIFT,
    Floats,
    fit_whitening,
    perturb,
    pooled,
    whitened,
)
from snn_deploy.benchmarks.tasks.emoji_captions.data import SIDE, load_data
from snn_deploy.benchmarks.tasks.emoji_captions.questions import PARAPHRASES, EmojiQuestions, lost_pixels

_RIDGE = 100.0
"""Weight of the penalty, in squared ink; recall is flat around it."""
_NOISY_VIEWS = 4
_SHIFTS = range(-SHIFT, SHIFT + 1)


def scores(
    task: EmojiQuestions, split: str, direction: Direction, rng: np.random.Generator
) -> dict[str, Floats]:
    """Method -> score matrix for one direction of a split; ``rng`` draws the noise as for a network."""
    rows = task.concepts(split)
    if direction.query.endswith("image"):
        ink = task.ink(split, direction.query, rng)
        if direction.query == "lossy image":
            ink = lost_pixels(ink, DROP, rng)
        found = {"pixel neighbour": _neighbour(task.training_hands, rows, ink, range(1))}
        if direction.query != "image":
            found["pixel neighbour, every shift"] = _neighbour(task.training_hands, rows, ink, _SHIFTS)
        if direction.gallery != "stored image":
            found["ridge"] = _ridge(task.training_hands, ink) @ _captions(rows).T
        return found
    data = load_data()
    text = data.paraphrases["odd"] if split in PARAPHRASES else data.text
    asked = _unit(whitened(text[rows], _whitening()))
    if direction.gallery.startswith("memory"):
        return {"whitened sentence embedding": asked @ _captions(rows).T}
    if direction.gallery == "image":
        shown = [task.ink(split, "image", rng)]
    else:
        shown = [data.hands[hand][rows].astype(np.float32) / 255 for hand in task.training_hands]
    stored = np.mean([_ridge(task.training_hands, ink) for ink in shown], axis=0, dtype=np.float32)
    return {"ridge": asked @ _unit(stored).T}


def _neighbour(
    hands: Sequence[str], rows: npt.NDArray[np.int64], ink: Floats, shifts: range
) -> npt.NDArray[np.float32]:
    """Scores of the nearest training drawing, moved by every pair of ``shifts``."""
    data = load_data()
    queries = pooled(ink)
    best = np.full((len(queries), len(data.seen)), np.inf, np.float32)  # by training concept
    for hand in hands:
        training = data.hands[hand][data.seen].astype(np.float32) / 255
        paper = np.pad(training, ((0, 0), (SHIFT, SHIFT), (SHIFT, SHIFT), (0, 0)))
        for down in shifts:
            for right in shifts:
                stored = pooled(paper[:, SHIFT - down :, SHIFT - right :][:, :SIDE, :SIDE])
                distance = np.square(stored).sum(1) - 2 * queries @ stored.T  # + |query|^2, equal in a row
                np.minimum(best, distance, out=best)
    place = {row: column for column, row in enumerate(data.seen.tolist())}
    if all(row in place for row in rows.tolist()):
        return -best[:, [place[row] for row in rows.tolist()]]
    nearest = data.seen[best.argmin(1)]
    return np.asarray(data.text[nearest] @ data.text[rows].T, np.float32)


def _ridge(hands: Sequence[str], ink: Floats) -> Floats:
    """Unit vectors (items, 512) that ridge regression makes of drawings."""
    return _unit(_design(pooled(ink)) @ _ridge_weights(tuple(hands)))


@lru_cache(maxsize=1)
def _ridge_weights(hands: tuple[str, ...]) -> Floats:
    """Weights (769, 512) of pixels and a constant: (X'X + r I)^-1 X'Y over clean and noisy views."""
    rng, data = np.random.default_rng(0), load_data()
    targets = whitened(data.text[data.seen], _whitening()).astype(np.float64)
    gram = _RIDGE * np.eye(SIDE * SIDE // 4 * 3 + 1)
    moments = np.zeros((len(gram), targets.shape[1]))
    for hand in hands:
        drawings = data.hands[hand][data.seen]
        views = [drawings.astype(np.float32) / 255, *(perturb(drawings, rng) for _ in range(_NOISY_VIEWS))]
        for view in views:
            x = _design(pooled(view)).astype(np.float64)
            gram += x.T @ x
            moments += x.T @ targets
    return np.asarray(np.linalg.solve(gram, moments), np.float32)


@lru_cache(maxsize=1)
def _whitening() -> dict[str, Floats]:
    return fit_whitening(load_data())


def _captions(rows: npt.NDArray[np.int64]) -> Floats:
    return _unit(whitened(load_data().text[rows], _whitening()))


def _design(pixels: Floats) -> Floats:
    return np.concatenate([pixels, np.ones((len(pixels), 1), np.float32)], axis=1)


def _unit(rows: Floats) -> Floats:
    return np.asarray(rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12), np.float32)
