"""Descriptions of torch's layers: plain values that build the module and name its arrays.

To add a layer, write its class here, with ``type`` the name of the module's class, and list it at the end.
Shapes leave time and batch out.
"""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field, NonNegativeInt, PositiveInt, model_validator

from snn_deploy.convert.frontends.norse.description.spec import Layer, Shape, require_width

if TYPE_CHECKING:
    from torch import nn

Cells = Annotated[list[PositiveInt], Field(min_length=1, max_length=2)]
Padding = Annotated[list[NonNegativeInt], Field(min_length=1, max_length=2)]
Pair = tuple[PositiveInt, PositiveInt]
Pair0 = tuple[NonNegativeInt, NonNegativeInt]


class LinearSpec(Layer):
    """``torch.nn.Linear``: y = W x + b."""

    type: Literal["Linear"] = "Linear"
    inputs: PositiveInt = Field(alias="in")
    outputs: PositiveInt = Field(alias="out")
    bias: bool = False

    def behind(self, shape: Shape) -> Shape:
        require_width(shape, self.inputs)
        return (self.outputs,)

    def arrays(self) -> dict[str, Shape]:
        return {"weight": (self.outputs, self.inputs)} | ({"bias": (self.outputs,)} if self.bias else {})

    def build(self, shape: Shape, dt: float) -> nn.Module:
        from torch import nn

        return nn.Linear(self.inputs, self.outputs, bias=self.bias)

    @classmethod
    def fields_of(cls, module: Any, shape: Shape) -> dict[str, Any]:
        return {"inputs": module.in_features, "outputs": module.out_features, "bias": module.bias is not None}


class _Convolution(Layer):
    dimensions: ClassVar[int]
    inputs: PositiveInt = Field(alias="in")
    outputs: PositiveInt = Field(alias="out")
    kernel: Cells
    stride: Cells
    padding: Padding
    dilation: Cells
    groups: PositiveInt = 1
    bias: bool = False

    def behind(self, shape: Shape) -> Shape:
        if len(shape) != len(self.kernel) + 1 or shape[0] != self.inputs:
            raise ValueError(
                f"takes {self.inputs} channels of {len(self.kernel)} dimension(s), is given {shape}"
            )
        return (self.outputs, *_windows(shape, self.kernel, self.stride, self.padding, self.dilation))

    def arrays(self) -> dict[str, Shape]:
        weight = (self.outputs, self.inputs // self.groups, *self.kernel)
        return {"weight": weight} | ({"bias": (self.outputs,)} if self.bias else {})

    def build(self, shape: Shape, dt: float) -> nn.Module:
        from torch import nn

        kind: Any = {1: nn.Conv1d, 2: nn.Conv2d}[self.dimensions]
        sizes = (tuple(v) for v in (self.kernel, self.stride, self.padding, self.dilation))
        module: nn.Module = kind(self.inputs, self.outputs, *sizes, self.groups, bias=self.bias)
        return module

    @model_validator(mode="after")
    def _sizes_fit(self) -> _Convolution:
        for name in ("kernel", "stride", "padding", "dilation"):
            if len(getattr(self, name)) != self.dimensions:
                raise ValueError(f"{name} needs {self.dimensions} value(s)")
        if self.inputs % self.groups or self.outputs % self.groups:
            raise ValueError(
                f"{self.inputs} and {self.outputs} channels do not divide into {self.groups} groups"
            )
        return self

    @classmethod
    def fields_of(cls, module: Any, shape: Shape) -> dict[str, Any]:
        if isinstance(module.padding, str) or module.padding_mode != "zeros":
            raise ValueError("padding must be given in cells, of zeros")
        return {
            "inputs": module.in_channels,
            "outputs": module.out_channels,
            "kernel": list(module.kernel_size),
            "stride": list(module.stride),
            "padding": list(module.padding),
            "dilation": list(module.dilation),
            "groups": module.groups,
            "bias": module.bias is not None,
        }


class Conv1dSpec(_Convolution):
    """``torch.nn.Conv1d``, padded with zeros."""

    type: Literal["Conv1d"] = "Conv1d"
    dimensions: ClassVar[int] = 1


class Conv2dSpec(_Convolution):
    """``torch.nn.Conv2d``, padded with zeros."""

    type: Literal["Conv2d"] = "Conv2d"
    dimensions: ClassVar[int] = 2


_WINDOW = {"kernel": "kernel_size", "stride": "stride", "padding": "padding"}


class _Pool2d(Layer):
    """What pooling layers share: the window that moves over each channel."""

    kernel: Pair
    stride: Pair
    padding: Pair0

    def behind(self, shape: Shape) -> Shape:
        if len(shape) != 3:
            raise ValueError(f"takes (channels, height, width), is given {shape}")
        return (shape[0], *_windows(shape, self.kernel, self.stride, self.padding, [1, 1]))

    @staticmethod
    def _window(module: Any) -> dict[str, Any]:
        return {name: _pair(getattr(module, attribute)) for name, attribute in _WINDOW.items()}


class AvgPool2dSpec(_Pool2d):
    """``torch.nn.AvgPool2d``; cells of padding count."""

    type: Literal["AvgPool2d"] = "AvgPool2d"

    def build(self, shape: Shape, dt: float) -> nn.Module:
        from torch import nn

        return nn.AvgPool2d(self.kernel, self.stride, self.padding)

    @classmethod
    def fields_of(cls, module: Any, shape: Shape) -> dict[str, Any]:
        plain = module.count_include_pad or not any(_pair(module.padding))
        if module.ceil_mode or not plain or module.divisor_override is not None:
            raise ValueError("ceil_mode, count_include_pad=False and divisor_override are not stored")
        return cls._window(module)


class MaxPool2dSpec(_Pool2d):
    """``torch.nn.MaxPool2d``, of spikes."""

    type: Literal["MaxPool2d"] = "MaxPool2d"

    def build(self, shape: Shape, dt: float) -> nn.Module:
        from torch import nn

        return nn.MaxPool2d(self.kernel, self.stride, self.padding)

    @classmethod
    def fields_of(cls, module: Any, shape: Shape) -> dict[str, Any]:
        if module.ceil_mode or module.return_indices or _pair(module.dilation) != [1, 1]:
            raise ValueError("ceil_mode, dilation and return_indices are not stored")
        return cls._window(module)


class SumPool2dSpec(Layer):
    """``torch.nn.LPPool2d`` with norm_type 1: the sum over the kernel."""

    type: Literal["LPPool2d"] = "LPPool2d"
    kernel: Pair
    stride: Pair

    def behind(self, shape: Shape) -> Shape:
        if len(shape) != 3:
            raise ValueError(f"takes (channels, height, width), is given {shape}")
        return (shape[0], *_windows(shape, self.kernel, self.stride, [0, 0], [1, 1]))

    def build(self, shape: Shape, dt: float) -> nn.Module:
        from torch import nn

        return nn.LPPool2d(1, self.kernel, self.stride)

    @classmethod
    def fields_of(cls, module: Any, shape: Shape) -> dict[str, Any]:
        if float(module.norm_type) != 1 or module.ceil_mode:
            raise ValueError("only norm_type 1 without ceil_mode is stored")
        stride = module.kernel_size if module.stride is None else module.stride
        return {"kernel": _pair(module.kernel_size), "stride": _pair(stride)}


class FlattenSpec(Layer):
    """``torch.nn.Flatten`` of everything but the batch."""

    type: Literal["Flatten"] = "Flatten"

    def behind(self, shape: Shape) -> Shape:
        return (prod(shape),)

    def build(self, shape: Shape, dt: float) -> nn.Module:
        from torch import nn

        return nn.Flatten()

    @classmethod
    def fields_of(cls, module: Any, shape: Shape) -> dict[str, Any]:
        if (module.start_dim, module.end_dim) != (1, -1):
            raise ValueError("only Flatten() of all dimensions is stored")
        return {}


class DropoutSpec(Layer):
    """``torch.nn.Dropout``: passes on at inference."""

    type: Literal["Dropout"] = "Dropout"
    p: Annotated[float, Field(ge=0, lt=1)] = 0.5

    def behind(self, shape: Shape) -> Shape:
        return shape

    def build(self, shape: Shape, dt: float) -> nn.Module:
        from torch import nn

        return nn.Dropout(self.p)

    @classmethod
    def fields_of(cls, module: Any, shape: Shape) -> dict[str, Any]:
        return {"p": module.p}


class _BatchNorm(Layer):
    channels: PositiveInt
    eps: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 1e-5

    def behind(self, shape: Shape) -> Shape:
        if not shape or shape[0] != self.channels:
            raise ValueError(f"takes {self.channels} channels, is given {shape}")
        return shape

    def arrays(self) -> dict[str, Shape]:
        return dict.fromkeys(("weight", "bias", "running_mean", "running_var"), (self.channels,))

    def build(self, shape: Shape, dt: float) -> nn.Module:
        from torch import nn

        norm = (nn.BatchNorm1d if len(shape) < 3 else nn.BatchNorm2d)(self.channels, self.eps)
        norm.num_batches_tracked = None  # a count of training steps, which inference does not read
        return norm

    @classmethod
    def fields_of(cls, module: Any, shape: Shape) -> dict[str, Any]:
        if module.weight is None or module.running_mean is None:
            raise ValueError("affine=False and track_running_stats=False are not stored")
        return {"channels": module.num_features, "eps": module.eps}


class BatchNorm1dSpec(_BatchNorm):
    """``torch.nn.BatchNorm1d`` with its running statistics."""

    type: Literal["BatchNorm1d"] = "BatchNorm1d"


class BatchNorm2dSpec(_BatchNorm):
    """``torch.nn.BatchNorm2d`` with its running statistics."""

    type: Literal["BatchNorm2d"] = "BatchNorm2d"


TORCH_LAYERS = (
    LinearSpec
    | Conv1dSpec
    | Conv2dSpec
    | AvgPool2dSpec
    | MaxPool2dSpec
    | SumPool2dSpec
    | FlattenSpec
    | DropoutSpec
    | BatchNorm1dSpec
    | BatchNorm2dSpec
)


def _windows(shape: Shape, kernel: Any, stride: Any, padding: Any, dilation: Any) -> list[int]:
    """Cells behind a kernel: PyTorch's formula."""
    cells = [
        (size + 2 * pad - dil * (width - 1) - 1) // step + 1
        for size, width, step, pad, dil in zip(shape[1:], kernel, stride, padding, dilation, strict=True)
    ]
    if min(cells) < 1:
        raise ValueError(f"the kernel is larger than its padded input {shape}")
    return cells


def _pair(value: Any) -> list[int]:
    return list(value) if isinstance(value, tuple | list) else [value, value]
