"""Training a task by its name: the checks before, the file after."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from snn_deploy.errors import UsageError

if TYPE_CHECKING:
    from snn_deploy.train.progress import Progress


def train_task(  # noqa: PLR0917  one for each option of the verb
    task: str,
    output: Path,
    encoder: str = "lif",
    epochs: int | None = None,
    seed: int = 0,
    quick: bool = False,
    overrides: Mapping[str, object] | None = None,
    progress: Progress | None = None,
) -> dict[str, object]:
    """Train ``task`` and write the model to ``output``; returns a summary of plain values.

    What is wrong with the request is said before training starts. Raises UsageError for an unknown task,
    a suffix other than .pt and .safetensors, a folder that is not there; and what the task's training
    raises.
    """
    from snn_deploy.benchmarks.tasks import emoji_captions

    if task != emoji_captions.NAME:
        raise UsageError("unknown task", where="TASK", found=task, allowed=emoji_captions.NAME)
    if output.suffix not in (".pt", ".safetensors"):
        raise UsageError("unknown model format", where=str(output), allowed=".pt or .safetensors")
    if not output.parent.is_dir():
        raise UsageError("no such folder", where=str(output.parent), remedy="Make it first.")
    start = time.monotonic()
    module, config, history = emoji_captions.train(
        encoder, epochs, seed, quick, progress, **dict(overrides or {})
    )
    from snn_deploy.convert.frontends.norse.checkpoint import save_checkpoint

    save_checkpoint(output, module, config)
    last = history[-1] if history else None
    return {
        "model": str(output),
        "task": task,
        "encoder": encoder,
        "seed": seed,
        "epochs": sum(epoch.stage == "spikes" for epoch in history),
        "loss": last.loss if last else None,
        "rates": {name: list(rates) for name, rates in last.rates.items()} if last else {},
        "parameters": sum(parameter.numel() for parameter in module.parameters()),
        "seconds": round(time.monotonic() - start, 1),
        "versions": config.versions,
    }
