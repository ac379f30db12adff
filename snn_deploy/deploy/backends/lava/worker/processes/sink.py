"""Sink: writes the spikes of one population into a file, one row a step: the output adapter.

``Var.get`` would move one element a message (22 to 50 microseconds each).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from lava.magma.core.decorator import implements, requires, tag
from lava.magma.core.model.py.model import PyLoihiProcessModel
from lava.magma.core.model.py.ports import PyInPort
from lava.magma.core.model.py.type import LavaPyType
from lava.magma.core.model.sub.model import AbstractSubProcessModel
from lava.magma.core.process.ports.ports import InPort
from lava.magma.core.process.process import AbstractProcess
from lava.magma.core.resources import CPU, Loihi2NeuroCore
from lava.magma.core.sync.protocols.loihi_protocol import LoihiProtocol


class Sink(AbstractProcess):  # type: ignore[misc]
    """Stores the spikes of Lava step t in row t - 1 - latency.

    raster: path of a uint8 .npy, shape (rows, neurons). beat: path of an int64 .npy that receives the
    Lava step in entry ``index``: the run's heartbeat.
    """

    def __init__(self, *, neurons: int, latency: int, raster: str, beat: str, index: int, name: str) -> None:
        super().__init__(neurons=neurons, latency=latency, raster=raster, beat=beat, index=index, name=name)
        self.s_in = InPort(shape=(neurons,))


class Writer(Sink):
    """A Sink that stays on the host, behind a board's adapter."""


class AbstractPySinkModel(PyLoihiProcessModel):  # type: ignore[misc]
    """Writes through a shared memory map, so that the rows outlive this process whatever ends it."""

    s_in: Any = LavaPyType(PyInPort.VEC_DENSE, np.int32)

    def __init__(self, proc_params: Any) -> None:
        super().__init__(proc_params)
        self.latency = int(proc_params["latency"])
        self.index = int(proc_params["index"])
        self.raster = np.load(proc_params["raster"], mmap_mode="r+", allow_pickle=False)
        self.beat = np.load(proc_params["beat"], mmap_mode="r+", allow_pickle=False)

    def run_spk(self) -> None:
        """Store this step's spikes."""
        spikes = self.s_in.recv()
        row = self.time_step - 1 - self.latency
        if 0 <= row < len(self.raster):
            self.raster[row] = spikes
        self.beat[self.index] = self.time_step


@implements(proc=Sink, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class PySinkModel(AbstractPySinkModel):
    """On the simulator."""


@implements(proc=Writer, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class PyWriterModel(AbstractPySinkModel):
    """On the host of a board."""


@implements(proc=Sink, protocol=LoihiProtocol)
@requires(Loihi2NeuroCore)
class Loihi2SinkModel(AbstractSubProcessModel):  # type: ignore[misc]
    """On a board: the extension's adapter out of the chip, and a Writer on the host."""

    def __init__(self, proc: Any) -> None:
        from lava.proc.embedded_io.spike import NxToPyAdapter

        keys = ("neurons", "latency", "raster", "beat", "index")
        parameters = {key: proc.proc_params[key] for key in keys}
        self.adapter = NxToPyAdapter(shape=(parameters["neurons"],), num_message_bits=0)
        self.writer = Writer(name=f"{proc.name} writer", **parameters)
        proc.in_ports.s_in.connect(self.adapter.inp)
        self.adapter.out.connect(self.writer.s_in)
