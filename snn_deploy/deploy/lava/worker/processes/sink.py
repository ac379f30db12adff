"""Sink: writes the spikes of all populations into files, one row a step: the output adapter.

``Var.get`` would move one element a message (22 to 50 microseconds each). One process takes all
populations, because a process costs 0.4 ms a step, and because Lava runs only what is connected.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
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
    """Stores the spikes that in-port ``in<i>`` has at Lava step t in row t - 1 - latencies[i] of rasters[i].

    neurons: of each port. rasters: paths of uint8 .npy files, shape (rows, neurons). beat: path of an
    int64 .npy that receives the Lava step: the run's heartbeat.
    """

    def __init__(
        self,
        *,
        neurons: Sequence[int],
        latencies: Sequence[int],
        rasters: Sequence[str],
        beat: str,
        name: str,
    ) -> None:
        super().__init__(neurons=neurons, latencies=latencies, rasters=rasters, beat=beat, name=name)
        for port, size in enumerate(neurons):
            setattr(self, f"in{port}", InPort(shape=(size,)))


class Writer(Sink):
    """A Sink that stays on the host, behind a board's adapters."""


class AnyInPorts(type(PyLoihiProcessModel)):  # type: ignore[misc]
    """Lets a model have as many in-ports as its process: Lava asks the class for each port's type by name."""

    def __getattr__(cls, name: str) -> Any:
        if re.fullmatch(r"in\d+", name):
            return LavaPyType(PyInPort.VEC_DENSE, np.int32)
        raise AttributeError(name)


class AbstractPySinkModel(PyLoihiProcessModel, metaclass=AnyInPorts):  # type: ignore[misc]
    """Writes through shared memory maps, so that the rows outlive this process whatever ends it."""

    def __init__(self, proc_params: Any) -> None:
        super().__init__(proc_params)
        self.latencies = list(proc_params["latencies"])
        self.rasters = [np.load(path, mmap_mode="r+", allow_pickle=False) for path in proc_params["rasters"]]
        self.beat = np.load(proc_params["beat"], mmap_mode="r+", allow_pickle=False)

    def run_spk(self) -> None:
        """Store this step's spikes."""
        for port, (raster, latency) in enumerate(zip(self.rasters, self.latencies, strict=True)):
            spikes = getattr(self, f"in{port}").recv()
            row = self.time_step - 1 - latency
            if 0 <= row < len(raster):
                raster[row] = spikes
        self.beat[0] = self.time_step


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
    """On a board: the extension's adapters out of the chip, and a Writer on the host."""

    def __init__(self, proc: Any) -> None:
        from lava.proc.embedded_io.spike import NxToPyAdapter

        keys = ("neurons", "latencies", "rasters", "beat")
        parameters = {key: proc.proc_params[key] for key in keys}
        self.writer = Writer(name=f"{proc.name} writer", **parameters)
        for port, size in enumerate(parameters["neurons"]):
            adapter = NxToPyAdapter(shape=(size,), num_message_bits=0)
            setattr(self, f"adapter{port}", adapter)  # Lava finds sub-processes among the attributes
            getattr(proc, f"in{port}").connect(adapter.inp)
            adapter.out.connect(getattr(self.writer, f"in{port}"))
