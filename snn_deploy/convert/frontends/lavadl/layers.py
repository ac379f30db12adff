"""What a ``.net`` file holds: layers of CUBA neurons and the synapses that lead to them."""

from __future__ import annotations

from dataclasses import dataclass

from snn_deploy.network.arrays import IntArray
from snn_deploy.network.connections import Connection, Dense
from snn_deploy.network.integers import STATE_SHIFT, UNREACHABLE_VTH

Shape = tuple[int, ...]

#: netx gives every bias this exponent, so that it counts in threshold mantissas.
BIAS_EXP = STATE_SHIFT


@dataclass(frozen=True)
class Cuba:
    """One layer's neurons, per time step, in this order:

    u <- (1 - i_decay / 4096) u + a;   v <- (1 - v_decay / 4096) v + u + bias;
    z = [v > vth];   v <- 0 where z

    a: summed weighted input. u: synaptic current. v: membrane potential. i_decay, v_decay: 0 .. 4096.
    vth: threshold mantissa; from 2^17 on v cannot reach it and is the result.
    """

    i_decay: int
    v_decay: int
    vth: int

    @property
    def spiking(self) -> bool:
        return self.vth < UNREACHABLE_VTH


@dataclass(frozen=True, eq=False)
class NetLayer:
    """Neurons, and the synapses that lead to them.

    number: of the layer in the file. shape: (neurons,) or (channels, height, width). connection: integer
    weights from the layer before. recurrent: from the layer's own spikes, one step later. bias: shape
    (neurons,), in threshold mantissas. delay: steps, shape (1 or neurons, 1 or neurons before), or None.
    share: inputs that one read-out averages. message_bits: of an input that is not 0/1.
    """

    number: int
    kind: str
    shape: Shape
    neuron: Cuba
    connection: Connection
    bias: IntArray
    recurrent: Dense | None = None
    delay: IntArray | None = None
    share: int = 1
    message_bits: int = 0

    @property
    def name(self) -> str:
        return f"layer{self.number}"


@dataclass(frozen=True)
class Model:
    """All layers that have neurons, in their order, and the shape of the input."""

    input_shape: Shape
    layers: tuple[NetLayer, ...]


def clipped_by_netx(weight: IntArray) -> bool:
    """Whether netx 0.6.0 spoils a matrix: none of it above 0 and its least entry -2^k.

    netx doubles such weights until the least is -256, and undoes it by an exponent; Lava 0.10.0 clips
    inhibitory weights to -255 in between.
    """
    least = -int(weight.min(initial=0))
    return bool(least > 0 and weight.max() <= 0 and least & (least - 1) == 0)
