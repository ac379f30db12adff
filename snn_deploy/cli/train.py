"""Train a task's spiking encoder in Norse and write the model."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from snn_deploy.errors import UsageError


def train(
    task: Annotated[
        str, typer.Argument(help="A task, or the path of your own (.py); `snn-deploy tasks` lists them.")
    ],
    output: Annotated[
        Path, typer.Option("-o", "--output", help="Model to write: .pt or .safetensors.", dir_okay=False)
    ],
    encoder: Annotated[
        str | None, typer.Option(help="Kind of spiking encoder, such as lif; the task's own by default.")
    ] = None,
    epochs: Annotated[int | None, typer.Option(help="Epochs of the spiking network.", min=0)] = None,
    seed: Annotated[int, typer.Option(help="Seed of weights, noise and spikes.", min=0)] = 0,
    quick: Annotated[bool, typer.Option("--quick", help="A shorter recipe, under a minute.")] = False,
    settings: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Replace a number of the recipe.")
    ] = None,
    safetensors: Annotated[
        bool, typer.Option("--safetensors", help="Write safetensors, whatever the suffix says.")
    ] = False,
    curve: Annotated[
        Path | None, typer.Option(help="Draw the learning curve here (.svg, .png, .pdf).", dir_okay=False)
    ] = None,
    restart: Annotated[
        bool, typer.Option("--restart", help="Begin anew instead of going on from MODEL.training.")
    ] = False,
    data: Annotated[Path | None, typer.Option(help="File or folder of a task that reads one.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Train a task's spiking encoder with surrogate gradients and write model.pt.

    A training that was killed goes on when the same command is given again, with the same result.
    """
    from snn_deploy.benchmarks.training import train_task
    from snn_deploy.train.progress import bar

    target = output.with_suffix(".safetensors") if safetensors else output
    overrides = dict(_pair(text) for text in settings or [])
    with bar() as progress:
        summary = train_task(
            task,
            target,
            encoder=encoder,
            epochs=epochs,
            seed=seed,
            quick=quick,
            overrides=overrides,
            progress=progress,
            curve=curve,
            restart=restart,
            data=data,
        )
    if as_json:
        sys.stdout.write(json.dumps(summary) + "\n")
    else:
        sys.stdout.write("".join(f"{key}: {value}\n" for key, value in summary.items()))


def _pair(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not equals:
        raise UsageError("a setting is KEY=VALUE", where="--set", found=text)
    return key.strip().replace("-", "_"), value.strip()
