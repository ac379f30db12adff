"""The description that a checkpoint carries beside its weights: plain values, checked on the way in."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, PositiveInt, model_validator

Finite = Annotated[float, Field(allow_inf_nan=False)]
PerNeuron = Finite | list[Finite]
"""One value for the layer, or one for each neuron."""

Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)


class LinearSpec(_Frozen):
    """``torch.nn.Linear``: y = W x + b."""

    type: Literal["Linear"] = "Linear"
    inputs: PositiveInt = Field(alias="in")
    outputs: PositiveInt = Field(alias="out")
    bias: bool = False


class _NeuronSpec(_Frozen):
    size: PositiveInt
    tau_syn_inv: PerNeuron = 200.0
    tau_mem_inv: PerNeuron = 100.0
    v_leak: PerNeuron = 0.0
    v_th: PerNeuron = 1.0
    v_reset: PerNeuron = 0.0

    @property
    def outputs(self) -> int:
        return self.size

    @model_validator(mode="after")
    def _one_value_or_one_each(self) -> _NeuronSpec:
        for name in ("tau_syn_inv", "tau_mem_inv", "v_leak", "v_th", "v_reset"):
            value = getattr(self, name)
            if isinstance(value, list) and len(value) != self.size:
                raise ValueError(f"{name} holds {len(value)} values for {self.size} neurons")
        return self


class LIFCellSpec(_NeuronSpec):
    """``norse.torch.LIFCell``, with a_m = dt tau_mem_inv and a_s = dt tau_syn_inv.

    i~ = i + x ;  v' = v + a_m (v_leak - v + i~) ;  i = (1 - a_s) i~ ;  z = [v' > v_th] ;
    v = v_reset where z, else v'. Start: v = v_leak, i = 0. The inverse time constants are in 1/s.
    """

    type: Literal["LIFCell"] = "LIFCell"

    @property
    def inputs(self) -> int:
        return self.size


class LIFRecurrentCellSpec(_NeuronSpec):
    """``norse.torch.LIFRecurrentCell``: as LIFCell with i~ = i + W_in x[t] + W_rec z[t-1], and no bias."""

    type: Literal["LIFRecurrentCell"] = "LIFRecurrentCell"
    inputs: PositiveInt = Field(alias="in")
    autapses: bool = False


LayerSpec = Annotated[LinearSpec | LIFCellSpec | LIFRecurrentCellSpec, Field(discriminator="type")]


class Config(_Frozen):
    """What a checkpoint says of itself.

    ``dt`` is the time step in seconds; ``reset`` says that a neuron which fires goes to v_reset;
    ``inputs`` is the width of each tower's input raster; ``towers`` the layers of each tower in order.
    ``readout`` says how spikes become a vector; ``constants`` the shapes of the arrays that the task's
    input coding needs; ``metadata`` anything else, such as the training recipe.
    """

    format: Literal["snn-deploy/1"] = "snn-deploy/1"
    dt: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 0.001
    reset: Literal["zero"] = "zero"
    inputs: dict[Name, PositiveInt]
    towers: Annotated[dict[Name, Annotated[list[LayerSpec], Field(min_length=1)]], Field(min_length=1)]
    readout: Literal["counts", "on_off_counts"] = "counts"
    constants: dict[Name, list[PositiveInt]] = Field(default_factory=dict)
    task: str = ""
    encoder: str = ""
    seed: int = 0
    versions: dict[str, str] = Field(default_factory=dict)
    metadata: dict[str, Any] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _widths_join(self) -> Config:
        faults = []
        if set(self.inputs) != set(self.towers):
            faults.append(f"inputs {sorted(self.inputs)} and towers {sorted(self.towers)} differ")
        for name, layers in self.towers.items():
            width = self.inputs.get(name, layers[0].inputs)
            for index, layer in enumerate(layers):
                if layer.inputs != width:
                    faults.append(f"towers.{name}.{index} takes {layer.inputs} values and is given {width}")
                width = layer.outputs
            if self.readout == "on_off_counts" and width % 2:
                faults.append(f"towers.{name} has {width} outputs, which do not pair into ON and OFF")
        if faults:
            raise ValueError("; ".join(faults))
        return self

    def document(self) -> dict[str, Any]:
        """Plain containers only, as they are stored."""
        return self.model_dump(mode="json", by_alias=True)

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Name and shape of every array that a checkpoint with this description holds."""
        shapes: dict[str, tuple[int, ...]] = {
            f"constants.{name}": tuple(shape) for name, shape in self.constants.items()
        }
        for name, layers in self.towers.items():
            for index, layer in enumerate(layers):
                path = f"towers.{name}.{index}"
                if isinstance(layer, LinearSpec):
                    shapes[f"{path}.weight"] = (layer.outputs, layer.inputs)
                    if layer.bias:
                        shapes[f"{path}.bias"] = (layer.outputs,)
                elif isinstance(layer, LIFRecurrentCellSpec):
                    shapes[f"{path}.input_weights"] = (layer.size, layer.inputs)
                    shapes[f"{path}.recurrent_weights"] = (layer.size, layer.size)
        return shapes
