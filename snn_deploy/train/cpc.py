"""A contrastive predictive encoder on the host, a spike bridge, and spiking neurons, trained as one.

Imports torch: reach it inside functions. Once trained, batch norms are folded, and encoder and bridge are
plain arrays, run by :func:`snn_deploy.train.host.bridge_spikes` without torch.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional

from snn_deploy.convert.frontends.norse.description.modules import Towers, build
from snn_deploy.train.encoders import describe, feed_forward
from snn_deploy.train.examples import Examples, batches
from snn_deploy.train.host import STAGES
from snn_deploy.train.initialise import initialise
from snn_deploy.train.loop import one_thread
from snn_deploy.train.penalties import spikes_per_example
from snn_deploy.train.recipe import Recipe
from snn_deploy.train.unroll import unroll

log = logging.getLogger(__name__)

_HORIZON = 4
"""Steps ahead that the contrastive loss predicts."""
_TEMPERATURE = 0.1
_ITEMS = 256
"""Items that a trained network is shown at once."""


@dataclass(frozen=True)
class CpcTraining:
    """latent: channels of the encoder. unit_norm: each step's latent vector is divided by its length (the
    document's L2). norm: batch norm before the bridge. contrast: weight of InfoNCE beside the labels.
    budget: spikes per item, bridge and neurons together, beyond which the loss rises; None for no limit."""

    latent: int = 64
    hidden: int = 128
    unit_norm: bool = False
    norm: bool = True
    contrast: float = 0.0
    learning_rate: float = 2e-3
    weight_decay: float = 1e-2
    epochs: int = 8
    batch: int = 64
    budget: float | None = None
    steps: int | None = None
    """Batches after which training ends; None: after ``epochs``."""


class _Spike(torch.autograd.Function):
    """1 where a value exceeds 1; backward as SuperSpike (Zenke and Ganguli 2018), slope 5."""

    @staticmethod
    def forward(ctx: Any, values: torch.Tensor) -> torch.Tensor:
        ctx.save_for_backward(values)
        return (values > 1).to(values.dtype)

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> torch.Tensor:
        (values,) = ctx.saved_tensors
        surrogate: torch.Tensor = gradients[0] / (1 + 5 * (values - 1).abs()).square()
        return surrogate


class CpcNetwork(nn.Module):
    """Encoder, bridge, recurrent LIF neurons, and a linear map of their rates."""

    def __init__(self, training: CpcTraining, recipe: Recipe) -> None:
        super().__init__()
        self.training_ = training
        layers: list[nn.Module] = []
        inputs = 1
        widths = [training.latent // 2, training.latent, training.latent]
        for (kernel, stride), width in zip(STAGES, widths, strict=True):
            layers += [
                nn.Conv1d(inputs, width, kernel, stride, kernel // 2),
                nn.BatchNorm1d(width),
                nn.ReLU(),
            ]
            inputs = width
        self.encoder = nn.Sequential(*layers[:-2])  # the last stage has no norm and no rectifier of its own
        self.norm = nn.BatchNorm1d(training.latent) if training.norm else nn.Identity()
        tower = feed_forward((training.latent,), [training.hidden], recipe, norm=True, recurrent=True)
        config = describe(
            {"spikes": tower}, {"spikes": training.latent}, recipe, task="", seed=0, readout="counts"
        )
        self.towers: Towers = build(config)
        self.scores = nn.Linear(training.hidden, 2)
        self.context = nn.GRU(training.latent, training.latent, batch_first=True)
        self.ahead = nn.ModuleList(nn.Linear(training.latent, training.latent) for _ in range(_HORIZON))

    def latents(self, strain: torch.Tensor) -> torch.Tensor:
        """(items, samples) to (items, latent, steps)."""
        found: torch.Tensor = self.encoder(strain[:, None])
        return functional.normalize(found, dim=1) if self.training_.unit_norm else found

    def bridged(self, latents: torch.Tensor) -> torch.Tensor:
        """Spikes of the bridge, (steps, items, latent)."""
        spikes: torch.Tensor = _Spike.apply(self.norm(latents))
        return spikes.permute(2, 0, 1)

    def forward(self, strain: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, list[torch.Tensor]]:
        """Scores (items, 2), latents, and spikes of bridge and neurons (steps, items, n)."""
        latents = self.latents(strain)
        bridge = self.bridged(latents)
        layers = unroll(self.towers.tower("spikes"), bridge.contiguous())
        return self.scores(layers[-1].mean(0)), latents, [bridge, *layers]

    def contrast(self, latents: torch.Tensor) -> torch.Tensor:
        """InfoNCE (van den Oord et al. 2018): which item's latent follows 1 .. 4 steps after a context."""
        z = latents.transpose(1, 2)
        context, _ = self.context(z)
        step = int(torch.randint(z.shape[1] // 4, z.shape[1] - _HORIZON, ()))
        wanted = torch.arange(len(z))
        losses = []
        for ahead, predict in enumerate(self.ahead, 1):
            predicted = functional.normalize(predict(context[:, step]), dim=1)
            similarity = predicted @ functional.normalize(z[:, step + ahead], dim=1).t() / _TEMPERATURE
            losses.append(functional.cross_entropy(similarity, wanted))
        return torch.stack(losses).mean()


@dataclass(frozen=True, eq=False)
class TrainedCpc:
    """The network in evaluation mode, the last epoch's loss of labels, and mean spikes per item of bridge and
    neurons in it."""

    network: CpcNetwork
    loss: float
    spikes: tuple[float, ...]

    def scores(self, strain: NDArray[np.float32]) -> NDArray[np.float32]:
        """Scores (items, 2)."""
        with torch.no_grad(), one_thread():
            parts = [
                self.network(torch.from_numpy(strain[i : i + 256]))[0] for i in range(0, len(strain), 256)
            ]
        return np.asarray(torch.cat(parts).numpy())


def train_cpc(
    strain: NDArray[np.float32], labels: NDArray[np.int64], training: CpcTraining, recipe: Recipe, seed: int
) -> TrainedCpc:
    """Train everything on windows (items, samples) with labels 0 or 1 (items,), on one thread."""
    rng = np.random.default_rng(seed)
    with torch.random.fork_rng(devices=[]), one_thread():
        torch.manual_seed(seed)
        network = CpcNetwork(training, recipe)
        expected = np.full((1, training.latent), 0.16, np.float32)  # share of a normal value above 1
        initialise(network.towers, Examples({"spikes": expected}))
        optimiser = torch.optim.AdamW(
            network.parameters(), lr=training.learning_rate, weight_decay=training.weight_decay
        )
        per_epoch = len(batches(len(strain), training.batch, np.random.default_rng(0)))
        steps = training.steps or training.epochs * per_epoch
        schedule = torch.optim.lr_scheduler.OneCycleLR(
            optimiser, training.learning_rate, total_steps=steps, pct_start=0.2
        )
        losses: list[float] = []
        counts: list[list[float]] = []
        while len(losses) < steps:
            for rows in batches(len(strain), training.batch, rng)[: steps - len(losses)]:
                scores, latents, spikes = network(torch.from_numpy(strain[rows]))
                loss = functional.cross_entropy(scores, torch.from_numpy(labels[rows]))
                total = loss + (training.contrast * network.contrast(latents) if training.contrast else 0.0)
                if training.budget is not None:
                    sent = spikes_per_example(spikes, len(spikes[0]))
                    total = total + (sent - training.budget).clamp(min=0) / 500
                optimiser.zero_grad()
                torch.autograd.backward([total])
                optimiser.step()
                schedule.step()
                losses.append(loss.item())
                counts.append([layer.detach().sum().item() / len(rows) for layer in spikes])
        network.eval()
    if not any(count[0] for count in counts[-per_epoch:]):
        log.warning("the spike bridge sent no spikes: put a batch norm before it, or scale the latents up")
    last = max(1, min(per_epoch, len(losses)))
    return TrainedCpc(
        network, float(np.mean(losses[-last:])), tuple(np.mean(counts[-last:], axis=0).tolist())
    )


def encoder_arrays(network: CpcNetwork) -> dict[str, NDArray[np.float32]]:
    """Encoder and bridge as :func:`snn_deploy.train.host.bridge_spikes` reads them, batch norms folded."""
    convolutions = [layer for layer in network.encoder if isinstance(layer, nn.Conv1d)]
    norms = [layer for layer in network.encoder if isinstance(layer, nn.BatchNorm1d)]
    norms.append(network.norm)  # type: ignore[arg-type]  # an Identity folds to nothing
    found = {}
    for index, (layer, norm) in enumerate(zip(convolutions, norms, strict=True)):
        weight, bias = layer.weight.detach(), layer.bias.detach()  # type: ignore[union-attr]
        if isinstance(norm, nn.BatchNorm1d):
            scale = norm.weight.detach() * torch.rsqrt(norm.running_var + norm.eps)  # type: ignore[operator,arg-type]
            weight = weight * scale[:, None, None]
            bias = (bias - norm.running_mean) * scale + norm.bias.detach()  # type: ignore[operator]
        found[f"encoder_{index}_kernel"] = weight.numpy().astype(np.float32)
        found[f"encoder_{index}_offset"] = bias.numpy().astype(np.float32)
    return found
