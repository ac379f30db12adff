"""How an objective reads the activity of a layer: mean rates over all steps, over the last, in segments.

What is read is a rate, spikes per step, so that the rates of the rate model and the spikes of the network
are read alike. On the host the same vector is the spike count divided by the steps that count.
Imports torch lazily: tensors come from the caller.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from snn_deploy.errors import UsageError

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class Readout:
    """Which layer of neurons is read, and which of its steps.

    layer: number of the layer among those of the tower's neurons, -1 the last. last: steps at the end that
    count, an int as their number (1: the last step alone), a float as their share; None: all.
    every: of these steps, only each so-manieth counts, the last among them: where a window of W steps is
    shown again and again, every=W reads each showing at its end.
    segments: parts of equal length into which the steps that count are divided, each read for itself.
    """

    layer: int = -1
    last: int | float | None = None
    every: int = 1
    segments: int = 1

    def __call__(self, layers: list[torch.Tensor]) -> torch.Tensor:
        """Rates (samples, segments x neurons), segment by segment, of a tower's activity.

        Activity that has no time, as the rate model's, is the same in every segment.
        Raises UsageError for a layer that the tower lacks and for more segments than steps.
        """
        activity = self.chosen(layers)
        if activity.ndim == 2:
            return activity.repeat(1, self.segments) if self.segments > 1 else activity
        counted = self.counted(len(activity))
        window = activity if counted == slice(0, None, 1) else activity[counted]
        if self.segments == 1:
            return window.mean(0).flatten(1)
        if self.segments > len(window):
            raise UsageError(
                "more segments than steps", where="objective", found=self.segments, allowed=len(window)
            )
        import torch

        return torch.cat([part.mean(0).flatten(1) for part in torch.tensor_split(window, self.segments)], 1)

    def chosen(self, layers: list[torch.Tensor]) -> torch.Tensor:
        """The activity of the layer that is read."""
        try:
            return layers[self.layer]
        except IndexError:
            raise UsageError(
                "the tower has no such layer of neurons",
                where="objective",
                found=self.layer,
                allowed=f"{-len(layers)} .. {len(layers) - 1}",
            ) from None

    def counted(self, steps: int) -> slice:
        """Which of ``steps`` steps count, at least the last one."""
        wanted: float = steps if self.last is None else self.last
        wanted = round(wanted if isinstance(wanted, int) else wanted * steps)
        first = steps - min(max(wanted, 1), steps)
        return slice(first + (steps - 1 - first) % self.every, None, self.every)


def on_minus_off(rates: torch.Tensor) -> torch.Tensor:
    """The embedding of ON and OFF neurons: (n, 2 k) to (n, k), the first half minus the second."""
    half = rates.shape[1] // 2
    return rates[:, :half] - rates[:, half:]


def through(head: str, values: torch.Tensor, constants: Mapping[str, torch.Tensor]) -> torch.Tensor:
    """A linear map on the host: W x + b of the constants ``head``_weight and ``head``_bias.

    values: (..., inputs). Raises UsageError where the model carries no such constants.
    """
    names = (f"{head}_weight", f"{head}_bias")
    if any(name not in constants for name in names):
        raise UsageError(
            "the model does not carry the linear map of the objective",
            where="constants",
            found=", ".join(constants) or "none",
            allowed=" and ".join(names),
            remedy="Add both to the description: weight (outputs, inputs), bias (outputs).",
        )
    from torch.nn import functional

    return functional.linear(values, constants[names[0]], constants[names[1]])
