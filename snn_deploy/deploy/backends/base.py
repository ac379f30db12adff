"""What a backend is: a name, what it claims, whether it can run here, and ``run``."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection
from dataclasses import dataclass
from typing import ClassVar

from snn_deploy.convert.artifact import Artifact
from snn_deploy.deploy.membranes import in_model_units
from snn_deploy.engine.chunks import Progress
from snn_deploy.engine.inputs import InputSpikes
from snn_deploy.engine.result import RunInterrupted, RunResult


@dataclass(frozen=True)
class Availability:
    """Whether a backend can run on this machine, and if not, what is missing and what to do."""

    available: bool
    reason: str


@dataclass(frozen=True)
class RunRequest:
    """What :meth:`Backend.run` was asked, argument by argument."""

    inputs: InputSpikes
    record: Collection[str] = ()
    batch: int | None = None
    progress: Progress | None = None


class Backend(ABC):
    """One way to run an artifact. Results are in the network's own time, whatever the latency.

    claim: what an equal parity certificate against this backend says; empty where it is no reference.
    exact: it runs the artifact's integers, so that its spikes must equal ``fixed``'s.
    cause: why spikes may differ from ``fixed``'s. counts_overflows: a result says how often u wrapped and v
    saturated.
    """

    name: ClassVar[str]
    claim: ClassVar[str] = ""
    exact: ClassVar[bool] = False
    cause: ClassVar[str] = "engine"
    counts_overflows: ClassVar[bool] = False

    @abstractmethod
    def availability(self) -> Availability:
        """Whether it can run here; asking must be cheap and never raises."""

    def run(
        self,
        artifact: Artifact,
        inputs: InputSpikes,
        *,
        record: Collection[str] = (),
        batch: int | None = None,
        progress: Progress | None = None,
        model_units: bool = True,
    ) -> RunResult:
        """Run all samples; membranes of read-outs are float64 in the model's units.

        model_units: False leaves membranes as the engine computes them, see :class:`RunResult`.

        inputs: input name -> (samples, steps, neurons), see :data:`InputSpikes`; all share samples and steps.
        record: nodes whose rasters to keep. batch: samples at a time, None lets the backend choose.
        progress: called with the number of finished samples.
        Raises BackendUnavailable where it cannot run, UsageError for inputs that do not fit, and
        RunInterrupted on a KeyboardInterrupt.
        """
        try:
            result = self._run(artifact, RunRequest(inputs, record, batch, progress))
            return in_model_units(result, artifact) if model_units else result
        except RunInterrupted as stop:
            if stop.finished is None:
                raise
            raise RunInterrupted(in_model_units(stop.finished, artifact)) from stop

    @abstractmethod
    def _run(self, artifact: Artifact, asked: RunRequest) -> RunResult:
        """Run all samples; membranes as the engine computes them, see :class:`RunResult`."""
