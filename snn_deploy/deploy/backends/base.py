"""What a backend is: a name, whether it can run here, and ``run``."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from snn_deploy.convert.artifact import Artifact
from snn_deploy.deploy.result import RunResult

#: Input name -> uint8 (samples, steps, neurons), 0/1; an input that is left out stays silent.
InputSpikes = Mapping[str, NDArray[np.uint8]]

#: Called with the number of finished samples.
Progress = Callable[[int], None]


@dataclass(frozen=True)
class Availability:
    """Whether a backend can run on this machine, and if not, what is missing and what to do."""

    available: bool
    reason: str


class Backend(Protocol):
    """One engine. Results are in the network's own time, whatever the engine's latency."""

    name: str

    def availability(self) -> Availability: ...

    def run(
        self,
        artifact: Artifact,
        inputs: InputSpikes,
        *,
        record: Collection[str] = (),
        batch: int | None = None,
        progress: Progress | None = None,
    ) -> RunResult:
        """Run all samples.

        inputs: see :data:`InputSpikes`; all share (samples, steps). record: nodes whose rasters to keep.
        batch: samples at a time, None lets the backend choose.
        Raises BackendUnavailable where it cannot run.
        """
        ...
