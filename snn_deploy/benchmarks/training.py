"""Training the network of a task: the checks before, the file after."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from snn_deploy.benchmarks import registry
from snn_deploy.benchmarks.task import Task
from snn_deploy.errors import UsageError
from snn_deploy.train.curve import check_curve, write_curve
from snn_deploy.train.recipe import Recipe

if TYPE_CHECKING:
    from snn_deploy.convert.frontends.norse.description.config import Config
    from snn_deploy.train.loop import Trained
    from snn_deploy.train.progress import Progress


def train(
    task: Task,
    encoder: str,
    recipe: Recipe,
    seed: int,
    *,
    progress: Progress | None = None,
    checkpoint: Path | None = None,
) -> tuple[Trained, Config]:
    """Train a task's network; returns it and its description.

    checkpoint: a file from which an interrupted training goes on. Raises UsageError for an unknown encoder
    and for examples that do not fit, BackendUnavailable where torch, norse or a data package is missing.
    """
    from snn_deploy.convert.frontends.norse import import_norse

    import_norse()
    from snn_deploy.train.encoders import describe
    from snn_deploy.train.loop import fit

    constants = dict(task.constants())
    objective = task.objective(recipe)
    config = describe(
        task.towers(encoder, recipe) or encoder,
        {name: tuple(shape) for name, shape in task.input_shapes().items()},
        recipe,
        readout=task.readout_name,
        task=task.name,
        seed=seed,
        constants={
            **{name: list(value.shape) for name, value in constants.items()},
            **task.head_shapes(recipe),
        },
        metadata={"recipe": recipe.model_dump(), "steps": recipe.steps, **task.metadata()},
    )
    config = config.model_copy(update={"encoder": encoder})
    trained = fit(
        config,
        task.views,
        objective,
        recipe,
        seed,
        constants=constants,
        coding=type(task).coding,
        frozen_heads=task.frozen_heads(),
        validate=task.validate(recipe),
        checkpoint=checkpoint,
        progress=progress,
    )
    task.finish(trained.module, recipe, seed)
    return trained, config


def state_beside(model: Path) -> Path:
    """The file from which a training of this model goes on."""
    return model.with_name(f"{model.name}.training")


def train_task(
    name: str,
    output: Path,
    *,
    encoder: str | None = None,
    epochs: int | None = None,
    seed: int = 0,
    quick: bool = False,
    overrides: Mapping[str, object] | None = None,
    progress: Progress | None = None,
    curve: Path | None = None,
    restart: bool = False,
) -> dict[str, object]:
    """Train the task of this name, or in this file, and write the model; returns a summary of plain values.

    encoder: None is the task's own. epochs, overrides: replace numbers of its recipe. A training that was
    killed goes on from the file beside ``output``, with the result of an uninterrupted one; ``restart``
    begins anew. curve: where to draw the learning curve. What is wrong with the request is said before
    training starts. Raises UsageError for an unknown task, encoder or recipe entry, a suffix other than .pt
    and .safetensors, a folder that is not there; and what training raises.
    """
    task = registry.load_task(name)
    chosen = encoder or task.encoder
    task = task.with_encoder(chosen)
    if output.suffix not in (".pt", ".safetensors"):
        raise UsageError("unknown model format", where=str(output), allowed=".pt or .safetensors")
    if not output.parent.is_dir():
        raise UsageError("no such folder", where=str(output.parent), remedy="Make it first.")
    changes = {**(overrides or {}), **({} if epochs is None else {"epochs": epochs})}
    recipe = (task.quick_recipe if quick else task.recipe).changed(changes)
    if curve is not None:
        check_curve(curve, recipe.rate_epochs + recipe.epochs)
    start = time.monotonic()
    checkpoint = state_beside(output)
    if restart:
        checkpoint.unlink(missing_ok=True)
    with registry.blaming(registry.source_of(task)):
        trained, config = train(task, chosen, recipe, seed, progress=progress, checkpoint=checkpoint)
    from snn_deploy.convert.frontends.norse.description.checkpoint import save_checkpoint

    save_checkpoint(output, trained.module, config)
    checkpoint.unlink(missing_ok=True)
    if curve is not None:
        write_curve(curve, trained.history, trained.best_epoch)
    last = trained.history[-1] if trained.history else None
    return {
        "model": str(output),
        "task": task.name,
        "encoder": chosen,
        "seed": seed,
        "epochs": sum(epoch.stage == "spikes" for epoch in trained.history),
        "best_epoch": trained.best_epoch,
        "loss": last.loss if last else None,
        "rates": {tower: list(rates) for tower, rates in last.rates.items()} if last else {},
        "parameters": sum(parameter.numel() for parameter in trained.module.parameters()),
        "seconds": round(time.monotonic() - start, 1),
        "versions": config.versions,
    }
