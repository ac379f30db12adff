"""torch's linear layers as NIR nodes, as they compute at inference."""

from __future__ import annotations

from typing import Any

import nir
import numpy as np
from numpy.typing import NDArray
from torch import nn

from snn_deploy.convert.frontends.modules.writer import Writer, array, writes
from snn_deploy.errors import ModelNotSupported


@writes(nn.Linear)
def _(module: nn.Linear, writer: Writer, name: str) -> None:
    weight = array(module.weight)
    writer.require_width(name, weight.shape[1])
    node = nir.Linear(weight) if module.bias is None else nir.Affine(weight, array(module.bias))
    writer.add(name, node, weight.shape[:1])


@writes(nn.Conv1d, nn.Conv2d)
def _(module: Any, writer: Writer, name: str) -> None:
    dimensions = 1 if isinstance(module, nn.Conv1d) else 2
    if module.padding_mode != "zeros":
        raise ModelNotSupported(
            "only zeros can be padded", where=name, found=module.padding_mode, allowed="zeros"
        )
    if len(writer.shape) != dimensions + 1 or writer.shape[0] != module.in_channels:
        raise ModelNotSupported(
            "the module does not take what arrives",
            where=name,
            found=f"shape {writer.shape}",
            allowed=f"{module.in_channels} channels and {dimensions} dimension(s) of space",
        )
    weight = array(module.weight)
    bias = np.zeros(weight.shape[0]) if module.bias is None else array(module.bias)
    shape = _behind(writer.shape, module.kernel_size, module.stride, module.padding, module.dilation)
    if dimensions == 1:
        padding = module.padding if isinstance(module.padding, str) else module.padding[0]
        node: nir.NIRNode = nir.Conv1d(
            writer.shape[1], weight, module.stride[0], padding, module.dilation[0], module.groups, bias
        )
    else:
        node = nir.Conv2d(
            writer.shape[1:], weight, module.stride, module.padding, module.dilation, module.groups, bias
        )
    writer.add(name, node, (weight.shape[0], *shape))


@writes(nn.AvgPool2d)
def _(module: nn.AvgPool2d, writer: Writer, name: str) -> None:
    padding = _pair(module.padding)
    if module.divisor_override is not None or (any(padding) and not module.count_include_pad):
        raise ModelNotSupported(
            "NIR's mean counts every cell of the kernel",
            where=name,
            found="divisor_override or count_include_pad=False",
            allowed="PyTorch's defaults",
        )
    _pool(nir.AvgPool2d, module, padding, writer, name)


@writes(nn.LPPool2d)
def _(module: nn.LPPool2d, writer: Writer, name: str) -> None:
    """The sum over the kernel, where norm_type is 1."""
    if float(module.norm_type) != 1.0:
        raise ModelNotSupported("only norm_type 1, a sum, is linear", where=name, found=module.norm_type)
    _pool(nir.SumPool2d, module, (0, 0), writer, name)


@writes(nn.MaxPool2d)
def _(module: nn.MaxPool2d, writer: Writer, name: str) -> None:
    """Of spikes the maximum is an OR: their sum into neurons of tau = dt and threshold one half."""
    if _pair(module.dilation) != (1, 1) or module.return_indices:
        raise ModelNotSupported(
            "this maximum is not implemented",
            where=name,
            found="dilation or return_indices",
            allowed="neither",
        )
    if not writer.sends_spikes():
        raise ModelNotSupported(
            "the maximum of other values than spikes is not linear, and no neuron computes it",
            where=name,
            found=f"it follows {', '.join(writer.open)}",
            allowed="behind neurons, or behind an input of spikes",
            remedy="Pool behind the neurons, or use AvgPool2d.",
        )
    _pool(nir.SumPool2d, module, _pair(module.padding), writer, f"{name}.sum")
    one = np.ones(writer.shape)
    node = nir.LIF(tau=one, r=one, v_leak=0 * one, v_threshold=one / 2, v_reset=0 * one)
    writer.add_memoryless(name, node)


@writes(nn.Flatten)
def _(module: nn.Flatten, writer: Writer, name: str) -> None:
    """torch's first dimension is the batch, which NIR leaves out."""
    rank = len(writer.shape)
    start, end = (d - 1 if d > 0 else d for d in (module.start_dim, module.end_dim))
    end += rank if end < 0 else 0
    start += rank if start < 0 else 0
    if module.start_dim == 0 or not 0 <= start <= end < rank:
        raise ModelNotSupported(
            "the batch or a dimension that is not there is flattened",
            where=name,
            found=f"start_dim {module.start_dim}, end_dim {module.end_dim}",
            allowed=f"dimensions 1 to {rank}",
        )
    node = nir.Flatten({"input": np.array(writer.shape)}, start, end)
    middle = int(np.prod(writer.shape[start : end + 1]))
    writer.add(name, node, (*writer.shape[:start], middle, *writer.shape[end + 1 :]))


@writes(nn.Identity, nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.AlphaDropout)
def _(module: nn.Module, writer: Writer, name: str) -> None:
    """Passes everything on at inference."""


@writes(nn.BatchNorm1d, nn.BatchNorm2d)
def _(module: Any, writer: Writer, name: str) -> None:
    """y = gain x + offset a channel; folded into the layer before it where nothing else reads that layer."""
    if module.running_mean is None or module.running_var is None:
        raise ModelNotSupported(
            "without running statistics the result depends on the batch",
            where=name,
            found="track_running_stats=False",
        )
    gain = 1.0 / np.sqrt(array(module.running_var) + module.eps)
    if module.weight is not None:
        gain = gain * array(module.weight)
    offset = -gain * array(module.running_mean)
    if module.bias is not None:
        offset = offset + array(module.bias)
    if not writer.shape or writer.shape[0] != gain.size:
        raise ModelNotSupported(
            "the module does not take what arrives",
            where=name,
            found=writer.shape,
            allowed=f"{gain.size} channels",
        )
    before = writer.nodes.get(writer.fresh)
    if isinstance(before, nir.Linear | nir.Affine | nir.Conv1d | nir.Conv2d):
        writer.nodes[writer.fresh] = _folded(before, gain, offset)
    elif len(writer.shape) == 1:
        writer.add(name, nir.Affine(np.diag(gain), offset), writer.shape)
    elif len(writer.shape) == 3:
        kernel = gain.reshape(-1, 1, 1, 1)
        writer.add(name, nir.Conv2d(writer.shape[1:], kernel, 1, 0, 1, gain.size, offset), writer.shape)
    else:
        kernel = gain.reshape(-1, 1, 1)
        writer.add(name, nir.Conv1d(writer.shape[1], kernel, 1, 0, 1, gain.size, offset), writer.shape)


def _folded(node: Any, gain: NDArray[np.float64], offset: NDArray[np.float64]) -> nir.NIRNode:
    weight = node.weight * gain.reshape(-1, *(1,) * (node.weight.ndim - 1))
    if isinstance(node, nir.Linear):
        return nir.Affine(weight, offset)
    bias = node.bias * gain + offset
    if isinstance(node, nir.Affine):
        return nir.Affine(weight, bias)
    folded: nir.NIRNode = type(node)(
        node.input_shape, weight, node.stride, node.padding, node.dilation, node.groups, bias
    )
    return folded


def _pool(kind: Any, module: Any, padding: tuple[int, ...], writer: Writer, name: str) -> None:
    kernel = _pair(module.kernel_size)
    stride = _pair(module.kernel_size if module.stride is None else module.stride)
    if module.ceil_mode or len(writer.shape) != 3:
        raise ModelNotSupported(
            "pooling takes whole kernels of (channels, height, width)",
            where=name,
            found=f"shape {writer.shape}, ceil_mode {module.ceil_mode}",
        )
    shape = _behind(writer.shape, kernel, stride, padding, (1, 1))
    node = kind(kernel_size=np.array(kernel), stride=np.array(stride), padding=np.array(padding))
    writer.add(name, node, (writer.shape[0], *shape))


def _behind(shape: tuple[int, ...], kernel: Any, stride: Any, padding: Any, dilation: Any) -> tuple[int, ...]:
    """Cells behind a kernel: PyTorch's formula."""
    if padding == "same":
        return shape[1:]
    cells = (0,) * len(kernel) if padding == "valid" else padding
    return tuple(
        (size + 2 * pad - dil * (width - 1) - 1) // step + 1
        for size, pad, dil, width, step in zip(shape[1:], cells, dilation, kernel, stride, strict=True)
    )


def _pair(value: Any) -> tuple[int, int]:
    first, second = np.broadcast_to(np.asarray(value), (2,))
    return int(first), int(second)
