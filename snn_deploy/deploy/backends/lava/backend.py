"""LavaBackend: an artifact on Lava 0.10.0's fixed-point CPU models, in a guarded child process."""

from __future__ import annotations

from collections.abc import Collection

from snn_deploy.convert.artifact import Artifact
from snn_deploy.deploy.backends.base import Availability, InputSpikes, Progress
from snn_deploy.deploy.backends.lava.guard import Limits
from snn_deploy.deploy.backends.lava.interpreter import find_interpreter
from snn_deploy.deploy.backends.lava.plan import Strategy
from snn_deploy.deploy.backends.lava.run import run_network
from snn_deploy.deploy.result import RunResult


class LavaBackend:
    """Stock LIF, Dense and Sparse processes, always by RunConfig ``Loihi2SimCfg(select_tag="fixed_pt")``.

    limits: when to give a run up. strategy: how to lay samples out, see :mod:`.plan`.
    """

    name = "lava"

    def __init__(self, limits: Limits | None = None, strategy: Strategy = "auto") -> None:
        self._limits = limits or Limits()
        self._strategy = strategy

    def availability(self) -> Availability:
        """Whether an interpreter with lava-nc is at hand."""
        interpreter = find_interpreter()
        if interpreter.problem:
            return Availability(False, f"{interpreter.problem}. {interpreter.remedy}")
        versions = interpreter.versions
        return Availability(
            True, f"Lava {versions['lava-nc']} on Python {versions['python']} ({interpreter.path})"
        )

    def run(
        self,
        artifact: Artifact,
        inputs: InputSpikes,
        *,
        record: Collection[str] = (),
        batch: int | None = None,
        progress: Progress | None = None,
    ) -> RunResult:
        """Run all samples; see :class:`snn_deploy.deploy.backends.base.Backend`.

        batch: samples side by side in one Lava run, as block-diagonal copies of the network.
        Raises BackendUnavailable when Lava is not there, does not answer or fails.
        """
        return run_network(
            self.name,
            artifact.network,
            inputs,
            record=record,
            batch=batch,
            progress=progress,
            limits=self._limits,
            strategy=self._strategy,
        )
