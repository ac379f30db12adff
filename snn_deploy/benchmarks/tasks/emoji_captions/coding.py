"""What the encoders of emoji-captions read: drawings under noise and pooled, captions whitened into rates."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from snn_deploy.benchmarks.tasks.emoji_captions.data import SIDE, EmojiData
from snn_deploy.train.coding import on_off

NOISE, SHIFT = 0.2, 2
DROP = 0.2
"""Share of the spikes that are lost under drop; of the pixels, for methods without spikes."""
POOLED = 16
_CAPTION_GAIN = 0.5
"""Spike probability of a caption channel one standard deviation from the mean."""
_SHRINK = 0.1
"""Share of the mean eigenvalue added to each before whitening, so that rare directions are not blown up."""

Floats = npt.NDArray[np.float32]
Whitening = Mapping[str, npt.NDArray[np.floating[Any]]]


def perturb(
    drawings: npt.NDArray[np.uint8], rng: np.random.Generator, noise: float | Floats = NOISE
) -> Floats:
    """Drawings (n, 32, 32, 3) as ink in [0, 1], each shifted by up to 2 pixels and under Gaussian noise.

    ``noise`` is the standard deviation, one for all or shape (n, 1, 1, 1).
    """
    n = len(drawings)
    padded = np.pad(drawings, ((0, 0), (SHIFT, SHIFT), (SHIFT, SHIFT), (0, 0)))
    down, right = rng.integers(0, 2 * SHIFT + 1, (2, n))
    pixels = np.arange(SIDE)
    rows, columns = down[:, None] + pixels, right[:, None] + pixels
    moved = padded[np.arange(n)[:, None, None], rows[:, :, None], columns[:, None, :]]
    ink: Floats = moved.astype(np.float32) / 255
    ink += noise * rng.standard_normal(ink.shape, np.float32)
    np.clip(ink, 0, 1, out=ink)
    return ink


def pooled(ink: Floats) -> Floats:
    """Ink (n, 32, 32, 3) as 16x16 averages, (n, 768)."""
    rows = ink[:, 0::2] + ink[:, 1::2]
    quarters: Floats = (rows[:, :, 0::2] + rows[:, :, 1::2]).reshape(len(ink), -1)
    return quarters / 4


def fit_whitening(data: EmojiData) -> dict[str, Floats]:
    """PCA whitening of the training captions' embeddings: z = (e - caption_mean) caption_projection.

    caption_projection = U (lambda + 0.1 mean lambda)^(-1/2) c, with U, lambda the eigenvectors and
    eigenvalues of the covariance and c such that the training captions' mean square is 1.
    Shapes (512,) and (512, 512).
    """
    text = data.text[data.seen].astype(np.float64)
    mean = text.mean(0)
    values, vectors = np.linalg.eigh(np.cov(text - mean, rowvar=False))
    # Signs of eigenvectors are free: with the largest entry positive, ON means the same everywhere.
    signs = np.sign(vectors[np.abs(vectors).argmax(0), np.arange(vectors.shape[1])])
    projection = vectors * signs / np.sqrt(np.maximum(values, 0) + _SHRINK * values.mean())
    projection /= np.sqrt(np.mean(((text - mean) @ projection) ** 2))
    return {"caption_mean": mean.astype(np.float32), "caption_projection": projection.astype(np.float32)}


def whitened(text: Floats, whitening: Whitening) -> Floats:
    """Sentence embeddings (n, 512) in the space that :func:`fit_whitening` found."""
    return np.asarray((text - whitening["caption_mean"]) @ whitening["caption_projection"], np.float32)


def caption_rates(text: Floats, whitening: Whitening) -> Floats:
    """Spike probabilities (n, 1024) of sentence embeddings (n, 512): whitened, ON and OFF, clipped to 1."""
    return np.asarray(np.minimum(_CAPTION_GAIN * on_off(whitened(text, whitening)), 1), np.float32)
