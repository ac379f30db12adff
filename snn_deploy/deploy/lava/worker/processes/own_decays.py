"""LIF and LIFReset whose neurons have decays and thresholds of their own.

Lava's processes hold one du, dv and vth for all their neurons. Its fixed-point models compute with them
element by element, so a model that is handed arrays instead runs Lava's own equations, unchanged.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from lava.magma.core.decorator import implements, requires, tag
from lava.magma.core.model.py.type import LavaPyType
from lava.magma.core.process.variable import Var
from lava.magma.core.resources import CPU
from lava.magma.core.sync.protocols.loihi_protocol import LoihiProtocol
from lava.proc.lif.models import PyLifModelBitAcc, PyLifResetModelBitAcc
from lava.proc.lif.process import LIF, LIFReset


class LIFOwnDecays(LIF):  # type: ignore[misc]
    """Lava's LIF; du, dv, vth: arrays of its shape."""

    def __init__(self, *, shape: tuple[int, ...], du: Any, dv: Any, vth: Any, **options: Any) -> None:
        super().__init__(shape=shape, **options)
        self.du, self.dv, self.vth = (Var(shape=shape, init=values) for values in (du, dv, vth))


class LIFResetOwnDecays(LIFReset):  # type: ignore[misc]
    """Lava's LIFReset; du, dv, vth: arrays of its shape."""

    def __init__(self, *, shape: tuple[int, ...], du: Any, dv: Any, vth: Any, **options: Any) -> None:
        super().__init__(shape=shape, **options)
        self.du, self.dv, self.vth = (Var(shape=shape, init=values) for values in (du, dv, vth))


@implements(proc=LIFOwnDecays, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class PyLIFOwnDecays(PyLifModelBitAcc):  # type: ignore[misc]
    """Lava's model, on arrays."""

    implements_process = None  # or @implements would find the parent's in the way
    du: np.ndarray[Any, Any] = LavaPyType(np.ndarray, np.int32)
    dv: np.ndarray[Any, Any] = LavaPyType(np.ndarray, np.int32)
    vth: np.ndarray[Any, Any] = LavaPyType(np.ndarray, np.int32)


@implements(proc=LIFResetOwnDecays, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class PyLIFResetOwnDecays(PyLifResetModelBitAcc):  # type: ignore[misc]
    """Lava's model, on arrays."""

    implements_process = None  # or @implements would find the parent's in the way
    du: np.ndarray[Any, Any] = LavaPyType(np.ndarray, np.int32)
    dv: np.ndarray[Any, Any] = LavaPyType(np.ndarray, np.int32)
    vth: np.ndarray[Any, Any] = LavaPyType(np.ndarray, np.int32)
