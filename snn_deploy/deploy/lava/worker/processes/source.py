"""Source: sends a raster that lies in a file, one row a Lava step, then silence: the input adapter."""

from __future__ import annotations

from typing import Any

import numpy as np
from lava.magma.core.decorator import implements, requires, tag
from lava.magma.core.model.py.model import PyLoihiProcessModel
from lava.magma.core.model.py.ports import PyOutPort
from lava.magma.core.model.py.type import LavaPyType
from lava.magma.core.model.sub.model import AbstractSubProcessModel
from lava.magma.core.process.ports.ports import OutPort
from lava.magma.core.process.process import AbstractProcess
from lava.magma.core.resources import CPU, Loihi2NeuroCore
from lava.magma.core.sync.protocols.loihi_protocol import LoihiProtocol


class Source(AbstractProcess):  # type: ignore[misc]
    """Emits row t - 1 of the raster at Lava step t.

    raster: path of a .npy, shape (rows, neurons). message_bits: 0 for spikes, else graded.
    """

    def __init__(self, *, neurons: int, raster: str, name: str, message_bits: int = 0) -> None:
        super().__init__(neurons=neurons, raster=raster, message_bits=message_bits, name=name)
        self.s_out = OutPort(shape=(neurons,))


class Reader(Source):
    """A Source that stays on the host, in front of a board's adapter."""


class AbstractPySourceModel(PyLoihiProcessModel):  # type: ignore[misc]
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


@implements(proc=Source, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class PySourceModel(AbstractPySourceModel):
    """On the simulator."""


@implements(proc=Reader, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class PyReaderModel(AbstractPySourceModel):
    """On the host of a board."""


@implements(proc=Source, protocol=LoihiProtocol)
@requires(Loihi2NeuroCore)
class Loihi2SourceModel(AbstractSubProcessModel):  # type: ignore[misc]
    """On a board: a Reader on the host, and the extension's adapter into the chip."""

    def __init__(self, proc: Any) -> None:
        from lava.proc.embedded_io.spike import PyToNxAdapter

        neurons, bits = proc.proc_params["neurons"], proc.proc_params["message_bits"]
        raster, name = proc.proc_params["raster"], f"{proc.name} reader"
        self.reader = Reader(neurons=neurons, raster=raster, name=name, message_bits=bits)
        self.adapter = PyToNxAdapter(shape=(neurons,), num_message_bits=bits)
        self.reader.s_out.connect(self.adapter.inp)
        self.adapter.out.connect(proc.out_ports.s_out)
