"""Pictures moved, recoloured and disturbed at random. Imports torch: reach it inside functions."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch.nn import functional

_CELL = 4
"""Side of a cut-out cell, pixels."""


@dataclass(frozen=True)
class Augmentation:
    """How far pictures are varied; each value is drawn evenly up to the limit, on both sides of none.

    scale, aspect: in natural logarithms. rotation: radians. shift: of half a side. colour: standard
    deviation of a matrix added to the identity that mixes the colours. saturation, gamma: in natural
    logarithms. noise: largest standard deviation of Gaussian noise. cut_pictures, cut_cells: share of the
    pictures that lose cells, and share of their cells.
    """

    scale: float = 0.2
    aspect: float = 0.1
    rotation: float = 0.2
    shift: float = 0.2
    colour: float = 0.08
    saturation: float = 0.3
    gamma: float = 0.25
    noise: float = 0.25
    cut_pictures: float = 0.4
    cut_cells: float = 0.08

    def __call__(self, ink: npt.NDArray[np.uint8], rng: np.random.Generator) -> npt.NDArray[np.float32]:
        """Varied copies of pictures: ink (n, height, width, 3), 0..255, to (n, 3, height, width), 0..1."""
        pictures = torch.from_numpy(np.ascontiguousarray(ink.transpose(0, 3, 1, 2))).float() / 255
        pictures = self._recoloured(self._moved(pictures, rng), rng)
        noise = rng.uniform(0, self.noise, (len(ink), 1, 1, 1)).astype(np.float32)
        drawn = noise * rng.standard_normal(tuple(pictures.shape), np.float32)
        pictures = (pictures + torch.from_numpy(drawn)).clamp_(0, 1)
        varied: npt.NDArray[np.float32] = (pictures * self._kept(pictures, rng)).numpy()
        return varied

    def _moved(self, pictures: torch.Tensor, rng: np.random.Generator) -> torch.Tensor:
        n = len(pictures)
        scale, aspect = (np.exp(rng.uniform(-limit, limit, n)) for limit in (self.scale, self.aspect))
        turn = rng.uniform(-self.rotation, self.rotation, n)
        across, down = scale * np.sqrt(aspect), scale / np.sqrt(aspect)
        shift = rng.uniform(-self.shift, self.shift, (2, n))
        rows = [
            [np.cos(turn) * across, -np.sin(turn) * down, shift[0]],
            [np.sin(turn) * across, np.cos(turn) * down, shift[1]],
        ]
        maps = torch.from_numpy(np.array(rows).transpose(2, 0, 1).astype(np.float32))
        grid = functional.affine_grid(maps, list(pictures.shape), align_corners=False)
        return functional.grid_sample(pictures, grid, padding_mode="zeros", align_corners=False)

    def _recoloured(self, pictures: torch.Tensor, rng: np.random.Generator) -> torch.Tensor:
        n = len(pictures)
        mixing = np.eye(3) + self.colour * rng.standard_normal((n, 3, 3))
        grey = np.full((3, 3), 1 / 3)
        strength = np.exp(rng.uniform(-self.saturation, self.saturation, (n, 1, 1)))
        mixing = mixing @ (grey + strength * (np.eye(3) - grey))
        matrices = torch.from_numpy(mixing.astype(np.float32))
        mixed = torch.bmm(matrices, pictures.flatten(2)).reshape(pictures.shape).clamp_(0, 1)
        gamma = np.exp(rng.uniform(-self.gamma, self.gamma, (n, 1, 1, 1))).astype(np.float32)
        return mixed ** torch.from_numpy(gamma)

    def _kept(self, pictures: torch.Tensor, rng: np.random.Generator) -> torch.Tensor:
        """1 where a pixel stays, 0 in the cells that are cut out."""
        n, _, height, width = pictures.shape
        shape = (n, 1, -(-height // _CELL), -(-width // _CELL))
        cut = (rng.random(shape) < self.cut_cells) & (rng.random((n, 1, 1, 1)) < self.cut_pictures)
        kept = 1 - torch.from_numpy(cut.astype(np.float32))
        return functional.interpolate(kept, scale_factor=_CELL, mode="nearest")[..., :height, :width]
