"""Plain Norse modules from a description. This module imports torch: reach it inside functions."""

from __future__ import annotations

import torch
from torch import nn

from snn_deploy.convert.frontends.norse import import_norse
from snn_deploy.convert.frontends.norse.description.config import Config
from snn_deploy.errors import UsageError, Violation


class Towers(nn.Module):
    """Independent chains of Norse modules, one for each modality.

    ``towers`` maps a name to a ``norse.torch.SequentialState``; ``constants`` holds, as buffers, the
    arrays that the task's input coding needs.
    """

    def __init__(self, towers: dict[str, nn.Module], constants: dict[str, torch.Tensor]) -> None:
        super().__init__()
        self.towers = nn.ModuleDict(towers)
        self.constants = nn.Module()
        for name, value in constants.items():
            self.constants.register_buffer(name, value)

    def tower(self, name: str) -> nn.Sequential:
        """The chain of modules called ``name``."""
        chain = self.towers[name]
        if not isinstance(chain, nn.Sequential):
            raise TypeError(f"tower {name} is a {type(chain).__name__}, not a chain")
        return chain

    def forward(self, tower: str, spikes: torch.Tensor) -> torch.Tensor:
        """Output spikes (steps, samples, outputs) of ``tower`` for a raster (steps, samples, inputs).

        Norse's own modules, step by step from rest: the reference for every other way to run them.
        """
        state = None
        outputs = []
        for step in spikes:
            output, state = self.tower(tower)(step, state)
            outputs.append(output)
        return torch.stack(outputs)


def build(config: Config) -> Towers:
    """The modules that ``config`` describes, with fresh weights drawn from torch's generator.

    Raises UsageError for names that torch's containers keep for themselves.
    """
    norse = import_norse()
    _refuse_taken_names(config)
    towers = {
        name: norse.SequentialState(
            *(
                layer.build(shape, config.dt)
                for layer, shape in zip(
                    layers, config.arriving(name), strict=False
                )  # one shape more: the last
            )
        )
        for name, layers in config.towers.items()
    }
    return Towers(towers, {name: torch.zeros(shape) for name, shape in config.constants.items()})


def _refuse_taken_names(config: Config) -> None:
    """torch registers a part as an attribute, so that "keys" or "type" would hide one of the container's."""
    named = (("towers", nn.ModuleDict(), config.towers), ("constants", nn.Module(), config.constants))
    faults = [
        Violation("torch keeps this name for itself", where, name, remedy="Choose another name.")
        for where, container, names in named
        for name in names
        if hasattr(container, name)
    ]
    if faults:
        raise UsageError(faults)
