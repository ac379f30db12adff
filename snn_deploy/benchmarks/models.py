"""The network that a task is benchmarked with: trained for it, or a model that somebody brings."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from snn_deploy.benchmarks.deployed import Deployed, Shown
from snn_deploy.benchmarks.outcome import BenchOptions, Stage
from snn_deploy.benchmarks.task import Task
from snn_deploy.benchmarks.training import state_beside, train
from snn_deploy.convert.artifact import Artifact
from snn_deploy.convert.conversion import Options, convert_graph
from snn_deploy.convert.frontends import read_model
from snn_deploy.errors import UsageError
from snn_deploy.train.curve import write_curve
from snn_deploy.train.evaluation import stored_constants

if TYPE_CHECKING:
    from snn_deploy.convert.frontends.norse.description.config import Config
    from snn_deploy.convert.frontends.norse.description.modules import Towers

Lap = Callable[[str], AbstractContextManager[None]]

_CHECKPOINTS = (".pt", ".pth", ".safetensors")


def trained_network(  # noqa: PLR0917  the parts of a driver's step
    task: Task, options: BenchOptions, seed: int, folder: Path, stage: Stage, lap: Lap
) -> Deployed:
    """Train a network for the task and convert it, by way of the file that ``train`` writes too.

    Writes model-SEED.pt, model-SEED.snn and the learning curve, curve-SEED.svg, into ``folder``. The state of
    the training stays beside the model until the driver removes it: a bench that was killed then goes on.
    """
    from snn_deploy.convert.frontends.norse.description.checkpoint import save_checkpoint

    recipe = task.quick_recipe if options.quick else task.recipe
    stage(f"seed {seed}: training {options.encoder or task.encoder} towers in Norse")
    model = model_of(folder, seed)
    with lap("train"):
        encoder, state = options.encoder or task.encoder, state_beside(model)
        trained, config = train(task, encoder, recipe, seed, checkpoint=state)
    if trained.history:
        write_curve(folder / f"curve-{seed}.svg", trained.history, trained.best_epoch)
    stage(f"seed {seed}: converting to {options.profile} integers")
    with lap("convert"):
        save_checkpoint(model, trained.module, config)
        shown = Shown(config.metadata["steps"], stored_constants(trained.module), seed)
        network = _converted(task, model, Options(profile=options.profile, seed=seed), shown, folder)
    return replace(network, ann=trained.ann)


def model_of(folder: Path, seed: int) -> Path:
    """The model of a seed among the files of a run."""
    return folder / f"model-{seed}.pt"


def given_network(task: Task, options: BenchOptions, path: Path, folder: Path) -> Deployed:
    """A model that was trained elsewhere: model.pt or .safetensors of this package, any graph.nir, or a .snn
    that ``convert`` made, whose integers are taken as they are.

    A checkpoint brings the constants of its input coding and the steps of a presentation; elsewhere they are
    the task's own. Raises UsageError where its inputs or outputs are not those that the task has.
    """
    recipe = task.quick_recipe if options.quick else task.recipe
    constants: Mapping[str, NDArray[Any]] = task.constants()
    steps = recipe.steps
    if path.suffix in _CHECKPOINTS:
        module, config = _checkpoint(path)
        constants = {**constants, **stored_constants(module)}
        steps = int(config.metadata.get("steps", steps))
    if path.suffix == ".snn":
        artifact = Artifact.load(path)
        steps = int(artifact.provenance.get("steps", steps))
        return _deployed(task, artifact, Shown(steps, constants, options.seed), path)
    convert = Options(profile=options.profile, seed=options.seed, dt=options.dt, reset=options.reset)
    return _converted(task, path, convert, Shown(steps, constants, options.seed), folder)


def encoder_of(path: Path | None) -> str:
    """Name of the encoder that a model says it has; empty where it says none, and without a model."""
    if path is None or not path.is_file():
        return ""
    if path.suffix == ".snn":
        return str(Artifact.load(path).provenance.get("encoder", ""))
    return _checkpoint(path)[1].encoder if path.suffix in _CHECKPOINTS else ""


def _checkpoint(path: Path) -> tuple[Towers, Config]:
    from snn_deploy.convert.frontends.norse.description.checkpoint import load_checkpoint

    return load_checkpoint(path)


def _converted(task: Task, model: Path, options: Options, shown: Shown, folder: Path) -> Deployed:
    """Convert a model file as ``convert`` does, calibrated on the task's own items."""
    source = read_model(model, options.dt)
    inputs = _inputs(task, source.graph.input_type, model)
    calibration = {
        inputs[tower]: raster.reshape(*raster.shape[:2], -1)
        for tower, raster in task.calibration(shown).items()
    }
    artifact = convert_graph(
        source.graph,
        _with_graded(options, task),
        {**source.provenance, "source": model.name, "steps": shown.steps},
        calibration,
    )
    artifact.save((folder / model.name).with_suffix(".snn"))
    return _deployed(task, artifact, shown, model)


def _with_graded(options: Options, task: Task) -> Options:
    return replace(options, graded=task.graded_bits) if task.graded_bits else options


def _deployed(task: Task, artifact: Artifact, shown: Shown, path: Path) -> Deployed:
    shapes = {node.name: tuple(node.shape) for node in artifact.network.inputs}
    inputs = _inputs(task, shapes, path)
    network = Deployed(shown.steps, shown.constants, shown.seed, artifact, MappingProxyType(inputs))
    task.check_network(network, path)
    return network


def _inputs(task: Task, found: Mapping[str, Any], path: Path) -> dict[str, str]:
    """Tower -> input of the model: by name, or the only one."""
    towers = list(task.input_shapes())
    if set(found) == set(towers):
        return {tower: tower for tower in towers}
    if len(found) == len(towers) == 1:
        return dict(zip(towers, found, strict=True))
    raise UsageError(
        "the model's inputs are not the task's",
        where=path,
        found=", ".join(found),
        allowed=", ".join(towers),
        remedy=f"Name its input nodes as the task {task.name} names its towers.",
    )
