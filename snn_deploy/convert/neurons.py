"""The neuron models, with NIR's names and fields.

Each docstring is the model's equation, then its symbols. S is the summed weighted input of a step,
z the spike, dt the contract's time step; z = 1 where v > v_threshold, and then v <- v_reset.
Fields are float64 arrays in the population's flattened order.
"""

from __future__ import annotations

from dataclasses import dataclass

from snn_deploy.convert.arrays import FloatArray


@dataclass(frozen=True, eq=False)
class LIF:
    """tau dv/dt = (v_leak - v) + r S

    tau: membrane time constant, seconds. r: resistance. v_leak: leak potential.
    v_threshold: firing threshold. v_reset: potential after a spike.
    """

    tau: FloatArray
    r: FloatArray
    v_leak: FloatArray
    v_threshold: FloatArray
    v_reset: FloatArray


@dataclass(frozen=True, eq=False)
class CubaLIF:
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


Neuron = LIF | CubaLIF
