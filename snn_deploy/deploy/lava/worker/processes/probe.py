"""Probe: writes a state variable of populations into files, one row a step.

Lava's own Monitor keeps its data in a Var, which ``Var.get`` moves one element a message.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
from lava.magma.core.decorator import implements, requires, tag
from lava.magma.core.model.py.model import PyLoihiProcessModel
from lava.magma.core.model.py.ports import PyRefPort
from lava.magma.core.model.py.type import LavaPyType
from lava.magma.core.process.ports.ports import RefPort
from lava.magma.core.process.process import AbstractProcess
from lava.magma.core.resources import CPU
from lava.magma.core.sync.protocols.loihi_protocol import LoihiProtocol


class Probe(AbstractProcess):  # type: ignore[misc]
    """Stores what ref-port ``var<i>`` reads after Lava step t in row t - 1 - latencies[i] of rasters[i].

    neurons: of each port. rasters: paths of int32 .npy files, shape (rows, neurons).
    """

    def __init__(
        self, *, neurons: Sequence[int], latencies: Sequence[int], rasters: Sequence[str], name: str
    ) -> None:
        super().__init__(neurons=neurons, latencies=latencies, rasters=rasters, name=name)
        for port, size in enumerate(neurons):
            setattr(self, f"var{port}", RefPort(shape=(size,)))


class AnyRefPorts(type(PyLoihiProcessModel)):  # type: ignore[misc]
    """Lets a model have as many ref-ports as its process (see AnyInPorts in sink.py)."""

    def __getattr__(cls, name: str) -> Any:
        if re.fullmatch(r"var\d+", name):
            return LavaPyType(PyRefPort.VEC_DENSE, np.int32)
        raise AttributeError(name)


@implements(proc=Probe, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class PyProbeModel(PyLoihiProcessModel, metaclass=AnyRefPorts):  # type: ignore[misc]
    """Reads in the management phase, after all processes have stepped."""

    def __init__(self, proc_params: Any) -> None:
        super().__init__(proc_params)
        self.latencies = list(proc_params["latencies"])
        self.rasters = [np.load(path, mmap_mode="r+", allow_pickle=False) for path in proc_params["rasters"]]

    def post_guard(self) -> bool:
        """Ask for the management phase after every step."""
        return True

    def run_post_mgmt(self) -> None:
        """Store this step's values."""
        for port, (raster, latency) in enumerate(zip(self.rasters, self.latencies, strict=True)):
            values = getattr(self, f"var{port}").read()
            row = self.time_step - 1 - latency
            if 0 <= row < len(raster):
                raster[row] = values
