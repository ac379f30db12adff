"""The learning curve of a training run as a picture."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from snn_deploy.errors import UsageError
from snn_deploy.files import atomic_write
from snn_deploy.train.progress import Epoch

_COLOURS = {"rates": "#7f7f7f", "spikes": "#1f77b4"}


def check_curve(path: Path, epochs: int) -> None:
    """Raise UsageError for a curve without epochs, another suffix, and a folder that is not there."""
    if path.suffix not in (".svg", ".png", ".pdf") or not epochs:
        raise UsageError(
            "a learning curve needs an epoch and a picture's suffix",
            where=path,
            found=f"{epochs} epochs",
            allowed=".svg, .png, .pdf",
        )
    if not path.parent.is_dir():
        raise UsageError("no such folder", where=path.parent, remedy="Make it first.")


def write_curve(path: Path, history: Sequence[Epoch], best_epoch: int = 0) -> None:
    """Draw loss, spikes per example and validation score over the epochs, to an .svg, .png or .pdf file.

    best_epoch: number of the epoch of spikes that was kept; marked where there are scores.
    Raises UsageError as :func:`check_curve` does, and for a folder that cannot be written.
    """
    check_curve(path, len(history))
    from matplotlib.figure import Figure

    scored = any(epoch.score is not None for epoch in history)
    figure = Figure(figsize=(6, 6 if scored else 4.2), layout="constrained")
    axes = figure.subplots(3 if scored else 2, 1, sharex=True)
    numbers = list(range(1, len(history) + 1))
    for stage, colour in _COLOURS.items():
        chosen = [(n, epoch.loss) for n, epoch in zip(numbers, history, strict=True) if epoch.stage == stage]
        if chosen:
            axes[0].plot(*zip(*chosen, strict=True), color=colour, marker=".", label=stage)
    axes[0].set_ylabel("loss")
    axes[0].legend(frameon=False)
    for name in history[-1].spikes:
        axes[1].plot(numbers, [epoch.spikes.get(name, float("nan")) for epoch in history], label=name)
    axes[1].set_ylabel("spikes per example")
    if history[-1].spikes:
        axes[1].legend(frameon=False)
    if scored:
        points = [(n, e.score, e) for n, e in zip(numbers, history, strict=True) if e.score is not None]
        axes[2].plot([n for n, _, _ in points], [score for _, score, _ in points], marker=".")
        for n, score, epoch in points:
            if epoch.stage == "spikes" and epoch.epoch == best_epoch:
                axes[2].plot([n], [score], marker="o", fillstyle="none", markersize=10, label="kept")
                axes[2].legend(frameon=False)
        axes[2].set_ylabel("validation score")
    axes[-1].set_xlabel("epoch")
    with atomic_write(path) as temporary:
        figure.savefig(temporary, format=path.suffix[1:])
