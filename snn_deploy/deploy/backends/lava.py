"""LavaBackend: an artifact on Lava 0.10.0's fixed-point CPU models, in a guarded child process."""

from __future__ import annotations

from snn_deploy.convert.artifact import Artifact
from snn_deploy.deploy.backends.base import Availability, Backend, RunRequest
from snn_deploy.deploy.lava.guard import Limits
from snn_deploy.deploy.lava.interpreter import find_interpreter
from snn_deploy.deploy.lava.plan import Strategy
from snn_deploy.deploy.lava.run import run_network
from snn_deploy.engine.result import RunResult


class LavaBackend(Backend):
    """Stock LIF, Dense and Sparse processes, and one of ours for a reset by subtraction.

    They run by RunConfig ``Loihi2SimCfg(select_tag="fixed_pt")``, always.
    limits: when to give a run up. strategy: how to lay samples out, see :mod:`snn_deploy.deploy.lava.plan`.
    """

    name = "lava"
    claim = "equal to Lava 0.10.0's fixed-point CPU models"
    exact = True

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

    def _run(self, artifact: Artifact, asked: RunRequest) -> RunResult:
        """batch: samples side by side in one Lava run, as block-diagonal copies of the network."""
        return run_network(
            self.name,
            artifact.network,
            asked.inputs,
            record=asked.record,
            batch=asked.batch,
            progress=asked.progress,
            limits=self._limits,
            strategy=self._strategy,
        )


BACKEND = LavaBackend
