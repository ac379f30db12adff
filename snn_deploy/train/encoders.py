"""Spiking encoders: functions that describe the layers of a tower of Norse modules.

An encoder is a function of the shape of a tower's input and a recipe that returns the layers; decorate it
with :func:`encoder` to give it a name for ``--encoder``, or write your own list from :func:`linear`,
:func:`convolution`, :func:`batch_norm` and :func:`lif`. A batch norm stands on the input current of the
neurons behind it and becomes part of the weights before it at export.
"""

from __future__ import annotations

import importlib.metadata
from collections.abc import Callable, Mapping, Sequence
from math import prod

from snn_deploy.convert.frontends.norse.description.config import Config
from snn_deploy.errors import UsageError
from snn_deploy.train.recipe import Recipe

Layer = dict[str, object]
"""A layer as a checkpoint describes it."""

Shape = tuple[int, ...]
Encoder = Callable[[Shape, Recipe], list[Layer]]

ENCODERS: dict[str, Encoder] = {}
"""Encoders by the name that ``--encoder`` takes."""


def encoder(name: str) -> Callable[[Encoder], Encoder]:
    """Register an encoder under a name."""

    def register(function: Encoder) -> Encoder:
        ENCODERS[name] = function
        return function

    return register


@encoder("lif")
def lif_encoder(shape: Shape, recipe: Recipe) -> list[Layer]:
    """A hidden layer of LIF neurons, then ON and OFF neurons; weights without bias."""
    return feed_forward(shape, [recipe.hidden, 2 * recipe.pairs], recipe)


@encoder("recurrent")
def recurrent_encoder(shape: Shape, recipe: Recipe) -> list[Layer]:
    """A hidden layer of Norse's recurrent LIF neurons, then ON and OFF neurons."""
    hidden = {**lif(recipe.hidden, recipe), "type": "LIFRecurrentCell", "in": prod(shape)}
    return [*flat(shape), hidden, *feed_forward((recipe.hidden,), [2 * recipe.pairs], recipe)]


def feed_forward(
    shape: Shape, widths: Sequence[int], recipe: Recipe, *, norm: bool = False, recurrent: bool = False
) -> list[Layer]:
    """Layers of ``widths`` LIF neurons, each behind a Linear, with batch norm and recurrence if asked for."""
    layers, inputs = flat(shape), prod(shape)
    for width in widths:
        layers.append(linear(inputs, width))
        if norm:
            layers.append(batch_norm((width,)))
        layers.append({**lif(width, recipe), "type": "RecurrentLIFCell"} if recurrent else lif(width, recipe))
        inputs = width
    return layers


def recurrent_lif(shape: Shape, recipe: Recipe) -> list[Layer]:
    """One layer of all-to-all recurrent LIF neurons behind a batch norm: as a task's own network."""
    return feed_forward(shape, [recipe.hidden], recipe, norm=True, recurrent=True)


def convolutional(
    shape: Shape,
    stages: Sequence[tuple[int, int, int]],
    recipe: Recipe,
    *,
    norm: bool = True,
) -> list[Layer]:
    """Convolutions with LIF neurons, then Flatten.

    shape: (channels, cells) or (channels, height, width). stages: (channels, kernel, stride) of each
    convolution, padded by half a kernel.
    """
    layers: list[Layer] = []
    for channels, kernel, stride in stages:
        layer, shape = convolution(shape, channels, kernel, stride)
        layers.append(layer)
        if norm:
            layers.append(batch_norm(shape))
        layers.append(lif(prod(shape), recipe))
    return [*layers, {"type": "Flatten"}]


def flat(shape: Shape) -> list[Layer]:
    """A Flatten where the input is no vector."""
    return [{"type": "Flatten"}] if len(shape) > 1 else []


def linear(inputs: int, outputs: int, *, bias: bool = False) -> Layer:
    """Weights (outputs, inputs)."""
    return {"type": "Linear", "in": inputs, "out": outputs, "bias": bias}


def convolution(shape: Shape, channels: int, kernel: int, stride: int) -> tuple[Layer, Shape]:
    """A Conv1d or Conv2d padded by half a kernel, and the shape behind it."""
    dimensions = len(shape) - 1
    if dimensions not in (1, 2):
        raise UsageError(
            "a convolution takes (channels, cells) or (channels, height, width)",
            where="encoder",
            found=shape,
        )
    layer: Layer = {
        "type": f"Conv{dimensions}d",
        "in": shape[0],
        "out": channels,
        "kernel": [kernel] * dimensions,
        "stride": [stride] * dimensions,
        "padding": [kernel // 2] * dimensions,
        "dilation": [1] * dimensions,
    }
    return layer, (channels, *((cells + 2 * (kernel // 2) - kernel) // stride + 1 for cells in shape[1:]))


def batch_norm(shape: Shape) -> Layer:
    """Batch norm of each channel of an input current of ``shape``."""
    return {"type": "BatchNorm2d" if len(shape) == 3 else "BatchNorm1d", "channels": shape[0]}


def lif(size: int, recipe: Recipe) -> Layer:
    """``size`` neurons with the recipe's time constants."""
    return {
        "type": "LIFCell",
        "size": size,
        "tau_syn_inv": recipe.tau_syn_inv,
        "tau_mem_inv": recipe.tau_mem_inv,
    }


def describe(
    encoder: str | Mapping[str, Sequence[Layer]],
    inputs: Mapping[str, int | Sequence[int]],
    recipe: Recipe,
    *,
    task: str,
    seed: int,
    **extra: object,
) -> Config:
    """The description of a model with a tower for each entry of ``inputs``, its width or shape.

    encoder: the name of an encoder, used for every tower, or the layers of each tower. Its outputs are
    read as ON and OFF halves unless ``extra``, further fields of the description, says otherwise
    (readout="counts"). Raises UsageError for an unknown encoder.
    """
    shapes = {n: (given,) if isinstance(given, int) else tuple(given) for n, given in inputs.items()}
    if isinstance(encoder, str):
        if encoder not in ENCODERS:
            raise UsageError("unknown encoder", where="--encoder", found=encoder, allowed=", ".join(ENCODERS))
        layers = {name: ENCODERS[encoder](shape, recipe) for name, shape in shapes.items()}
    else:
        layers = {name: list(tower) for name, tower in encoder.items()}
    document: dict[str, object] = {
        "inputs": {name: prod(shape) for name, shape in shapes.items()},
        "input_shapes": {name: list(shape) for name, shape in shapes.items() if len(shape) > 1},
        "towers": layers,
        "readout": "on_off_counts",
        "task": task,
        "encoder": encoder if isinstance(encoder, str) else "",
        "seed": seed,
        "versions": {package: importlib.metadata.version(package) for package in ("torch", "norse", "numpy")},
    }
    return Config.model_validate({**document, **extra})
