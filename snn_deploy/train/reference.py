"""Conventional networks, which a spiking one is compared with or learns from. Imports torch: reach it inside
functions.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from snn_deploy.train.examples import batches
from snn_deploy.train.loop import one_thread
from snn_deploy.train.objectives import cross_entropy

_BATCH = 256
"""Items that a trained network is shown at once."""

Augment = Callable[[NDArray[np.float32], np.random.Generator], NDArray[np.float32]]


@dataclass(frozen=True)
class Training:
    """The numbers of a training run: AdamW, its learning rate rising and falling once."""

    epochs: int
    learning_rate: float = 2e-3
    weight_decay: float = 1e-2
    batch: int = 128


class Reference:
    """A trained network. ``module`` maps (items, ...) to scores (items, answers)."""

    def __init__(self, module: nn.Module) -> None:
        self.module = module.eval()

    def scores(self, inputs: NDArray[Any]) -> NDArray[np.float32]:
        """Scores (items, answers) of inputs (items, ...)."""
        with torch.no_grad(), one_thread():
            parts = [self.module(_tensor(inputs[i : i + _BATCH])) for i in range(0, len(inputs), _BATCH)]
        return np.asarray(torch.cat(parts).numpy(), np.float32)


def train_reference(
    build: Callable[[], nn.Module],
    inputs: NDArray[Any],
    targets: NDArray[Any],
    training: Training,
    seed: int,
    *,
    validation: tuple[NDArray[Any], NDArray[Any]] | None = None,
    augment: Augment | None = None,
) -> Reference:
    """Train ``build()`` by cross-entropy on inputs (items, ...).

    targets: classes (items,), or weights of all answers (items, answers), which are normalised. validation:
    inputs and targets by whose loss the best epoch is kept, the last one otherwise. augment: draws the
    inputs of an epoch anew. One thread; the same arguments give the same weights on one CPU and torch.
    """
    rng = np.random.default_rng(seed)
    with torch.random.fork_rng(devices=[]), one_thread():
        torch.manual_seed(seed)
        module = build()
        steps = training.epochs * len(batches(len(inputs), training.batch, np.random.default_rng(0)))
        optimiser = torch.optim.AdamW(
            module.parameters(), lr=training.learning_rate, weight_decay=training.weight_decay
        )
        schedule = torch.optim.lr_scheduler.OneCycleLR(
            optimiser, training.learning_rate, total_steps=steps, pct_start=0.2
        )
        best, kept = np.inf, module.state_dict()
        for _ in range(training.epochs):
            drawn = inputs if augment is None else augment(inputs, rng)
            for rows in batches(len(inputs), training.batch, rng):
                module.train()
                loss = cross_entropy(module(_tensor(drawn[rows])), torch.from_numpy(targets[rows]))
                optimiser.zero_grad()
                torch.autograd.backward([loss])
                optimiser.step()
                schedule.step()
            if validation is not None:
                scores = torch.from_numpy(Reference(module).scores(validation[0]))
                held_out = float(cross_entropy(scores, torch.from_numpy(validation[1])))
                if held_out < best:
                    best, kept = held_out, {n: v.clone() for n, v in module.state_dict().items()}
        if validation is not None:
            module.load_state_dict(kept)
    return Reference(module)


def logistic_regression(inputs: NDArray[np.float32], labels: NDArray[np.int64]) -> Reference:
    """A linear map of standardised values (items, values), trained by cross-entropy with weight decay."""
    answers = int(labels.max()) + 1
    mean, spread = inputs.mean(0), inputs.std(0) + 1e-3

    def build() -> nn.Module:
        return nn.Sequential(_Standardised(mean, spread), nn.Linear(inputs.shape[1], answers))

    return train_reference(build, inputs, labels, Training(epochs=15, weight_decay=0.3, batch=64), seed=0)


class _Standardised(nn.Module):
    def __init__(self, mean: NDArray[np.float32], spread: NDArray[np.float32]) -> None:
        super().__init__()
        self.mean, self.spread = torch.from_numpy(mean), torch.from_numpy(spread)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        scaled: torch.Tensor = (inputs - self.mean) / self.spread
        return scaled


def mlp(shape: Sequence[int], hidden: int, answers: int, dropout: float = 0.0) -> nn.Module:
    """One hidden layer of rectified units."""
    return nn.Sequential(
        nn.Flatten(),
        nn.Linear(int(np.prod(shape)), hidden),
        nn.ReLU(),
        nn.Dropout(dropout),
        nn.Linear(hidden, answers),
    )


class _Gru(nn.Module):
    def __init__(self, width: int, hidden: int, answers: int, dropout: float) -> None:
        super().__init__()
        self.cells = nn.GRU(width, hidden, batch_first=True)
        self.dropout = nn.Dropout(dropout)
        self.scores = nn.Linear(hidden, answers)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        _, last = self.cells(inputs)
        scores: torch.Tensor = self.scores(self.dropout(last[0]))
        return scores


def gru(width: int, hidden: int, answers: int, dropout: float = 0.0) -> nn.Module:
    """A GRU over (items, steps, width), whose last state a linear map reads."""
    return _Gru(width, hidden, answers, dropout)


class _StepsLast(nn.Module):
    """(items, steps, channels) to (items, channels, steps), as convolutions take it."""

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        return inputs.transpose(1, 2)


def cnn_in_time(channels: int, answers: int, *, width: int = 64, parts: int = 4) -> nn.Module:
    """Three convolutions over (items, steps, channels), then a linear map of means over ``parts`` of time."""
    layers: list[nn.Module] = [_StepsLast()]
    for inputs, outputs, kernel in ((channels, width, 5), (width, 2 * width, 5), (2 * width, 2 * width, 3)):
        layers += [
            nn.Conv1d(inputs, outputs, kernel, padding=kernel // 2, bias=False),
            nn.BatchNorm1d(outputs),
            nn.ReLU(),
        ]
        if outputs != inputs:
            layers.append(nn.MaxPool1d(2))
    layers += [
        nn.AdaptiveAvgPool1d(parts),
        nn.Flatten(),
        nn.Dropout(0.5),
        nn.Linear(2 * width * parts, answers),
    ]
    return nn.Sequential(*layers)


class _OneChannel(nn.Module):
    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        return inputs[:, None]


def cnn_of_samples(answers: int, *, width: int = 16) -> nn.Module:
    """Four convolutions over (items, samples) that halve the time four times over, the largest value of each
    channel, a linear map."""
    layers: list[nn.Module] = [_OneChannel()]
    inputs = 1
    for outputs, kernel, stride in ((width, 31, 4), (2 * width, 15, 4), (4 * width, 9, 4), (4 * width, 5, 2)):
        layers += [
            nn.Conv1d(inputs, outputs, kernel, stride, kernel // 2, bias=False),
            nn.BatchNorm1d(outputs),
            nn.ReLU(),
        ]
        inputs = outputs
    return nn.Sequential(*layers, nn.AdaptiveMaxPool1d(1), nn.Flatten(), nn.Linear(inputs, answers))


def _tensor(values: NDArray[Any]) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(values, np.float32))
