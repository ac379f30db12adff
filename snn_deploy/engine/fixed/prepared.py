"""What a kernel of ``fixed`` is: a network made ready to run, and the resets that Lava's LIFReset adds."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from numpy.typing import NDArray

from snn_deploy.engine.chunks import Chunk


class Prepared(Protocol):
    """A network made ready for one kernel. It may be run from several threads at once."""

    def run(
        self,
        inputs: Mapping[str, NDArray[Any]],
        *,
        counts: Collection[str] = (),
        rasters: Collection[str] = (),
        membranes: Collection[str] = (),
    ) -> Chunk:
        """Run samples: inputs name -> uint8, or int32 where graded, (samples, steps, neurons)."""
        ...


@dataclass(frozen=True)
class Reset:
    """LIFReset: u = v = 0 at Lava steps t (from 1) with t % interval == offset % interval."""

    interval: int
    offset: int


Resets = Mapping[str, Reset]
NO_RESETS: Resets = {}
