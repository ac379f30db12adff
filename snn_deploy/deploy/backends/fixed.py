"""Backend ``fixed``: Loihi's integers, bit-exact with Lava's fixed-point models."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from snn_deploy.convert.artifact import Artifact
from snn_deploy.deploy.backends.base import Availability, Backend, RunRequest
from snn_deploy.engine.fixed import kernel, pipelined
from snn_deploy.engine.fixed.engine import FixedEngine
from snn_deploy.engine.result import RunResult
from snn_deploy.errors import UsageError

#: Whose time line a run keeps.
TIMINGS = ("network", "pipelined")


@dataclass(frozen=True)
class FixedBackend(Backend):
    """The exact engine of this package; kernel, threads, max_memory: see :class:`FixedEngine`.

    timing: "network" starts each sample anew. "pipelined" is Lava's own time line: samples follow each other
    through the pipeline, ``gap`` silent steps apart, and state runs on from one to the next as in a stock
    Lava run, or is cleared by LIFReset at the start of each with ``lif_reset``. Results are in the network's
    own time in both; only "network" takes threads and max_memory.
    """

    kernel: str | None = None
    threads: int | None = None
    max_memory: int | None = None
    timing: str = "network"
    gap: int = 0
    lif_reset: bool = False

    name: ClassVar[str] = "fixed"
    claim: ClassVar[str] = "equal to the integers of this artifact"
    exact: ClassVar[bool] = True
    counts_overflows: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if self.timing not in TIMINGS:
            raise UsageError(
                "unknown timing", where="--timing", found=self.timing, allowed=", ".join(TIMINGS)
            )
        if self.timing == "network" and (self.gap or self.lif_reset):
            raise UsageError(
                "--gap and --lif-reset need --timing pipelined", where="--timing", found=self.timing
            )
        if self.gap < 0:
            raise UsageError("the gap is negative", where="--gap", found=self.gap, allowed=">= 0 steps")

    def availability(self) -> Availability:
        choice = kernel.choose(self.kernel)
        return Availability(True, f"{choice.name} kernel: {choice.reason}")

    def _run(self, artifact: Artifact, asked: RunRequest) -> RunResult:
        if self.timing == "pipelined":
            return pipelined.run(
                artifact.network,
                asked.inputs,
                record=asked.record,
                gap=self.gap,
                lif_reset=self.lif_reset,
                kernel_name=self.kernel,
            )
        engine = FixedEngine(self.kernel, self.threads, self.max_memory)
        return engine.run(
            artifact.network, asked.inputs, record=asked.record, batch=asked.batch, progress=asked.progress
        )


BACKEND = FixedBackend
