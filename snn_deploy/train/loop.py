"""Training: one loop for one or several towers and any objective. Imports torch: reach it inside functions.

A rate model comes first where the recipe asks for it, then the spikes.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from snn_deploy.convert.frontends.norse.description.config import Config
from snn_deploy.convert.frontends.norse.description.modules import Towers, build
from snn_deploy.errors import UsageError
from snn_deploy.train.ahead import Ahead
from snn_deploy.train.checkpoint import Checkpoint, identity
from snn_deploy.train.coding import Coding, rate_code
from snn_deploy.train.examples import Examples, Views
from snn_deploy.train.initialise import initialise, initialise_heads
from snn_deploy.train.objectives import Objective
from snn_deploy.train.progress import Epoch, Progress
from snn_deploy.train.recipe import Recipe
from snn_deploy.train.run import Run, Validate, load_weights

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Trained:
    """A trained model. best_epoch: number of the epoch of spikes whose weights ``module`` has, the last
    one without validation, 0 where no epoch of spikes was trained. ann: the ANN that the spikes began from,
    where there was one, to be run by :func:`snn_deploy.train.ann.activations`."""

    module: Towers
    history: list[Epoch]
    best_epoch: int
    ann: Towers | None = None


def fit(
    config: Config,
    views: Views,
    objective: Objective,
    recipe: Recipe,
    seed: int,
    *,
    constants: Mapping[str, npt.NDArray[Any]] | None = None,
    coding: Coding | Mapping[str, Coding] = rate_code,
    start: Mapping[str, torch.Tensor] | None = None,
    frozen: Collection[str] = (),
    frozen_heads: Collection[str] = (),
    validate: Validate | None = None,
    checkpoint: Path | None = None,
    progress: Progress | None = None,
    device: str | None = None,
) -> Trained:
    """Build the towers of ``config`` and train them until ``objective`` is small.

    views: draws the examples of an epoch. constants: values of the arrays that ``config.constants`` names;
    a linear map that the objective trains is drawn where none is given. coding: how values become what
    each step shows, one for all inputs or one for each. start: weights to begin with, by their names in the
    model; others are drawn. frozen: towers that keep their weights. frozen_heads: linear maps that the first
    stage alone trains. validate: scores the model, in evaluation mode, after each epoch of spikes; the best
    epoch's weights are kept, epochs beyond the spike budget behind those within. checkpoint: file from which
    an interrupted run goes on. device: such as "cuda"; None takes a GPU if there is one.

    The same arguments give the same weights on the same CPU and torch; torch's own generator is left as it
    was. Raises UsageError for examples that do not fit the towers or the objective, for a checkpoint of
    another run, and what the objective raises.
    """
    place = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
    constants, start = constants or {}, start or {}
    rng, view_rng = np.random.default_rng(seed).spawn(2)
    with torch.random.fork_rng(devices=[]), one_thread(), Ahead(views, view_rng) as ahead:
        torch.manual_seed(seed)
        module = build(config)
        first = ahead.next()
        first.check(config.towers, objective.targets)
        _prepare(module, first, objective, constants=constants, start=start, frozen=frozen)
        codings = {name: coding if callable(coding) else coding[name] for name in first.inputs}
        module.to(place).to(memory_format=torch.channels_last)  # convolutions are faster so
        still = frozenset(f"{head}_{part}" for head in frozen_heads for part in ("weight", "bias"))
        heads = trained_constants(module, objective)
        run = Run(module, objective, recipe, codings, rng, place, validate, heads, still)
        stored = None
        if checkpoint is not None:
            asked = {"seed": seed, "frozen": sorted(frozen), "validated": validate is not None}
            asked |= {"objective": objective, "device": place.type, "frozen_heads": sorted(frozen_heads)}
            said = identity(config, recipe, first, codings=codings, constants=constants, start=start, **asked)
            stored = Checkpoint(checkpoint, said)
            stored.resume(run, ahead)
        for epoch in run.epochs(ahead, stored.after_batch if stored else lambda _: None):
            if epoch.stage == "spikes":
                _warn_of_silence(epoch)
            if progress is not None:
                progress(epoch)
        if stored is not None:
            stored.write(run)
    return _finished(run, config)


def _finished(run: Run, config: Config) -> Trained:
    """The model of the best epoch, on the CPU and in evaluation mode."""
    if run.best.weights:
        load_weights(run.module, run.best.weights)
    for value in run.heads.values():
        value.requires_grad_(False)
    module = run.module.requires_grad_(True).cpu().to(memory_format=torch.contiguous_format).eval()
    ann = None
    if run.ann:
        ann = build(config)
        load_weights(ann, run.ann)
        ann.requires_grad_(False).eval()
    return Trained(module, run.history, run.best.epoch, ann)


def _prepare(
    module: Towers,
    examples: Examples,
    objective: Objective,
    *,
    constants: Mapping[str, npt.NDArray[Any]],
    start: Mapping[str, torch.Tensor],
    frozen: Collection[str],
) -> None:
    """Values of constants and weights, and which of them are trained."""
    for name, value in constants.items():
        module.constants.get_buffer(name).copy_(torch.from_numpy(np.asarray(value)))
    initialise(module, examples)
    heads = trained_constants(module, objective)
    initialise_heads({name: value for name, value in heads.items() if name not in constants})
    if start:
        module.load_state_dict(dict(start), strict=False)
    for head in heads.values():
        head.requires_grad_(True)
    for name in frozen:
        module.tower(name).requires_grad_(False)


def trained_constants(module: Towers, objective: Objective) -> dict[str, torch.Tensor]:
    """The constants that the objective trains, by name; UsageError where the model lacks one."""
    carried = dict(module.constants.named_buffers())
    names = [f"{head}_{part}" for head in objective.heads for part in ("weight", "bias")]
    missing = [name for name in names if name not in carried]
    if missing:
        raise UsageError(
            "the model does not carry the linear map of the objective",
            where="constants",
            found=", ".join(carried) or "none",
            allowed=", ".join(names),
            remedy="Add them to the description: weight (outputs, inputs) and bias (outputs).",
        )
    return {name: carried[name] for name in names}


@contextmanager
def one_thread() -> Iterator[None]:
    """One torch thread: the matrix products are small, and sums then do not depend on the machine's cores.

    On a busy machine two threads that wait for each other are several times slower than one.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _warn_of_silence(epoch: Epoch) -> None:
    for name, layer_rates in epoch.rates.items():
        for index, rate in enumerate(layer_rates):
            if rate == 0:
                log.warning(
                    "towers.%s: no neuron of layer %d fired in epoch %d; train more rate epochs or "
                    "raise rate_low (--set rate_low=0.02)",
                    name,
                    index,
                    epoch.epoch,
                )
