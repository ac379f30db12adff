"""The neuron models, with NIR's names and fields. To add one, write its class here: nothing else changes.

Each docstring is the model's equation, then its symbols. S is the summed weighted input of a step, dt
the contract's time step. A spiking model has z = 1 where v > v_threshold, and then v <- v_reset, or under
a contract that subtracts v <- v - (v_threshold - v_reset); a read-out has neither and its v is the result.
The class carries the name of its NIR primitive, and its fields are that primitive's, as float64 arrays in
the population's flattened order.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, fields

import numpy as np

from snn_deploy.errors import Violation
from snn_deploy.network.arrays import AnyArray, FloatArray


@dataclass(frozen=True, eq=False)
class Dynamics:
    """One step of forward Euler, current first:

    u <- (1 - du) u + gain S;   v <- (1 - dv) v + u + dv v_leak

    du, dv: decays a step. gain: volts a unit of weighted input. v_leak: where v settles without input.
    v_start: v before the first step; u starts at 0. v_threshold, v_reset: None in a read-out.
    """

    du: FloatArray
    dv: FloatArray
    gain: FloatArray
    v_leak: FloatArray
    v_start: FloatArray
    v_threshold: FloatArray | None
    v_reset: FloatArray | None


@dataclass(frozen=True, eq=False)
class Neuron(ABC):
    """Base of all models."""

    @abstractmethod
    def dynamics(self, dt: float) -> Dynamics:
        """Discretise with a time step of ``dt`` seconds."""

    @classmethod
    def spiking(cls) -> bool:
        """Whether the model emits spikes; a read-out has no threshold."""
        return "v_threshold" in cls.__dataclass_fields__

    def violations(self, where: str, dt: float) -> list[Violation]:
        """Every parameter value that has no meaning on Loihi under this time step."""
        values = {f.name: getattr(self, f.name) for f in fields(self)}
        found = [
            Violation(f"{name} is not finite", where=where, found=_worst(array, ~np.isfinite(array)))
            for name, array in values.items()
            if not np.all(np.isfinite(array))
        ]
        for name, array in values.items():
            short = array < dt
            if name.startswith("tau") and np.any(short):
                found.append(
                    Violation(
                        f"{name} is shorter than one time step, so the state would overshoot",
                        where=where,
                        found=_worst(array, short),
                        allowed=f">= dt = {dt:g} s",
                        remedy="Lower --dt to that of the training.",
                    )
                )
        if self.spiking():
            inverted = values["v_threshold"] <= values["v_reset"]
            if np.any(inverted):
                found.append(
                    Violation(
                        "v_threshold must lie above v_reset: Loihi's threshold is unsigned",
                        where=where,
                        found=_worst(values["v_threshold"] - values["v_reset"], inverted),
                        allowed="v_threshold - v_reset > 0",
                    )
                )
        return found


@dataclass(frozen=True, eq=False)
class LIF(Neuron):
    """tau dv/dt = (v_leak - v) + r S

    tau: membrane time constant, seconds. r: resistance. v_leak: leak potential.
    v_threshold: firing threshold. v_reset: potential after a spike.
    """

    tau: FloatArray
    r: FloatArray
    v_leak: FloatArray
    v_threshold: FloatArray
    v_reset: FloatArray

    def dynamics(self, dt: float) -> Dynamics:
        decay = dt / self.tau
        return Dynamics(
            np.ones_like(decay),
            decay,
            decay * self.r,
            self.v_leak,
            self.v_leak,
            self.v_threshold,
            self.v_reset,
        )


@dataclass(frozen=True, eq=False)
class CubaLIF(Neuron):
    """tau_syn dI/dt = -I + w_in S;   tau_mem dv/dt = (v_leak - v) + r I

    tau_syn, tau_mem: time constants of synapse and membrane, seconds. r: resistance.
    v_leak: leak potential. v_threshold: firing threshold. v_reset: potential after a spike.
    w_in: input weight.
    """

    tau_syn: FloatArray
    tau_mem: FloatArray
    r: FloatArray
    v_leak: FloatArray
    v_threshold: FloatArray
    v_reset: FloatArray
    w_in: FloatArray

    def dynamics(self, dt: float) -> Dynamics:
        du, dv = dt / self.tau_syn, dt / self.tau_mem
        gain = dv * du * self.r * self.w_in
        return Dynamics(du, dv, gain, self.v_leak, self.v_leak, self.v_threshold, self.v_reset)


@dataclass(frozen=True, eq=False)
class IF(Neuron):
    """dv/dt = r S, discretised as v <- v + r S, as frameworks that write r = 1 mean it.

    r: resistance. v_threshold: firing threshold. v_reset: potential after a spike, where v also starts.
    """

    r: FloatArray
    v_threshold: FloatArray
    v_reset: FloatArray

    def dynamics(self, dt: float) -> Dynamics:
        ones, zeros = np.ones_like(self.r), np.zeros_like(self.r)
        return Dynamics(ones, zeros, self.r, zeros, self.v_reset, self.v_threshold, self.v_reset)


@dataclass(frozen=True, eq=False)
class LI(Neuron):
    """tau dv/dt = (v_leak - v) + r S, a read-out of v.

    tau: membrane time constant, seconds. r: resistance. v_leak: leak potential.
    """

    tau: FloatArray
    r: FloatArray
    v_leak: FloatArray

    def dynamics(self, dt: float) -> Dynamics:
        decay = dt / self.tau
        return Dynamics(np.ones_like(decay), decay, decay * self.r, self.v_leak, self.v_leak, None, None)


@dataclass(frozen=True, eq=False)
class CubaLI(Neuron):
    """tau_syn dI/dt = -I + w_in S;   tau_mem dv/dt = (v_leak - v) + r I, a read-out of v.

    tau_syn, tau_mem: time constants of synapse and membrane, seconds. r: resistance.
    v_leak: leak potential. w_in: input weight.
    """

    tau_syn: FloatArray
    tau_mem: FloatArray
    r: FloatArray
    v_leak: FloatArray
    w_in: FloatArray

    def dynamics(self, dt: float) -> Dynamics:
        du, dv = dt / self.tau_syn, dt / self.tau_mem
        return Dynamics(du, dv, dv * du * self.r * self.w_in, self.v_leak, self.v_leak, None, None)


@dataclass(frozen=True, eq=False)
class I(Neuron):  # noqa: E742  NIR's own name
    """dv/dt = r S, discretised as v <- v + r S like IF; a read-out of v, which starts at 0.

    r: resistance.
    """

    r: FloatArray

    def dynamics(self, dt: float) -> Dynamics:
        ones, zeros = np.ones_like(self.r), np.zeros_like(self.r)
        return Dynamics(ones, zeros, self.r, zeros, zeros, None, None)


#: NIR primitive name -> model.
MODELS: dict[str, type[Neuron]] = {model.__name__: model for model in Neuron.__subclasses__()}


def _worst(values: AnyArray, bad: AnyArray) -> str:
    where = np.flatnonzero(bad)
    return f"{values[where[0]]:g} at neuron {where[0]} ({where.size} of {values.size})"
