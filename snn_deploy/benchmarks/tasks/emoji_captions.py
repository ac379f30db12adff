"""Task emoji-captions: find an emoji's caption from its drawing, and the drawing from the caption.

Split "seen": concepts of the training set, under noise drawn afresh (Gaussian, sigma 0.2 of full ink, on
every pixel of the 32x32 drawing, and a shift of up to 2 pixels). Clean seen pairs say nothing: an encoder
can learn them by heart. Split "unseen": the 20 % of concepts (seed 0) that training never meets.

The image encoder reads the drawing as 16x16 averages of 2x2 pixels in three inks, the caption encoder the
caption's sentence embedding, whitened on the training captions and split into ON and OFF. Both are
rate-coded into spikes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from snn_deploy.benchmarks.tasks.emoji_data import SIDE, EmojiData, load_data
from snn_deploy.errors import UsageError
from snn_deploy.train.coding import on_off, rate_code
from snn_deploy.train.recipe import Recipe

if TYPE_CHECKING:
    from snn_deploy.convert.frontends.norse.config import Config
    from snn_deploy.convert.frontends.norse.modules import Towers
    from snn_deploy.train.progress import Epoch, Progress

NAME = "emoji-captions"
SPLITS = ("seen", "unseen")
SPLIT_STATEMENT = (
    "seen: concepts of the training set, drawings under fresh noise (sigma 0.2, shift up to 2 pixels); "
    "unseen: the 20 % of concepts (split seed 0) that training never met, under the same noise. "
    "Captions are asked by a fresh draw of their spikes."
)
MODALITIES = ("image", "noisy image", "caption")
TOWERS = {"image": "image", "noisy image": "image", "caption": "caption"}
"""The tower that encodes each modality."""

NOISE, SHIFT = 0.2, 2
_TRAINING_NOISE = 0.25
"""Training draws each view's sigma from U(0, 0.25), so that clean stored drawings are at home too."""
_POOLED = 16
_INPUTS = {"image": _POOLED * _POOLED * 3, "caption": 2 * 512}
_CAPTION_GAIN = 0.5
"""Spike probability of a caption channel one standard deviation from the mean."""
_SHRINK = 0.1
"""Share of the mean eigenvalue added to each before whitening, so that rare directions are not blown up."""

RECIPE = Recipe(rate_epochs=200, epochs=8)
QUICK_RECIPE = Recipe(rate_epochs=45, epochs=2)

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


def caption_rates(text: Floats, whitening: Whitening) -> Floats:
    """Spike probabilities (n, 1024) of sentence embeddings (n, 512): whitened, ON and OFF, clipped to 1."""
    z = (text - whitening["caption_mean"]) @ whitening["caption_projection"]
    return np.asarray(np.minimum(_CAPTION_GAIN * on_off(z), 1), np.float32)


def spikes(
    split: str, modality: str, seed: int = 0, *, steps: int | None = None, whitening: Whitening | None = None
) -> npt.NDArray[np.uint8]:
    """Input spikes of a split, uint8 (samples, steps, width); row k is concept k in every modality.

    ``split`` is "seen" or "unseen"; ``modality`` "image" (clean), "noisy image" or "caption". ``seed``
    draws both the noise and the spikes. ``whitening`` is what the model stored (:func:`stored_whitening`);
    without it the same is fitted again. Raises UsageError for an unknown split or modality.
    """
    if split not in SPLITS or modality not in MODALITIES:
        raise UsageError(
            "unknown split or modality",
            where=NAME,
            found=f"{split}, {modality}",
            allowed=f"{', '.join(SPLITS)}; {', '.join(MODALITIES)}",
        )
    data = load_data()
    rows = data.rows(split)
    rng = np.random.default_rng([seed, SPLITS.index(split), MODALITIES.index(modality)])
    if modality == "caption":
        values = caption_rates(data.text[rows], whitening or fit_whitening(data))
    elif modality == "image":
        values = pooled(data.drawings[rows].astype(np.float32) / 255)
    else:
        values = pooled(perturb(data.drawings[rows], rng))
    return rate_code(values, steps or RECIPE.steps, rng)


def stored_whitening(module: Towers) -> dict[str, Floats]:
    """The caption whitening that a trained model carries."""
    return {name: value.numpy() for name, value in module.constants.named_buffers()}


def train(
    encoder: str = "lif",
    epochs: int | None = None,
    seed: int = 0,
    quick: bool = False,
    progress: Progress | None = None,
    **overrides: object,
) -> tuple[Towers, Config, list[Epoch]]:
    """Train a dual encoder on the seen split; ``epochs`` and ``overrides`` replace numbers of the recipe.

    Returns the Norse modules, their description and what each epoch did. Raises UsageError for an
    unknown encoder or recipe entry, BackendUnavailable where torch, norse or a data package is missing.
    """
    recipe = (QUICK_RECIPE if quick else RECIPE).changed(
        {**overrides, **({} if epochs is None else {"epochs": epochs})}
    )
    from snn_deploy.convert.frontends.norse import import_norse

    import_norse()
    from snn_deploy.train.encoders import describe
    from snn_deploy.train.examples import Examples
    from snn_deploy.train.loop import fit
    from snn_deploy.train.objectives import NtXent

    data = load_data()
    whitening = fit_whitening(data)
    captions = caption_rates(data.text[data.seen], whitening)
    drawings = data.drawings[data.seen]

    def views(rng: np.random.Generator) -> Examples:
        noise = rng.uniform(0, _TRAINING_NOISE, (len(drawings), 1, 1, 1)).astype(np.float32)
        return Examples({"image": pooled(perturb(drawings, rng, noise)), "caption": captions})

    config = describe(
        encoder,
        _INPUTS,
        recipe,
        task=NAME,
        seed=seed,
        constants={name: list(value.shape) for name, value in whitening.items()},
        metadata={
            "recipe": recipe.model_dump(),
            "steps": recipe.steps,
            "text": "PCA-whitened universal sentence encoder",
            "data": data.versions,
        },
    )
    trained = fit(
        config, views, NtXent(recipe.temperature), recipe, seed, constants=whitening, progress=progress
    )
    return trained.module, config, trained.history
