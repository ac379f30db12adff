"""SubtractiveLIF: Lava's LIF, but a spike takes the threshold off v instead of setting it to zero.

The law is that of QuantisedPopulation under reset "subtract"; all else are Lava's own fixed-point equations.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from lava.magma.core.decorator import implements, requires, tag
from lava.magma.core.model.py.type import LavaPyType
from lava.magma.core.process.variable import Var
from lava.magma.core.resources import CPU
from lava.magma.core.sync.protocols.loihi_protocol import LoihiProtocol
from lava.proc.lif.models import PyLifModelBitAcc
from lava.proc.lif.process import LIF


class SubtractiveLIF(LIF):  # type: ignore[misc]
    """du, dv, vth: arrays of ``shape``. reset_interval, reset_offset: those of LIFReset; 0 is never."""

    def __init__(
        self,
        *,
        shape: tuple[int, ...],
        du: Any,
        dv: Any,
        vth: Any,
        reset_interval: int = 0,
        reset_offset: int = 0,
        **options: Any,
    ) -> None:
        super().__init__(shape=shape, **options)
        self.du, self.dv, self.vth = (Var(shape=shape, init=values) for values in (du, dv, vth))
        self.proc_params["reset_interval"] = reset_interval
        self.proc_params["reset_offset"] = reset_offset


@implements(proc=SubtractiveLIF, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class PySubtractiveLIF(PyLifModelBitAcc):  # type: ignore[misc]
    """Lava's model on arrays, with a reset of its own."""

    implements_process = None  # or @implements would find the parent's in the way
    du: np.ndarray[Any, Any] = LavaPyType(np.ndarray, np.int32)
    dv: np.ndarray[Any, Any] = LavaPyType(np.ndarray, np.int32)
    vth: np.ndarray[Any, Any] = LavaPyType(np.ndarray, np.int32)

    def __init__(self, proc_params: Any) -> None:
        super().__init__(proc_params)
        self.interval, self.offset = proc_params["reset_interval"], proc_params["reset_offset"]

    def run_spk(self) -> None:
        """Clear u and v where LIFReset would, then Lava's own step."""
        if self.interval and self.time_step % self.interval == self.offset % self.interval:
            self.u *= 0
            self.v *= 0
        super().run_spk()

    def reset_voltage(self, spike_vector: np.ndarray[Any, Any]) -> None:
        """v <- v - (vth << 6) where the neuron fired."""
        self.v[spike_vector] -= self.effective_vth[spike_vector]
