"""A training run under way: batch after batch, with everything that it takes to go on later.

Imports torch: reach it inside functions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from math import prod
from typing import Any

import numpy as np
import torch

from snn_deploy.convert.frontends.norse.description.modules import Towers
from snn_deploy.train.ahead import Ahead
from snn_deploy.train.ann import activations, begin_spikes, freeze_norms
from snn_deploy.train.coding import Coding, rate_code
from snn_deploy.train.examples import Batch, Examples, Layers, batches, tower_of
from snn_deploy.train.objectives import Objective, readers
from snn_deploy.train.penalties import penalty
from snn_deploy.train.progress import Epoch
from snn_deploy.train.rate_model import rates
from snn_deploy.train.recipe import Recipe
from snn_deploy.train.unroll import unroll

_SAMPLED = 512
"""Examples by which an ANN's outputs are scaled to thresholds."""

Validate = Callable[[Towers], float]
"""A score of the spiking network on held-out examples, higher is better."""


@dataclass
class Position:
    """How far a run is. rng and view_rng: states of the generators when the epoch began."""

    stage: str = "rates"
    epoch: int = 0
    batch: int = 0
    losses: list[float] = field(default_factory=list)
    rates: list[dict[str, list[float]]] = field(default_factory=list)
    rng: Any = None
    view_rng: Any = None

    def next_epoch(self) -> Position:
        return Position(self.stage, self.epoch + 1)


@dataclass
class Best:
    """The epoch of spikes that is kept so far; ``rank`` puts epochs within the spike budget first."""

    epoch: int = 0
    rank: tuple[bool, float] = (False, -np.inf)
    weights: dict[str, torch.Tensor] = field(default_factory=dict)


@dataclass
class Run:
    """The model, its optimiser, and where the run stands.

    heads: linear maps that are trained; frozen_heads: names of those that the spikes leave as they are.
    ann: the weights of the ANN that the spikes began from.
    """

    module: Towers
    objective: Objective
    recipe: Recipe
    codings: Mapping[str, Coding]
    rng: np.random.Generator
    device: torch.device
    validate: Validate | None
    heads: dict[str, torch.Tensor]
    frozen_heads: frozenset[str] = frozenset()
    ann: dict[str, torch.Tensor] = field(default_factory=dict)
    position: Position = field(default_factory=Position)
    best: Best = field(default_factory=Best)
    history: list[Epoch] = field(default_factory=list)
    sizes: dict[str, list[int]] = field(default_factory=dict)
    optimiser: torch.optim.Optimizer | None = None
    schedule: torch.optim.lr_scheduler.OneCycleLR | None = None

    def epochs(self, ahead: Ahead, after_batch: Callable[[Run], None]) -> Iterator[Epoch]:
        """Train what is left of both stages. after_batch: called whenever the run could be stored."""
        for stage, count in (("rates", self.recipe.rate_epochs), ("spikes", self.recipe.epochs)):
            if stage == "rates" and self.position.stage == "spikes":
                continue
            if self.position.stage != stage:
                self.position, self.optimiser = Position(stage), None
            while self.position.epoch < count:
                yield self._epoch(count, ahead, after_batch)

    def prepare_optimiser(self, steps: int) -> None:
        """AdamW whose learning rate rises and falls once in ``steps`` steps, fresh for each stage."""
        spikes = self.position.stage == "spikes"
        peak = self.recipe.learning_rate if spikes else self.recipe.rate_learning_rate
        trained: list[torch.Tensor] = [weight for weight in self.module.parameters() if weight.requires_grad]
        for name, head in self.heads.items():
            head.requires_grad_(not (spikes and name in self.frozen_heads))
        trained += [head for head in self.heads.values() if head.requires_grad]
        self.optimiser = torch.optim.AdamW(
            trained, lr=peak, weight_decay=self.recipe.weight_decay, fused=True
        )
        self.schedule = torch.optim.lr_scheduler.OneCycleLR(
            self.optimiser, peak, total_steps=steps, pct_start=self.recipe.warm_up
        )

    def _epoch(self, count: int, ahead: Ahead, after_batch: Callable[[Run], None]) -> Epoch:
        position, examples = self.position, ahead.next()
        from_ann = self.recipe.start == "ann" and position.stage == "spikes" and self.recipe.rate_epochs > 0
        if from_ann and not self.ann:
            self._begin_spikes(examples)
        self.module.train()
        if from_ann:
            freeze_norms(self.module)
        if position.batch == 0:
            position.rng, position.view_rng = self.rng.bit_generator.state, ahead.state
            parts = batches(len(examples), self.recipe.batch, self.rng)
        else:  # resumed: the same order again, then on with the generator where it was
            begun = np.random.default_rng()
            begun.bit_generator.state = position.rng
            parts = batches(len(examples), self.recipe.batch, begun)
        if self.optimiser is None:
            self.prepare_optimiser(count * len(parts))
        for rows in parts[position.batch :]:
            self._step(examples.rows(rows))
            position.batch += 1
            after_batch(self)
        epoch = self._report(count)
        self._keep(epoch)
        self.history.append(epoch)
        self.position = position.next_epoch()
        return epoch

    def _begin_spikes(self, examples: Examples) -> None:
        """Keep the ANN's weights, and turn them into those that the spiking network begins with."""
        self.ann = {name: value.detach().clone() for name, value in self.module.state_dict().items()}
        self.module.eval()
        sample = examples.rows(np.arange(min(len(examples), _SAMPLED)))
        for name, values in sample.inputs.items():
            if tower_of(name) == name:
                coded = self.codings[name](values, self.recipe.steps, self.rng)
                stands_for = begin_spikes(self.module.tower(name), self._tensor(coded.mean(1)))
                with torch.no_grad():
                    for head in readers(self.objective, name):
                        self.heads[f"{head}_weight"].mul_(stands_for)

    def _step(self, examples: Examples) -> None:
        if self.optimiser is None or self.schedule is None:
            raise RuntimeError("prepare_optimiser comes first")
        layers, batch = self._forward(examples)
        loss = self.objective(layers, batch)
        total = loss if self._trains_ann else loss + penalty(layers, self.recipe)
        self.optimiser.zero_grad()
        torch.autograd.backward([total])
        self.optimiser.step()
        self.schedule.step()
        self.position.losses.append(loss.item())
        self.position.rates.append({name: [mean_rate(r) for r in tower] for name, tower in layers.items()})
        first = 1 if self.position.stage == "rates" else 2
        self.sizes = {name: [prod(r.shape[first:]) for r in tower] for name, tower in layers.items()}

    def _forward(self, examples: Examples) -> tuple[Layers, Batch]:
        """Activity of every neuron layer: rates (samples, neurons) or spikes (steps, samples, neurons)."""
        layers: Layers = {}
        steps = self.recipe.steps
        for name, values in examples.inputs.items():
            tower, coding = self.module.tower(tower_of(name)), self.codings[name]
            if self.position.stage == "spikes":
                raster = _raster(coding(values, steps, self.rng)).to(self.device)
                layers[name] = unroll(tower, raster, self.recipe.slope, drop=self._drop())
            elif self._trains_ann:
                layers[name] = activations(tower, self._tensor(coding(values, steps, self.rng).mean(1)))
            else:
                drawn = coding is rate_code
                mean = values if drawn else coding(values, steps, self.rng).mean(1)
                layers[name] = rates(tower, self._tensor(mean), steps, noisy=drawn)
        inputs = {name: self._tensor(values) for name, values in examples.inputs.items()}
        targets = {name: self._tensor(values) for name, values in examples.targets.items()}
        return layers, Batch(inputs, targets, dict(self.module.constants.named_buffers()))

    @property
    def _trains_ann(self) -> bool:
        return self.recipe.start == "ann" and self.position.stage == "rates"

    def _tensor(self, values: Any) -> torch.Tensor:
        return torch.from_numpy(np.ascontiguousarray(values)).to(self.device)

    def _drop(self) -> float:
        return float(self.rng.uniform(0, self.recipe.drop)) if self.recipe.drop else 0.0

    def _report(self, count: int) -> Epoch:
        """What the epoch did."""
        position, steps = self.position, self.recipe.steps
        means = {
            name: np.mean([batch[name] for batch in position.rates], 0).tolist() for name in position.rates[0]
        }
        spiking = {} if self._trains_ann else means
        spikes = {name: steps * float(np.dot(means[name], self.sizes[name])) for name in spiking}
        return Epoch(
            position.stage,
            position.epoch + 1,
            count,
            float(np.mean(position.losses)),
            {name: tuple(layer_rates) for name, layer_rates in means.items()},
            self._score() if position.stage == "spikes" else None,
            spikes,
        )

    def _score(self) -> float | None:
        if self.validate is None:
            return None
        self.module.eval()
        with torch.random.fork_rng(devices=[]), torch.no_grad():
            return float(self.validate(self.module))

    def _keep(self, epoch: Epoch) -> None:
        """Hold on to the weights of the best epoch of spikes so far; of the last one without validation."""
        if epoch.score is None:
            self.best.epoch = epoch.epoch if epoch.stage == "spikes" else 0
            return
        budget = self.recipe.spike_budget
        rank = (budget is None or max(epoch.spikes.values()) <= budget, epoch.score)
        if not self.best.weights or rank > self.best.rank:
            weights = {name: value.detach().clone() for name, value in self.module.state_dict().items()}
            self.best = Best(epoch.epoch, rank, weights)


def load_weights(module: Towers, weights: Mapping[str, torch.Tensor]) -> None:
    """Give a module all of its arrays; ValueError where the names are not its own."""
    if set(weights) != set(module.state_dict()):
        raise ValueError(f"arrays {sorted(set(weights) ^ set(module.state_dict()))} are missing or unknown")
    module.load_state_dict(dict(weights), strict=False)  # strict asks for BatchNorm's count of steps


def mean_rate(activity: torch.Tensor) -> float:
    """Spikes per neuron, step and sample."""
    return activity.detach().mean().item()


def _raster(coded: Any) -> torch.Tensor:
    """(samples, steps, *shape) to float32 (steps, samples, *shape); a repeated view stays one."""
    if coded.strides[1] == 0:
        once = torch.from_numpy(np.array(coded[:, 0])).float()  # copied: torch takes no read-only view
        return once.expand(coded.shape[1], *once.shape)
    return torch.from_numpy(np.require(coded, requirements="W")).transpose(0, 1).float().contiguous()
