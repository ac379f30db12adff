"""Fresh weights. Imports torch: reach it inside functions."""

from __future__ import annotations

import math
from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from torch import nn

from snn_deploy.convert.frontends.norse.description.modules import Towers
from snn_deploy.train.examples import Examples, tower_of

_FIRST_SPREAD, _NEXT_SPREAD, _RECURRENT_SPREAD = 0.7, 1.0, 0.1
"""Standard deviation of a fresh neuron's input current, in thresholds, at the rates expected."""
_EXPECTED_RATE = 0.1
_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d)


def initialise(module: Towers, examples: Examples) -> None:
    """Gaussian weights under which the input current's spread is about one threshold, biases of zero.

    Batch norm begins as the identity on normalised currents, torch's own start, which the spread suits, and
    before slow neurons with more: the voltage's spread under a white current of spread s is
    s sqrt(a_m / (2 - a_m)), and neurons of a_m below a half get the s at which it is that of a half.
    """
    shown = {tower_of(name): values for name, values in reversed(list(examples.inputs.items()))}
    with torch.no_grad():
        for name, tower in module.towers.items():
            _drive_slow_neurons(list(tower.children()))
            rate, spread = float(np.mean(np.square(shown[name]))), _FIRST_SPREAD
            norms = {f"{path}." for path, part in tower.named_modules() if isinstance(part, _NORMS)}
            for path, weight in tower.named_parameters():
                if path.startswith(tuple(norms)):
                    continue
                if path.endswith("recurrent_weights"):
                    weight.normal_(0, _RECURRENT_SPREAD / float(np.sqrt(weight.shape[1] * _EXPECTED_RATE)))
                    weight.fill_diagonal_(0)
                elif path.endswith("bias"):
                    weight.zero_()
                else:
                    inputs = math.prod(weight.shape[1:])
                    weight.normal_(0, spread / float(np.sqrt(inputs * max(rate, 1e-6))))
                    rate, spread = _EXPECTED_RATE, _NEXT_SPREAD


def _drive_slow_neurons(chain: list[Any]) -> None:
    for norm, behind in pairwise(chain):
        if isinstance(norm, _NORMS) and hasattr(behind, "p"):
            a_m = float(torch.as_tensor(behind.dt * behind.p.tau_mem_inv).mean())
            norm.weight.fill_(max(1.0, math.sqrt((2 - a_m) / (3 * a_m))))


def initialise_heads(heads: Mapping[str, torch.Tensor]) -> None:
    """Weights (outputs, inputs) of linear maps on the host: Gaussian of variance 1 / inputs; biases zero."""
    with torch.no_grad():
        for value in heads.values():
            if value.ndim == 2:
                value.normal_(0, value.shape[1] ** -0.5)
            else:
                value.zero_()
