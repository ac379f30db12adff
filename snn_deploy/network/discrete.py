"""DiscreteNetwork: the float network in Loihi's own form, one update a time step.

Every population is normalised to threshold 1 and reset 0, so that integer scaling is one factor a
population. This is the reference that float runs execute and that quantisation rounds.
"""

from __future__ import annotations

from dataclasses import dataclass

from snn_deploy.network.arrays import FloatArray
from snn_deploy.network.connections import Connection
from snn_deploy.network.contract import Contract, ResetMode
from snn_deploy.network.network import Input, Output


@dataclass(frozen=True, eq=False)
class DiscretePopulation:
    """u <- (1 - du) u + a;   v <- (1 - dv) v + u + bias;   z = [v > 1]

    and v <- 0 where z, or v <- v - 1 where z and reset is "subtract".

    a: summed weighted input of the step, in units of the threshold. u: synaptic current.
    v: membrane potential, (v_physical - v_reset) / gap. bias: constant drive of v.
    du, dv: decays a step, in (0, 1] and [0, 1]. u0, v0: state before the first step.
    gap: v_threshold - v_reset. v_reset, gap: what maps v back to the source's units,
    v_physical = v_reset + gap v. All arrays have shape (neurons,).
    reset: the contract's. spiking is False for a read-out: it never fires, is not reset, and v is its
    result; gap is then the largest incoming weight and v_reset the start of v, so that weights span [-1, 1]
    and v starts at 0.
    """

    name: str
    shape: tuple[int, ...]
    du: FloatArray
    dv: FloatArray
    bias: FloatArray
    u0: FloatArray
    v0: FloatArray
    gap: FloatArray
    v_reset: FloatArray
    spiking: bool = True
    reset: ResetMode = "zero"


@dataclass(frozen=True, eq=False)
class DiscreteProjection:
    """Synapses whose weights are in units of the target's threshold; delay in network steps."""

    name: str
    source: str
    target: str
    connection: Connection
    delay: int


@dataclass(frozen=True, eq=False)
class DiscreteNetwork:
    """The same topology as :class:`snn_deploy.network.network.Network`, discretised."""

    contract: Contract
    inputs: tuple[Input, ...]
    populations: tuple[DiscretePopulation, ...]
    projections: tuple[DiscreteProjection, ...]
    outputs: tuple[Output, ...]
