"""Backend ``fixed``: Loihi's integers, bit-exact with Lava's fixed-point models."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import ClassVar

from snn_deploy.convert.artifact import Artifact
from snn_deploy.deploy.backends.base import Availability, Backend
from snn_deploy.engine.chunks import Progress
from snn_deploy.engine.fixed import kernel
from snn_deploy.engine.fixed.engine import FixedEngine
from snn_deploy.engine.inputs import InputSpikes
from snn_deploy.engine.result import RunResult


@dataclass(frozen=True)
class FixedBackend(Backend):
    """The exact engine of this package; its options are those of :class:`FixedEngine`."""

    kernel: str | None = None
    threads: int | None = None
    max_memory: int | None = None

    name: ClassVar[str] = "fixed"
    claim: ClassVar[str] = "equal to the integers of this artifact"
    exact: ClassVar[bool] = True

    def availability(self) -> Availability:
        choice = kernel.choose(self.kernel)
        return Availability(True, f"{choice.name} kernel: {choice.reason}")

    def _run(
        self,
        artifact: Artifact,
        inputs: InputSpikes,
        record: Collection[str],
        batch: int | None,
        progress: Progress | None,
    ) -> RunResult:
        engine = FixedEngine(self.kernel, self.threads, self.max_memory)
        return engine.run(artifact.network, inputs, record=record, batch=batch, progress=progress)


BACKEND = FixedBackend
