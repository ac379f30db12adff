"""What a network pays for its spikes, beside the objective. Imports torch: reach it inside functions."""

from __future__ import annotations

from collections.abc import Iterable

import torch

from snn_deploy.train.examples import Layers
from snn_deploy.train.recipe import Recipe


def penalty(layers: Layers, recipe: Recipe) -> torch.Tensor:
    """The weighted rate penalty, and what lies above the spike budget."""
    total = recipe.rate_penalty * rate_penalty(layers, recipe)
    if recipe.spike_budget is not None:
        for activity in layers.values():
            excess = (spikes_per_example(activity, recipe.steps) - recipe.spike_budget).clamp(min=0)
            total = total + excess / recipe.budget_scale
    return total


def rate_penalty(layers: Layers, recipe: Recipe) -> torch.Tensor:
    """Mean over neurons of (excess above rate_high)^2 + 25 (shortfall below rate_low)^2, summed over layers.

    The shortfall counts more because it is bounded by the small rate_low.
    """
    total = torch.zeros((), device=next(iter(layers.values()))[0].device)
    for tower in layers.values():
        for activity in tower:
            rate = _per_neuron(activity)
            excess = (rate - recipe.rate_high).clamp(min=0).square()
            shortfall = (recipe.rate_low - rate).clamp(min=0).square()
            total = total + (excess + 25 * shortfall).mean()
    return total


def spikes_per_example(activity: Iterable[torch.Tensor], steps: int) -> torch.Tensor:
    """Mean spikes per example, of all layers together, in ``steps`` steps."""
    counts = [_per_neuron(layer).sum() * steps for layer in activity]
    return torch.stack(counts).sum()


def _per_neuron(activity: torch.Tensor) -> torch.Tensor:
    """Mean rate of each neuron: (steps, samples, *shape) or (samples, neurons) to (neurons)."""
    flat = activity.flatten(2) if activity.ndim > 3 else activity
    return flat.flatten(0, -2).mean(0)
