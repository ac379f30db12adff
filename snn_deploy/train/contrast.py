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
    """Each view of a picture with its text, against other texts, and the two views with each other.

    L = (c(a, t, o) + c(b, t, o)) / 2 at ``temperature`` + nt_xent(a, b) at ``view_temperature``. a and b are
    what ``head``, a linear map, makes of the rates of the two inputs ``views``; t and o what the tower
    ``text`` makes of the targets "text", vectors (samples, n), and "others", further texts (samples, any, n).
    c is nt_xent in which pictures are compared with the texts of the batch and o, texts with the pictures of
    the batch; an example's own text among o is no negative for it.
    """

    temperature: float
    view_temperature: float = 0.1
    views: tuple[str, str] = ("image", "image/other")
    readout: Readout = MEAN_RATES
    head: str = "head"
    text: str = "text"
    target: str = "text"
    others: str = "others"

    @property
    def targets(self) -> tuple[str, ...]:
        return (self.target, self.others)

    @property
    def heads(self) -> tuple[str, ...]:
        return (self.head, *tower_maps(self.text))

    def __call__(self, layers: Layers, batch: Batch) -> torch.Tensor:
        first, second = (
            through(self.head, self.readout(layers[name]), batch.constants) for name in self.views
        )
        own, others = batch.targets[self.target], batch.targets[self.others].flatten(0, 1)
        text = text_tower(self.text, own, batch.constants)
        further = text_tower(self.text, others, batch.constants)
        same = (own[:, None] == others).all(2)
        named = sum(_against(view, text, further, same, self.temperature) for view in (first, second))
        return named / 2 + nt_xent(first, second, self.view_temperature)


def _against(
    pictures: torch.Tensor, text: torch.Tensor, further: torch.Tensor, same: torch.Tensor, temperature: float
) -> torch.Tensor:
    """c of the class's docstring. same: whether a further text is an example's own, (samples, further)."""
    import torch
    from torch.nn import functional

    pictures, text, further = (functional.normalize(rows, dim=1) for rows in (pictures, text, further))
    within = pictures @ text.t() / temperature
    beyond = (pictures @ further.t() / temperature).masked_fill(same, -torch.inf)
    target = torch.arange(len(text), device=text.device)
    forward = functional.cross_entropy(torch.cat([within, beyond], 1), target)
    return (forward + functional.cross_entropy(within.t(), target)) / 2


def tower_maps(name: str) -> tuple[str, str]:
    """Names of the two linear maps of a text tower."""
    return f"{name}_hidden", f"{name}_out"


def text_tower(name: str, vectors: torch.Tensor, constants: Mapping[str, torch.Tensor]) -> torch.Tensor:
    """t = W2 max(W1 z + b1, 0) + b2 of vectors (samples, n), by the maps ``name``_hidden and ``name``_out."""
    hidden, out = tower_maps(name)
    return through(out, through(hidden, vectors, constants).relu(), constants)
