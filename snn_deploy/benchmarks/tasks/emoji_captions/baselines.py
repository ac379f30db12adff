"""What retrieval on emoji-captions reaches without any spiking network, on the same queries.

Every function here gives a score matrix, float32 (queries, stored), in which the right answer of query k
is stored item k; the metrics are computed where those of the spiking encoder are.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from snn_deploy.benchmarks.tasks.emoji_captions.coding import SHIFT, Floats, fit_whitening, perturb, pooled
from snn_deploy.benchmarks.tasks.emoji_captions.data import SIDE, EmojiData

_RIDGE = 100.0
"""Weight of the penalty, in squared ink; recall is flat around it."""
_NOISY_VIEWS = 4
_SHIFTS = range(-SHIFT, SHIFT + 1)


def scores(data: EmojiData, split: str, noisy: Floats) -> dict[str, dict[str, Floats]]:
    """Direction -> method -> score matrix on ``split``; noisy: the drawings (n, 32, 32, 3) that are asked.

    - image to caption, pixel neighbour: the query takes the caption of the nearest clean training drawing
      in 16x16 pixels; stored captions are ranked by the cosine of their sentence embeddings with it. On
      "seen" that caption is itself stored, and this is a look-up of stored pictures.
    - image to caption, pixel neighbour, every shift: the same against each training drawing in all 25
      places that the noise can move it to: it knows what the noise does, and 25 times the memory.
    - ridge, both ways: ridge regression from 16x16 pixels to the whitened sentence embedding, fitted on
      clean and noisy training drawings, ranked by cosine. Caption queries rank clean stored drawings.
    """
    rows = data.rows(split)
    clean = data.drawings[rows].astype(np.float32) / 255
    whitening = fit_whitening(data)
    captions = (data.text - whitening["caption_mean"]) @ whitening["caption_projection"]
    weights = _fit_ridge(data, captions[data.seen])
    stored = _unit(captions[rows])
    return {
        "image to caption": {
            "pixel neighbour": _neighbour(data, rows, noisy, range(1)),
            "pixel neighbour, every shift": _neighbour(data, rows, noisy, _SHIFTS),
            "ridge": _unit(_design(pooled(noisy)) @ weights) @ stored.T,
        },
        "caption to image": {"ridge": stored @ _unit(_design(pooled(clean)) @ weights).T},
    }


def _neighbour(data: EmojiData, rows: npt.NDArray[np.int64], noisy: Floats, shifts: range) -> Floats:
    """Rank captions by that of the nearest training drawing, moved by every pair of ``shifts``."""
    queries = pooled(noisy)
    training = data.drawings[data.seen].astype(np.float32) / 255
    paper = np.pad(training, ((0, 0), (SHIFT, SHIFT), (SHIFT, SHIFT), (0, 0)))
    best = np.full(len(queries), np.inf, np.float32)
    nearest = np.zeros(len(queries), np.int64)
    for down in shifts:
        for right in shifts:
            moved = paper[:, SHIFT - down :, SHIFT - right :][:, :SIDE, :SIDE]
            stored = pooled(moved)
            distance = np.square(stored).sum(1) - 2 * queries @ stored.T  # + |query|^2, the same in a row
            closer = distance.min(1) < best
            nearest = np.where(closer, distance.argmin(1), nearest)
            best = np.minimum(best, distance.min(1))
    return np.asarray(data.text[data.seen[nearest]] @ data.text[rows].T, np.float32)


def _fit_ridge(data: EmojiData, targets: Floats) -> Floats:
    """Weights (769, 512) of pixels and a constant: (X'X + r n I)^-1 X'Y over clean and noisy views."""
    rng = np.random.default_rng(0)
    drawings = data.drawings[data.seen]
    views = [drawings.astype(np.float32) / 255, *(perturb(drawings, rng) for _ in range(_NOISY_VIEWS))]
    x = np.concatenate([_design(pooled(view)) for view in views]).astype(np.float64)
    y = np.concatenate([targets] * len(views)).astype(np.float64)
    gram = x.T @ x + _RIDGE * np.eye(x.shape[1])
    return np.asarray(np.linalg.solve(gram, x.T @ y), np.float32)


def _design(pixels: Floats) -> Floats:
    return np.concatenate([pixels, np.ones((len(pixels), 1), np.float32)], axis=1)


def _unit(rows: Floats) -> Floats:
    return np.asarray(rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12), np.float32)
