"""Descriptions of Norse's neurons: plain values that build the cell.

To add a neuron, write its class here, with ``type`` the name of Norse's class, and list it at the end.
"""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field, PositiveInt, model_validator

from snn_deploy.convert.frontends.norse import import_norse
from snn_deploy.convert.frontends.norse.description.spec import (
    Layer,
    PerNeuron,
    Shape,
    require_size,
    require_width,
)

if TYPE_CHECKING:
    from torch import nn

_PARAMETERS = {
    "LIFBoxCell": "LIFBoxParameters",
    "IAFCell": "IAFParameters",
    "LICell": "LIParameters",
    "LIBoxCell": "LIBoxParameters",
}


class _Neurons(Layer):
    """``size`` neurons with parameters of Norse; each is one value, or one for each neuron."""

    size: PositiveInt

    @classmethod
    def kind(cls) -> str:
        """Name of Norse's class."""
        return str(cls.model_fields["type"].default)

    @classmethod
    def parameters(cls) -> tuple[str, ...]:
        known = ("tau_syn_inv", "tau_mem_inv", "v_leak", "v_th", "v_reset")
        return tuple(name for name in known if name in cls.model_fields)

    def behind(self, shape: Shape) -> Shape:
        require_size(shape, self.size)
        return shape

    def build(self, shape: Shape, dt: float) -> nn.Module:
        norse = import_norse()
        cell: nn.Module = getattr(norse, self.kind())(p=self._norse_parameters(shape), dt=dt)
        return cell

    def _norse_parameters(self, shape: Shape) -> Any:
        import torch

        kind = _PARAMETERS.get(self.kind(), "LIFParameters")
        values = {}
        for name in self.parameters():
            stated = torch.as_tensor(getattr(self, name), dtype=torch.float32)
            values[name] = stated.reshape(shape) if stated.ndim else stated
        return getattr(import_norse(), kind)(**values)

    @classmethod
    def fields_of(cls, module: Any, shape: Shape) -> dict[str, Any]:
        import torch

        found: dict[str, Any] = {"size": prod(shape)}
        for name in cls.parameters():
            value = torch.as_tensor(getattr(module.p, name)).detach().to(torch.float32)
            found[name] = value.item() if value.ndim == 0 else value.broadcast_to(shape).flatten().tolist()
        return found

    @model_validator(mode="after")
    def _one_value_or_one_each(self) -> _Neurons:
        for name in self.parameters():
            value = getattr(self, name)
            if isinstance(value, list) and len(value) != self.size:
                raise ValueError(f"{name} holds {len(value)} values for {self.size} neurons")
        return self


class _Lif(_Neurons):
    tau_syn_inv: PerNeuron = 200.0
    tau_mem_inv: PerNeuron = 100.0
    v_leak: PerNeuron = 0.0
    v_th: PerNeuron = 1.0
    v_reset: PerNeuron = 0.0


class LIFCellSpec(_Lif):
    """``norse.torch.LIFCell``, with a_m = dt tau_mem_inv and a_s = dt tau_syn_inv.

    i~ = i + x ;  v' = v + a_m (v_leak - v + i~) ;  i = (1 - a_s) i~ ;  z = [v' > v_th] ;
    v = v_reset where z, else v'. Start: v = v_leak, i = 0. The inverse time constants are in 1/s.
    """

    type: Literal["LIFCell"] = "LIFCell"


class LIFRecurrentCellSpec(_Lif):
    """``norse.torch.LIFRecurrentCell``: as LIFCell with i~ = i + W_in x[t] + W_rec z[t-1], and no bias."""

    type: Literal["LIFRecurrentCell"] = "LIFRecurrentCell"
    inputs: PositiveInt = Field(alias="in")
    autapses: bool = False

    def behind(self, shape: Shape) -> Shape:
        require_width(shape, self.inputs)
        return (self.size,)

    def arrays(self) -> dict[str, Shape]:
        return {"input_weights": (self.size, self.inputs), "recurrent_weights": (self.size, self.size)}

    def build(self, shape: Shape, dt: float) -> nn.Module:
        parameters = self._norse_parameters((self.size,))
        cell: nn.Module = import_norse().LIFRecurrentCell(
            self.inputs, self.size, p=parameters, autapses=self.autapses, dt=dt
        )
        return cell

    @classmethod
    def fields_of(cls, module: Any, shape: Shape) -> dict[str, Any]:
        size, inputs = module.input_weights.shape
        return {**super().fields_of(module, (size,)), "inputs": inputs, "autapses": bool(module.autapses)}


class RecurrentLIFCellSpec(_Lif):
    """LIFCell with i~ = i + x[t] + W_rec z[t-1] and no autapses: this package's module, of Norse's cell."""

    type: Literal["RecurrentLIFCell"] = "RecurrentLIFCell"

    def behind(self, shape: Shape) -> Shape:
        require_width(shape, self.size)
        return shape

    def arrays(self) -> dict[str, Shape]:
        return {"recurrent_weights": (self.size, self.size)}

    def build(self, shape: Shape, dt: float) -> nn.Module:
        from snn_deploy.convert.frontends.norse.description.recurrent import RecurrentLIFCell

        return RecurrentLIFCell(self.size, self._norse_parameters(shape), dt)


class LIFBoxCellSpec(_Neurons):
    """``norse.torch.LIFBoxCell`` with reset_value: v' = v + a_m (x + v_leak - v), then as LIFCell."""

    type: Literal["LIFBoxCell"] = "LIFBoxCell"
    tau_mem_inv: PerNeuron = 100.0
    v_leak: PerNeuron = 0.0
    v_th: PerNeuron = 1.0
    v_reset: PerNeuron = 0.0

    @classmethod
    def fields_of(cls, module: Any, shape: Shape) -> dict[str, Any]:
        if module.p.reset_method is not import_norse().functional.reset.reset_value:
            raise ValueError("only reset_value is stored: Loihi's neurons return to v_reset at a spike")
        return super().fields_of(module, shape)


class IAFCellSpec(_Neurons):
    """``norse.torch.IAFCell``: v' = v + x; starts at v_reset."""

    type: Literal["IAFCell"] = "IAFCell"
    v_th: PerNeuron = 1.0
    v_reset: PerNeuron = 0.0


class LICellSpec(_Neurons):
    """``norse.torch.LICell``: as LIFCell without a threshold; v is sent."""

    type: Literal["LICell"] = "LICell"
    tau_syn_inv: PerNeuron = 200.0
    tau_mem_inv: PerNeuron = 100.0
    v_leak: PerNeuron = 0.0


class LIBoxCellSpec(_Neurons):
    """``norse.torch.LIBoxCell``: as LIFBoxCell without a threshold; v is sent."""

    type: Literal["LIBoxCell"] = "LIBoxCell"
    tau_mem_inv: PerNeuron = 100.0
    v_leak: PerNeuron = 0.0


NEURONS = (
    LIFCellSpec
    | LIFRecurrentCellSpec
    | RecurrentLIFCellSpec
    | LIFBoxCellSpec
    | IAFCellSpec
    | LICellSpec
    | LIBoxCellSpec
)
