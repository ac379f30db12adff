"""Spiking encoders: descriptions of Norse modules, two layers of neurons for each modality."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Callable, Mapping

from snn_deploy.convert.frontends.norse.description.config import Config
from snn_deploy.errors import UsageError
from snn_deploy.train.recipe import Recipe

Layer = dict[str, object]
"""A layer as a checkpoint describes it."""


def _lif(inputs: int, recipe: Recipe) -> list[Layer]:
    return [_linear(inputs, recipe.hidden), _cell(recipe.hidden, recipe)]


def _recurrent(inputs: int, recipe: Recipe) -> list[Layer]:
    return [{**_cell(recipe.hidden, recipe), "type": "LIFRecurrentCell", "in": inputs}]


ENCODERS: dict[str, Callable[[int, Recipe], list[Layer]]] = {"lif": _lif, "recurrent": _recurrent}
"""First layer of neurons of each kind of encoder."""


def _linear(inputs: int, outputs: int) -> Layer:
    return {"type": "Linear", "in": inputs, "out": outputs, "bias": False}


def _cell(size: int, recipe: Recipe) -> Layer:
    return {
        "type": "LIFCell",
        "size": size,
        "tau_syn_inv": recipe.tau_syn_inv,
        "tau_mem_inv": recipe.tau_mem_inv,
    }


def describe(
    encoder: str, inputs: Mapping[str, int], recipe: Recipe, *, task: str, seed: int, **extra: object
) -> Config:
    """The checkpoint description of a dual encoder, a tower for each entry of ``inputs``.

    A tower is a first layer of the kind ``encoder``, then a bias-free Linear into a LIF layer of
    2 ``recipe.pairs`` neurons, of which the first half are ON and the second OFF. ``extra`` are further
    fields of the description. Raises UsageError for an unknown encoder.
    """
    if encoder not in ENCODERS:
        raise UsageError("unknown encoder", where="--encoder", found=encoder, allowed=", ".join(ENCODERS))
    outputs = 2 * recipe.pairs
    towers = {
        name: [*ENCODERS[encoder](width, recipe), _linear(recipe.hidden, outputs), _cell(outputs, recipe)]
        for name, width in inputs.items()
    }
    versions = {package: importlib.metadata.version(package) for package in ("torch", "norse", "numpy")}
    document = {
        "inputs": dict(inputs),
        "towers": towers,
        "readout": "on_off_counts",
        "task": task,
        "encoder": encoder,
        "seed": seed,
        "versions": versions,
    }
    return Config.model_validate({**document, **extra})
