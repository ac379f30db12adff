"""A progress bar on stderr, shown only where stderr is a terminal."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from snn_deploy.train.loop import Epoch


@contextmanager
def bar() -> Iterator[Callable[[Epoch], None]]:
    """A callback for :func:`snn_deploy.train.loop.train_towers` that draws one bar for each stage."""
    from rich.console import Console
    from rich.progress import Progress, TaskID

    titles = {"rates": "rate model", "spikes": "spiking network"}
    tasks: dict[str, TaskID] = {}
    with Progress(console=Console(stderr=True), disable=not sys.stderr.isatty()) as display:

        def show(epoch: Epoch) -> None:
            if epoch.stage not in tasks:
                tasks[epoch.stage] = display.add_task(titles[epoch.stage], total=epoch.epochs)
            title = f"{titles[epoch.stage]}, loss {epoch.loss:.3f}"
            display.update(tasks[epoch.stage], completed=epoch.epoch, description=title)

        yield show
