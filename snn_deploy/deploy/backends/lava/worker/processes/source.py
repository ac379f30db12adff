"""Source: sends a raster that lies in a file, one row a Lava step, then silence."""

from __future__ import annotations

from typing import Any

import numpy as np
from lava.magma.core.decorator import implements, requires, tag
from lava.magma.core.model.py.model import PyLoihiProcessModel
from lava.magma.core.model.py.ports import PyOutPort
from lava.magma.core.model.py.type import LavaPyType
from lava.magma.core.process.ports.ports import OutPort
from lava.magma.core.process.process import AbstractProcess
from lava.magma.core.resources import CPU
from lava.magma.core.sync.protocols.loihi_protocol import LoihiProtocol


class Source(AbstractProcess):  # type: ignore[misc]
    """Emits row t - 1 of the raster at Lava step t. raster: path of a .npy, shape (rows, neurons)."""

    def __init__(self, *, neurons: int, raster: str, name: str) -> None:
        super().__init__(raster=raster, name=name)
        self.s_out = OutPort(shape=(neurons,))


@implements(proc=Source, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class PySourceModel(PyLoihiProcessModel):  # type: ignore[misc]
    """Reads the raster through a memory map, so that no step copies more than its row."""

    s_out: Any = LavaPyType(PyOutPort.VEC_DENSE, np.int32)

    def __init__(self, proc_params: Any) -> None:
        super().__init__(proc_params)
        self.raster = np.load(proc_params["raster"], mmap_mode="r", allow_pickle=False)
        self.silence = np.zeros(self.raster.shape[1:], dtype=np.int32)

    def run_spk(self) -> None:
        """Send this step's row."""
        row = self.time_step - 1
        self.s_out.send(self.raster[row].astype(np.int32) if row < len(self.raster) else self.silence)
