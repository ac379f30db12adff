"""Training of a dual encoder: a rate model first, then the spikes, both by NT-Xent and AdamW.

Imports torch: reach it inside functions.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from snn_deploy.convert.frontends.norse.description.config import Config
from snn_deploy.convert.frontends.norse.description.modules import Towers, build
from snn_deploy.errors import UsageError
from snn_deploy.train.coding import rate_code
from snn_deploy.train.losses import nt_xent
from snn_deploy.train.rate_model import rates
from snn_deploy.train.recipe import Recipe
from snn_deploy.train.unroll import unroll

log = logging.getLogger(__name__)

Views = Callable[[np.random.Generator], Mapping[str, npt.NDArray[np.float32]]]
"""One epoch's view of every training pair: tower name to spike probabilities (pairs, inputs)."""

Layers = dict[str, list[torch.Tensor]]

_FIRST_SPREAD, _NEXT_SPREAD, _RECURRENT_SPREAD = 0.7, 1.0, 0.1
"""Standard deviation of a fresh neuron's input current, in thresholds, at the rates expected."""
_EXPECTED_RATE = 0.1
_WARM_UP_SHARE = 0.2
"""Part of a stage in which the learning rate rises before it falls (one cycle)."""


@dataclass(frozen=True)
class Epoch:
    """What one epoch did: ``stage`` is "rates" or "spikes", ``rates`` the mean spikes a neuron and step of
    every layer of each tower."""

    stage: str
    epoch: int
    epochs: int
    loss: float
    rates: dict[str, tuple[float, ...]]


Progress = Callable[[Epoch], None]


def train_towers(
    config: Config,
    views: Views,
    recipe: Recipe,
    seed: int,
    progress: Progress | None = None,
    *,
    constants: Mapping[str, npt.NDArray[np.float32]] | None = None,
) -> tuple[Towers, list[Epoch]]:
    """Build and train the two towers of ``config`` so that views of one pair get close embeddings.

    ``constants`` are the arrays that ``config.constants`` names; they are only carried along. The same
    arguments give the same weights on the same machine and torch; torch's own generator is left
    as it was. Raises UsageError unless there are two towers and at least two pairs.
    """
    if len(config.towers) != 2:
        raise UsageError("a dual encoder has two towers", found=sorted(config.towers))
    rng, view_rng = np.random.default_rng(seed).spawn(2)
    history: list[Epoch] = []
    with torch.random.fork_rng(devices=[]), _one_thread(), _Ahead(views, view_rng) as ahead:
        torch.manual_seed(seed)
        module = build(config)
        for name, value in (constants or {}).items():
            module.constants.get_buffer(name).copy_(torch.from_numpy(value))
        first = ahead.next()
        if min(len(values) for values in first.values()) < 2:
            raise UsageError("contrastive training needs at least two pairs")
        _initialise(module, first)
        for epoch in _epochs("rates", module, ahead, recipe, rng):
            history.append(epoch)
            if progress is not None:
                progress(epoch)
        for epoch in _epochs("spikes", module, ahead, recipe, rng):
            history.append(epoch)
            _warn_of_silence(epoch)
            if progress is not None:
                progress(epoch)
    return module, history


@contextmanager
def _one_thread() -> Iterator[None]:
    """One torch thread: the matrix products are small, and sums then do not depend on the machine's cores.

    On a busy machine two threads that wait for each other are several times slower than one.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


class _Ahead:
    """Views of the pairs, each drawn on a second core while the epoch before it trains."""

    def __init__(self, views: Views, rng: np.random.Generator) -> None:
        self._views, self._rng = views, rng
        self._pool = ThreadPoolExecutor(1)
        self._future = self._pool.submit(views, rng)

    def next(self) -> Mapping[str, npt.NDArray[np.float32]]:
        values = self._future.result()
        self._future = self._pool.submit(self._views, self._rng)
        return values

    def __enter__(self) -> _Ahead:
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown(cancel_futures=True)


def _initialise(module: Towers, views: Mapping[str, npt.NDArray[np.float32]]) -> None:
    """Gaussian weights under which the input current's spread is about one threshold."""
    with torch.no_grad():
        for name, tower in module.towers.items():
            rate, spread = float(np.mean(np.square(views[name]))), _FIRST_SPREAD
            for path, weight in tower.named_parameters():
                if path.endswith("recurrent_weights"):
                    weight.normal_(0, _RECURRENT_SPREAD / float(np.sqrt(weight.shape[1] * _EXPECTED_RATE)))
                    weight.fill_diagonal_(0)
                elif path.endswith("bias"):
                    weight.zero_()
                else:
                    weight.normal_(0, spread / float(np.sqrt(weight.shape[1] * max(rate, 1e-6))))
                    rate, spread = _EXPECTED_RATE, _NEXT_SPREAD


def _epochs(
    stage: str, module: Towers, views: _Ahead, recipe: Recipe, rng: np.random.Generator
) -> Iterator[Epoch]:
    count = recipe.rate_epochs if stage == "rates" else recipe.epochs
    if count == 0:
        return
    peak = recipe.rate_learning_rate if stage == "rates" else recipe.learning_rate
    optimiser = torch.optim.AdamW(module.parameters(), lr=peak, weight_decay=recipe.weight_decay, fused=True)
    schedule: torch.optim.lr_scheduler.OneCycleLR | None = None
    for epoch in range(count):
        view = views.next()
        batches = _batches(len(next(iter(view.values()))), recipe.batch, rng)
        if schedule is None:
            schedule = torch.optim.lr_scheduler.OneCycleLR(
                optimiser, peak, total_steps=count * len(batches), pct_start=_WARM_UP_SHARE
            )
        losses, means = [], []
        for rows in batches:
            chosen = {name: values[rows] for name, values in view.items()}
            layers = _forward(stage, module, chosen, recipe, rng)
            first, second = (_embedding(tower[-1]) for tower in layers.values())
            loss = nt_xent(first, second, recipe.temperature)
            total = loss + recipe.rate_penalty * _rate_penalty(layers, recipe)
            optimiser.zero_grad()
            torch.autograd.backward([total])
            optimiser.step()
            schedule.step()
            losses.append(loss.item())
            means.append({name: [r.detach().mean().item() for r in tower] for name, tower in layers.items()})
        mean_rates = {name: tuple(np.mean([mean[name] for mean in means], 0).tolist()) for name in means[0]}
        yield Epoch(stage, epoch + 1, count, float(np.mean(losses)), mean_rates)


def _batches(n: int, size: int, rng: np.random.Generator) -> list[npt.NDArray[np.int64]]:
    """Rows of one epoch in random order, in parts of about ``size`` that differ by one row at most."""
    return np.array_split(rng.permutation(n), max(1, round(n / size)))


def _forward(
    stage: str,
    module: Towers,
    views: Mapping[str, npt.NDArray[np.float32]],
    recipe: Recipe,
    rng: np.random.Generator,
) -> Layers:
    """Activity of every neuron layer: rates (samples, neurons) or spikes (steps, samples, neurons)."""
    layers: Layers = {}
    for name, values in views.items():
        tower = module.tower(name)
        if stage == "rates":
            layers[name] = rates(tower, torch.from_numpy(values), recipe.steps)
        else:
            spikes = torch.from_numpy(rate_code(values, recipe.steps, rng)).transpose(0, 1).float()
            layers[name] = unroll(tower, spikes.contiguous(), recipe.slope)
    return layers


def _embedding(activity: torch.Tensor) -> torch.Tensor:
    """ON minus OFF of the last layer: mean over the steps, if there are any."""
    mean = activity.mean(0) if activity.ndim == 3 else activity
    half = mean.shape[1] // 2
    return mean[:, :half] - mean[:, half:]


def _rate_penalty(layers: Layers, recipe: Recipe) -> torch.Tensor:
    """Mean over neurons of (excess above rate_high)^2 + 25 (shortfall below rate_low)^2, summed over layers.

    The shortfall counts more because it is bounded by the small rate_low.
    """
    total = torch.zeros(())
    for tower in layers.values():
        for activity in tower:
            rate = activity.flatten(0, -2).mean(0)
            excess = (rate - recipe.rate_high).clamp(min=0).square()
            shortfall = (recipe.rate_low - rate).clamp(min=0).square()
            total = total + (excess + 25 * shortfall).mean()
    return total


def _warn_of_silence(epoch: Epoch) -> None:
    for tower, layer_rates in epoch.rates.items():
        for index, rate in enumerate(layer_rates):
            if rate == 0:
                log.warning(
                    "towers.%s: no neuron of layer %d fired in epoch %d; train more rate epochs or "
                    "raise rate_low (--set rate_low=0.02)",
                    tower,
                    index,
                    epoch.epoch,
                )
