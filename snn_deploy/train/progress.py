"""What an epoch did, and a progress bar on stderr that shows it where stderr is a terminal."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Epoch:
    """What one epoch did.

    stage: "rates" or "spikes". loss: mean of the objective over the batches, without penalties. rates: of
    every layer of neurons that an input goes through, mean spikes per neuron and step. score: what the
    validation gave, higher is better; None without one. spikes: mean spikes per example, all layers.
    """

    stage: str
    epoch: int
    epochs: int
    loss: float
    rates: dict[str, tuple[float, ...]]
    score: float | None = None
    spikes: dict[str, float] = field(default_factory=dict)


Progress = Callable[[Epoch], None]

_TITLES = {"rates": "rate model", "spikes": "spiking network"}


@contextmanager
def bar() -> Iterator[Progress]:
    """A callback for :func:`snn_deploy.train.loop.fit` that draws one bar for each stage."""
    from rich.console import Console
    from rich.progress import Progress as Display
    from rich.progress import TaskID

    tasks: dict[str, TaskID] = {}
    with Display(console=Console(stderr=True), disable=not sys.stderr.isatty()) as display:

        def show(epoch: Epoch) -> None:
            if epoch.stage not in tasks:
                tasks[epoch.stage] = display.add_task(_TITLES[epoch.stage], total=epoch.epochs)
            display.update(tasks[epoch.stage], completed=epoch.epoch, description=described(epoch))

        yield show


def described(epoch: Epoch) -> str:
    """One line: stage, loss, spikes per example, score."""
    parts = [_TITLES[epoch.stage], f"loss {epoch.loss:.3f}"]
    parts += [f"{name} {count:.0f} spikes" for name, count in epoch.spikes.items()]
    if epoch.score is not None:
        parts.append(f"score {epoch.score:.3f}")
    return ", ".join(parts)
