"""Pictures and texts in one space: two views of each picture, and its text through a tower on the host."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from snn_deploy.train.objectives import MEAN_RATES, nt_xent
from snn_deploy.train.readout import Readout, through

if TYPE_CHECKING:
    from collections.abc import Mapping

    import torch

    from snn_deploy.train.examples import Batch, Layers


@dataclass(frozen=True)
class PicturesAndTexts:
    """NT-Xent of each view of a picture with its text, and of the two views with each other.

    L = (nt_xent(a, t) + nt_xent(b, t)) / 2 at ``temperature`` + nt_xent(a, b) at ``view_temperature``, where
    a and b are what ``head``, a linear map, makes of the rates of the two inputs ``views``, and t what the
    tower ``text`` makes of the target "text", vectors (samples, n).
    """

    temperature: float
    view_temperature: float = 0.1
    views: tuple[str, str] = ("image", "image/other")
    readout: Readout = MEAN_RATES
    head: str = "head"
    text: str = "text"
    target: str = "text"

    @property
    def targets(self) -> tuple[str, ...]:
        return (self.target,)

    @property
    def heads(self) -> tuple[str, ...]:
        return (self.head, *tower_maps(self.text))

    def __call__(self, layers: Layers, batch: Batch) -> torch.Tensor:
        first, second = (
            through(self.head, self.readout(layers[name]), batch.constants) for name in self.views
        )
        text = text_tower(self.text, batch.targets[self.target], batch.constants)
        named = nt_xent(first, text, self.temperature) + nt_xent(second, text, self.temperature)
        return named / 2 + nt_xent(first, second, self.view_temperature)


def tower_maps(name: str) -> tuple[str, str]:
    """Names of the two linear maps of a text tower."""
    return f"{name}_hidden", f"{name}_out"


def text_tower(name: str, vectors: torch.Tensor, constants: Mapping[str, torch.Tensor]) -> torch.Tensor:
    """t = W2 max(W1 z + b1, 0) + b2 of vectors (samples, n), by the maps ``name``_hidden and ``name``_out."""
    hidden, out = tower_maps(name)
    return through(out, through(hidden, vectors, constants).relu(), constants)
