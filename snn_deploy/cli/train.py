"""Train a task's spiking encoder in Norse and write the model."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from snn_deploy.errors import UsageError


def train(
    task: Annotated[str, typer.Argument(help="Task to train for, such as emoji-captions.")],
    output: Annotated[
        Path, typer.Option("-o", "--output", help="Model to write: .pt or .safetensors.", dir_okay=False)
    ],
    encoder: Annotated[str, typer.Option(help="Kind of spiking encoder: lif or recurrent.")] = "lif",
    epochs: Annotated[int | None, typer.Option(help="Epochs of the spiking network.", min=0)] = None,
    seed: Annotated[int, typer.Option(help="Seed of weights, noise and spikes.", min=0)] = 0,
    quick: Annotated[bool, typer.Option("--quick", help="A shorter recipe, under a minute.")] = False,
    settings: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Replace a number of the recipe.")
    ] = None,
    safetensors: Annotated[
        bool, typer.Option("--safetensors", help="Write safetensors, whatever the suffix says.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Train a task's spiking encoder with surrogate gradients and write model.pt."""
    from snn_deploy.benchmarks.tasks.training import train_task
    from snn_deploy.train.progress import bar

    target = output.with_suffix(".safetensors") if safetensors else output
    overrides = dict(_pair(text) for text in settings or [])
    with bar() as progress:
        summary = train_task(task, target, encoder, epochs, seed, quick, overrides, progress)
    if as_json:
        sys.stdout.write(json.dumps(summary) + "\n")
    else:
        sys.stdout.write("".join(f"{key}: {value}\n" for key, value in summary.items()))


def _pair(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not equals:
        raise UsageError("a setting is KEY=VALUE", where="--set", found=text)
    return key.strip().replace("-", "_"), value.strip()
