"""The numbers that a training run is made of, with the names that ``--set`` takes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
)

from snn_deploy.errors import UsageError, Violation

if TYPE_CHECKING:
    from typing_extensions import Self

InverseTau = Annotated[float, Field(gt=0, le=1000)]
"""In 1/s; at a time step of 1 ms a decay beyond 1000 would overshoot."""


class Recipe(BaseModel):
    """How a dual encoder is built and trained.

    ``steps`` time steps of a presentation; ``hidden`` neurons of a tower's first layer; ``pairs`` ON/OFF
    pairs of output neurons, the length of an embedding; ``tau_syn_inv`` and ``tau_mem_inv`` in 1/s.
    ``rate_epochs`` epochs of what ``start`` names come first, the rate model of the neurons or an ANN of the
    same shape (:mod:`snn_deploy.train.ann`), ``epochs`` of the spiking network follow.
    ``rate_penalty`` weighs how far each neuron's mean rate lies outside [``rate_low``, ``rate_high``]
    spikes a step. ``spike_budget`` is the spikes per example that a tower may send, all layers together:
    beyond it the loss rises by 1 for every ``budget_scale`` spikes. ``drop``: in training, the share of
    every layer's spikes that do not arrive is drawn for each batch from U(0, drop). ``warm_up`` is the part
    of a stage in which the learning rate rises before it falls (one cycle). ``slope`` is the steepness of
    the surrogate gradient. A task extends this class by numbers of its own.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    steps: PositiveInt = 20
    hidden: PositiveInt = 384
    pairs: PositiveInt = 256
    tau_syn_inv: InverseTau = 500.0
    tau_mem_inv: InverseTau = 250.0
    start: Literal["rate model", "ann"] = "rate model"
    rate_epochs: NonNegativeInt = 100
    epochs: NonNegativeInt = 12
    batch: Annotated[int, Field(ge=2)] = 64
    rate_learning_rate: PositiveFloat = 3e-3
    learning_rate: PositiveFloat = 1e-3
    weight_decay: NonNegativeFloat = 0.01
    temperature: PositiveFloat = 0.07
    slope: PositiveFloat = 5.0
    rate_penalty: NonNegativeFloat = 1.0
    rate_low: Annotated[float, Field(ge=0, le=1)] = 0.01
    rate_high: Annotated[float, Field(ge=0, le=1)] = 0.1
    spike_budget: PositiveFloat | None = None
    budget_scale: PositiveFloat = 100.0
    drop: Annotated[float, Field(ge=0, lt=1)] = 0.0
    warm_up: Annotated[float, Field(gt=0, lt=1)] = 0.2

    def changed(self, values: Mapping[str, Any]) -> Self:
        """The recipe with some values replaced; text is read as a number. UsageError lists every fault."""
        from pydantic import ValidationError

        try:
            return type(self).model_validate({**self.model_dump(), **values})
        except ValidationError as error:
            raise UsageError(
                Violation(
                    fault["msg"],
                    where=f"--set {'.'.join(map(str, fault['loc']))}",
                    found=repr(fault["input"]),
                    allowed=", ".join(type(self).model_fields) if fault["type"] == "extra_forbidden" else "",
                )
                for fault in error.errors()
            ) from error
