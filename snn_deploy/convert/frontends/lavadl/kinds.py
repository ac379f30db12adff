"""One reader a kind of layer, with the fields that lava-dl 0.6.0's SLAYER writes. To add one, see KINDS.

Each reads all its fields, refuses those that are wrong or unknown, and only then compares them.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from snn_deploy.convert.frontends.lavadl.fields import Fields
from snn_deploy.convert.frontends.lavadl.layers import Cuba, NetLayer, Shape
from snn_deploy.network.arrays import IntArray, frozen
from snn_deploy.network.connections import Conv2d, Dense, Sparse, size
from snn_deploy.network.integers import DECAY_UNITY, LONGEST_DELAY, UNREACHABLE_VTH
from snn_deploy.network.validity.quantised import BIAS_MANT

_log = logging.getLogger(__name__)

#: SLAYER writes this threshold where a layer shall not spike: the largest of 18 bits.
_LARGEST_VTH = (1 << 18) - 1
#: Weight of an input layer that states none, as in netx.
_INPUT_WEIGHT = 64
#: Width of the integers x that an input layer with neurons takes.
_INPUT_BITS = 16


@dataclass(frozen=True)
class Before:
    """What a layer finds: the shape that arrives, None where nothing states it.

    spatial: it comes from neurons in (channels, height, width), so a dense layer needs a flatten layer first.
    """

    shape: Shape | None = None
    spatial: bool = False


@dataclass(frozen=True, eq=False)
class _Drive:
    """What conv, dense and pool have in common: the neurons and, where stated, their bias and delay."""

    neuron: Cuba
    bias: IntArray | None
    delay: IntArray | None


Read = tuple[NetLayer | None, Before]


def read_layer(tree: Any, where: str, before: Before, number: int) -> Read:
    """Read one layer; raises ModelNotSupported with all that is wrong with it."""
    fields = Fields(tree if isinstance(tree, Mapping) else {}, where)
    kind = fields.text("type")
    kind = _SPELLINGS.get(kind, kind)
    if kind in KINDS:
        return KINDS[kind](fields, before, number)
    fields.skip_all()
    fields.refuse(
        "this kind of layer is not supported",
        kind or "no type",
        ", ".join(KINDS),
        _REMEDIES.get(kind, "Build it of the kinds that are allowed."),
    )
    fields.close()
    return None, Before()


def _input(fields: Fields, before: Before, number: int) -> Read:
    """A shape alone, or neurons that receive weight x + bias, x an integer."""
    shape = _shape(fields)
    if number:
        fields.refuse("an input layer must come first", f"layer {number}", "layer 0")
    if "neuron" not in fields:
        fields.close()
        return None, Before(shape)
    neuron = _neuron(fields)
    weight = fields.integer("weight", -255, 255) if "weight" in fields else _INPUT_WEIGHT
    bias = fields.integer("bias", *BIAS_MANT) if "bias" in fields else 0
    fields.close()
    if neuron.i_decay != DECAY_UNITY:
        fields.refuse(
            "an input layer's current must have no memory: netx drives the membrane, SLAYER the current",
            f"iDecay {neuron.i_decay}",
            f"iDecay {DECAY_UNITY}",
        )
    fields.close()
    neurons = int(np.prod(shape))
    every = np.arange(neurons + 1)
    one_to_one = Sparse(np.full(neurons, weight), every[:-1], every, (neurons, neurons))
    biases = frozen(np.full(neurons, bias), np.int64)
    layer = NetLayer(number, "input", shape, neuron, one_to_one, biases, message_bits=_INPUT_BITS)
    return layer, Before(shape, spatial=len(shape) > 1)


def _flatten(fields: Fields, before: Before, number: int) -> Read:
    """Channels, height and width as one dimension, row-major as everywhere here."""
    shape = _shape(fields)
    fields.close()
    _arrives(fields, before, int(np.prod(shape)), flat=False)
    fields.close()
    return None, Before((int(np.prod(shape)),))


def _dense(fields: Fields, before: Before, number: int) -> Read:
    """All to all. Without a neuron, netx's default: u sums up without decay, and v = u."""
    shape, weight = _shape(fields), fields.integers("weight")
    stated = fields.optional("inFeatures"), fields.optional("outFeatures")
    drive = _drive(fields, Cuba(0, DECAY_UNITY, UNREACHABLE_VTH))
    fields.close()
    neurons = int(np.prod(shape))
    matrix = _matrix(fields, "weight", weight, neurons)
    for value, name, expected in zip(stated, ("inFeatures", "outFeatures"), matrix.shape[::-1], strict=True):
        _agrees(fields, name, value, expected)
    _arrives(fields, before, matrix.shape[1])
    bias, delay = _bias(fields, drive.bias, (neurons,)), _delay(fields, drive.delay, matrix.shape, neurons)
    fields.close()
    connection = Dense(frozen(matrix, np.int64))
    return NetLayer(number, "dense", (neurons,), drive.neuron, connection, bias, delay=delay), Before(
        (neurons,)
    )


def _recurrent(fields: Fields, before: Before, number: int) -> Read:
    """A dense layer whose spikes return to it one step later."""
    weight_rec = fields.integers("weight_rec")
    if "delay" in fields:
        fields.skip("delay")
        fields.refuse(
            "a recurrent layer has no defined delays: netx delays its own spikes too, SLAYER does not",
            remedy="Train the block with delay=False, or put the delays into a dense layer before it.",
        )
    layer, after = _dense(fields, before, number)
    if layer is None:
        return layer, after
    square = _matrix(fields, "weight_rec", weight_rec, layer.shape[0])
    if square.shape[1] != layer.shape[0]:
        fields.refuse("'weight_rec' is not square", square.shape, (layer.shape[0], layer.shape[0]))
    fields.close()
    return replace(layer, kind="dense_rec", recurrent=Dense(frozen(square, np.int64))), after


def _conv(fields: Fields, before: Before, number: int) -> Read:
    """A convolution in two dimensions, with stride, padding, dilation and groups."""
    shape, weight, geometry = _shape(fields), _kernel(fields), _geometry(fields)
    groups = fields.integer("groups", 1, 1 << 16)
    channels = fields.optional("inChannels"), fields.optional("outChannels")
    drive = _drive(fields)
    fields.close()
    _agrees(fields, "inChannels", channels[0], weight.shape[1] * groups)
    _agrees(fields, "outChannels", channels[1], weight.shape[0])
    arriving = _arriving(fields, before, shape, kernel=weight.shape, geometry=geometry, groups=groups)
    if arriving[0] != weight.shape[1] * groups or weight.shape[0] % groups:
        fields.refuse("'weight' does not fit the channels", f"{weight.shape} in {groups} groups", arriving)
    fields.close()
    connection = Conv2d(frozen(weight, np.int64), arriving, groups=groups, **geometry)
    return _spatial(fields, number, "conv", shape, connection=connection, drive=drive)


def _pool(fields: Fields, before: Before, number: int) -> Read:
    """One kernel for every channel, which is written as a convolution with groups.

    SLAYER adds (size mod kernel) zeros below and to the right first.
    Those zeros are written as padding on both sides under a kernel that starts with as many rows of zeros.
    """
    shape, weight, geometry = _shape(fields), _kernel(fields), _geometry(fields)
    drive = _drive(fields)
    fields.close()
    if weight.shape[:2] != (1, 1):
        fields.refuse("'weight' of a pool layer must be one kernel", weight.shape, "(1, 1, height, width)")
    if before.shape is None or len(before.shape) != 3:
        fields.refuse("the size of what is pooled is not stated", remedy="Begin with an input layer.")
    fields.close()
    channels, *sizes = before.shape or (1, 1, 1)
    extra = [n % k for n, k in zip(sizes, weight.shape[2:], strict=True)]
    if any(e % d for e, d in zip(extra, geometry["dilation"], strict=True)):
        fields.refuse("a dilated pool layer that does not divide its input", before.shape, weight.shape[2:])
    fields.close()
    ahead = [(e // d, 0) for e, d in zip(extra, geometry["dilation"], strict=True)]
    kernel = np.repeat(np.pad(weight, [(0, 0), (0, 0), *ahead]), channels, axis=0)
    geometry["padding"] = (geometry["padding"][0] + extra[0], geometry["padding"][1] + extra[1])
    arriving = (channels, sizes[0], sizes[1])
    connection = Conv2d(frozen(kernel, np.int64), arriving, groups=channels, **geometry)
    return _spatial(fields, number, "pool", shape, connection=connection, drive=drive)


def _average(fields: Fields, before: Before, number: int) -> Read:
    """A read-out of means: output k of n is the mean of the k-th n-th part of the spikes of one step."""
    groups = int(np.prod(_shape(fields)))
    fields.close()
    arriving = int(np.prod(before.shape or ()))
    if before.shape is None or arriving % groups:
        fields.refuse("'shape' does not divide the layer before", groups, f"a divisor of {before.shape}")
    fields.close()
    share = arriving // groups
    rows = Sparse(
        np.ones(arriving, dtype=np.int64),
        np.arange(arriving),
        np.arange(groups + 1) * share,
        (groups, arriving),
    )
    memoryless = Cuba(DECAY_UNITY, DECAY_UNITY, UNREACHABLE_VTH)
    nothing = frozen(np.zeros(groups), np.int64)
    return NetLayer(number, "average", (groups,), memoryless, rows, nothing, share=share), Before((groups,))


def _spatial(
    fields: Fields, number: int, kind: str, shape: Shape, *, connection: Conv2d, drive: _Drive
) -> Read:
    if connection.output_shape != shape:
        fields.refuse("'shape' is not what the geometry gives", shape, connection.output_shape)
        fields.close()
    bias = _bias(fields, drive.bias, shape)
    delay = _delay(fields, drive.delay, size(connection), shape[0])
    fields.close()
    layer = NetLayer(number, kind, shape, drive.neuron, connection, bias, delay=delay)
    return layer, Before(shape, spatial=True)


def _arriving(
    fields: Fields,
    before: Before,
    shape: Shape,
    *,
    kernel: Shape,
    geometry: Mapping[str, tuple[int, int]],
    groups: int,
) -> tuple[int, int, int]:
    """The shape that a convolution takes: the layer before says it, or a stride of 1 leaves one only."""
    if before.shape is not None and len(before.shape) == 3:
        return before.shape[0], before.shape[1], before.shape[2]
    if before.shape is not None or geometry["stride"] != (1, 1) or len(shape) != 3:
        fields.refuse(
            "the height and width that a convolution takes are not stated",
            before.shape or "no input layer",
            "(channels, height, width)",
            "Begin the file with an input layer.",
        )
        return kernel[1] * groups, 1, 1
    height, width = (
        n + d * (k - 1) - 2 * p
        for n, d, k, p in zip(shape[1:], geometry["dilation"], kernel[2:], geometry["padding"], strict=True)
    )
    return kernel[1] * groups, height, width


def _arrives(fields: Fields, before: Before, neurons: int, flat: bool = True) -> None:
    if before.shape is not None and int(np.prod(before.shape)) != neurons:
        fields.refuse("does not fit the layer before", f"{neurons} inputs", f"{before.shape}")
    elif flat and before.spatial:
        fields.refuse("a flatten layer is missing before this one", before.shape)


def _agrees(fields: Fields, name: str, value: IntArray | None, expected: int) -> None:
    if value is not None and (value.size != 1 or int(value.reshape(-1)[0]) != expected):
        fields.refuse(f"{name!r} contradicts the weights", value.tolist(), expected)


def _shape(fields: Fields) -> Shape:
    values = fields.integers("shape").reshape(-1)
    if values.size not in (0, 1, 3) or np.any(values < 1):
        fields.refuse(
            "'shape' must be (neurons) or (channels, height, width)", values.tolist(), "integers >= 1"
        )
    return tuple(int(n) for n in values)


def _geometry(fields: Fields) -> dict[str, tuple[int, int]]:
    return {name: fields.pair(name, low) for name, low in (("stride", 1), ("padding", 0), ("dilation", 1))}


def _kernel(fields: Fields) -> IntArray:
    """(channels, channels before, height, width); SLAYER's kernels also have a length in time, of one."""
    weight = fields.integers("weight")
    if weight.ndim == 5 and weight.shape[4] == 1:
        weight = weight[..., 0]
    if weight.size and weight.ndim != 4:
        fields.refuse(
            "'weight' has the wrong shape", weight.shape, "(channels, channels before, height, width)"
        )
    elif weight.size and "kernelSize" in fields:
        stated = fields.pair("kernelSize", 1)
        if stated != weight.shape[2:]:
            fields.refuse("'kernelSize' contradicts the weights", stated, weight.shape[2:])
    fields.skip("kernelSize")
    return weight


def _matrix(fields: Fields, name: str, weight: IntArray, neurons: int) -> IntArray:
    """(neurons, neurons before); netx takes a matrix that is stored flat, too."""
    if weight.ndim == 1 and weight.size % neurons == 0:
        return weight.reshape(neurons, -1)
    if weight.ndim != 2 or weight.shape[0] != neurons:
        fields.refuse(f"{name!r} has the wrong shape", weight.shape, f"({neurons}, neurons before)")
        fields.close()
    return weight


def _drive(fields: Fields, otherwise: Cuba | None = None) -> _Drive:
    neuron = otherwise if otherwise is not None and "neuron" not in fields else _neuron(fields)
    return _Drive(neuron, fields.optional("bias"), fields.optional("delay"))


def _neuron(layer: Fields) -> Cuba:
    """The layer's neuron; LOIHI is the older name of CUBA."""
    fields = layer.group("neuron")
    kind = fields.text("type")
    if kind not in ("", "CUBA", "LOIHI"):
        fields.skip_all()
        remedy = "Train with the blocks of slayer.block.cuba."
        fields.refuse("this neuron model is not supported", kind, "CUBA, LOIHI", remedy)
        return Cuba(DECAY_UNITY, 0, 0)
    decays = fields.integer("iDecay", 0, DECAY_UNITY), fields.integer("vDecay", 0, DECAY_UNITY)
    neuron = Cuba(*decays, fields.integer("vThMant", 0, _LARGEST_VTH))
    refractory = fields.integer("refDelay", 0, 1 << 16) if "refDelay" in fields else 1
    if refractory > 1:  # SLAYER counts the step of the spike, so 1 is no refractory period
        fields.refuse(
            "a refractory period is not supported: netx 0.6.0 runs the layer without one",
            f"refDelay {refractory}",
            "refDelay 0 or 1",
            "Write refDelay 1 into the file to take it as netx does, and look at the accuracy.",
        )
    for name in ("gradedSpike", "messageBits", "wgtExp", "weight_exp"):
        fields.repeats(name, 0)
    fields.skip("theta", "tauRho", "scaleRho")  # training only: its threshold and surrogate gradient
    return neuron


def _bias(fields: Fields, values: IntArray | None, shape: Shape) -> IntArray:
    """One bias a neuron of a dense layer, a channel of a convolution, or a layer; shape (neurons,)."""
    neurons = int(np.prod(shape))
    laid = np.zeros(1, dtype=np.int64) if values is None else values.reshape(-1)
    if laid.size not in (1, shape[0]):
        fields.refuse("'bias' has the wrong size", laid.size, f"1 or {shape[0]}")
        fields.close()
    return np.asarray(frozen(np.repeat(laid, neurons // laid.size), np.int64))


def _delay(fields: Fields, values: IntArray | None, neurons: Shape, channels: int) -> IntArray | None:
    """Steps by (target, source), 1 where it does not vary; where both fit, by target, as in netx.

    neurons: (of the layer, before it). channels: of a convolution, else the layer's neurons.
    """
    if values is None:
        return None
    out, before = neurons
    dense = channels == out
    if values.size == 1:
        laid = values.reshape(1, 1)
    elif values.shape == (channels,):
        laid = np.repeat(values, out // channels).reshape(out, 1)
    elif dense and values.shape == (before,):
        laid = values.reshape(1, before)
    elif dense and values.shape == (out, before):
        laid = values
    else:
        fields.refuse(
            "'delay' has the wrong shape", values.shape, f"1, ({channels},), ({before},), {neurons}"
        )
        return None
    if laid.min() < 0:
        fields.refuse("'delay' is negative", f"{laid.min()} steps", f"0 .. {LONGEST_DELAY}")
        return None
    if laid.max() > LONGEST_DELAY:
        _log.warning(
            "%s: delays of up to %d steps are clamped to %d, as netx does",
            fields.where,
            laid.max(),
            LONGEST_DELAY,
        )
        laid = np.minimum(laid, LONGEST_DELAY)
    return np.asarray(frozen(laid, np.int64)) if laid.any() else None


#: What files call a kind beside the name that SLAYER gives it.
_SPELLINGS = {"recurrent": "dense_rec"}
#: What to do about kinds that are known and not supported.
_REMEDIES = {
    "convT": "Replace the transposed convolution by a conv, or by a dense layer of the same weights.",
    "unpool": "Replace the unpooling by a dense layer of the same weights.",
    "kwta": "Loihi's neurons do not compete: inhibit them by way of a dense_rec layer.",
    "subsample": "Sum up the steps outside of the network.",
}

#: The kinds of layers, by the name that the file gives them.
KINDS: dict[str, Callable[[Fields, Before, int], Read]] = {
    "input": _input,
    "flatten": _flatten,
    "dense": _dense,
    "dense_rec": _recurrent,
    "conv": _conv,
    "pool": _pool,
    "average": _average,
}
