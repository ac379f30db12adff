"""QuantisedNetwork: every integer that a Lava process takes.

One population is one LIF process with scalar decays; a node of the graph with several time
constants becomes several populations, whose ``index`` says which of its neurons each holds. Several
projections may join the same two populations (weight planes): their inputs add.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Literal

from snn_deploy.network.arrays import IntArray
from snn_deploy.network.connections import Connection
from snn_deploy.network.contract import Contract, ResetMode
from snn_deploy.network.integers import STATE_LIMIT, STATE_SHIFT, shift
from snn_deploy.network.network import Input, Output

SignMode = Literal["mixed", "excitatory", "inhibitory"]


@dataclass(frozen=True, eq=False)
class QuantisedPopulation:
    """One LIF process of Lava 0.10.0 (fixed_pt), per neuron and time step, in this order:

    u <- wrap(trunc(u (4095 - du) / 4096) + (a << 6));   wrap once into (-2^23, 2^23]
    v <- clip(trunc(v (4096 - dv) / 4096) + u + beff, -(2^23 - 1), 2^23 - 1)
    z = [v > vth << 6];   v <- 0 where z, or v <- v - (vth << 6) where z and reset is "subtract"

    a: summed integer input. beff: bias_mant << bias_exp, arithmetic right shift for a negative
    exponent. trunc: toward zero. du: -1 .. 4095 (-1 is no decay). dv: 0 .. 4096.
    bias_mant, bias_exp, u0, v0, index: int64, shape (neurons,). u0, v0: state before the first step.
    node, index: the graph's node and the positions in it (flattened) that these neurons hold.
    scale: threshold mantissa of one unit of normalised v, so v_normalised = v / (64 scale).
    spiking is False for a read-out behind an unreachable threshold, whose v is the result.
    reset: the contract's. "subtract" is no law of Lava's own LIF: a process of ours computes it there.
    """

    name: str
    node: str
    index: IntArray
    du: int
    dv: int
    vth: int
    bias_mant: IntArray
    bias_exp: IntArray
    u0: IntArray
    v0: IntArray
    scale: float = 1.0
    spiking: bool = True
    reset: ResetMode = "zero"

    @property
    def neurons(self) -> int:
        return int(self.index.size)

    @property
    def bias(self) -> IntArray:
        """The effective bias that v receives each step, shape (neurons,)."""
        return shift(self.bias_mant, self.bias_exp)

    @property
    def clip_is_lossless(self) -> bool:
        """Whether a v that is clipped to 2^23 - 1 fires, and is 0 afterwards as it would be unclipped."""
        return self.reset == "zero" and self.vth << STATE_SHIFT < STATE_LIMIT - 1

    @property
    def unit(self) -> float:
        """The integer membrane of one unit of normalised v: 64 scale."""
        return self.scale * (1 << STATE_SHIFT)


@dataclass(frozen=True, eq=False)
class QuantisedProjection:
    """One Dense, Sparse or Conv process: a = (W s) << weight_exp, floor shift for a negative exponent.

    connection: integer weights as the process uses them, already on the grid of ``sign`` and
    ``weight_bits`` (a mixed-sign 8-bit plane holds even numbers). delay: network steps, 0 forward.
    message_bits: 0 where any nonzero input counts as one spike, else graded input is multiplied.
    """

    name: str
    source: str
    target: str
    connection: Connection
    weight_exp: int
    weight_bits: int
    sign: SignMode
    delay: int
    message_bits: int = 0


@dataclass(frozen=True, eq=False)
class QuantisedNetwork:
    """The integer network. ``nodes`` gives the shape of each graph node that populations came from."""

    contract: Contract
    profile: str
    inputs: tuple[Input, ...]
    populations: tuple[QuantisedPopulation, ...]
    projections: tuple[QuantisedProjection, ...]
    outputs: tuple[Output, ...]
    nodes: Mapping[str, tuple[int, ...]]
    report: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
