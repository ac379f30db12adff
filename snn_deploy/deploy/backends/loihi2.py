"""Backend ``loihi2``: the simulator's process graph on a board, through Intel's extension of Lava.

The extension is for members of Intel's research community and was never here: what this file does on a
board follows public sources only, and is unverified. One copy of the network runs, streamed where that
is exact, so that the board takes the graph that ``lava`` runs with ``--batch 1``.
"""

from __future__ import annotations

import json
import os
import subprocess
from functools import lru_cache

from snn_deploy.convert.artifact import Artifact
from snn_deploy.deploy.backends.base import Availability, Backend, RunRequest
from snn_deploy.deploy.lava.guard import Limits
from snn_deploy.deploy.lava.interpreter import environment, find_interpreter
from snn_deploy.deploy.lava.run import run_network
from snn_deploy.engine.result import RunResult
from snn_deploy.errors import BackendUnavailable, ModelNotSupported, Violation

#: Where the board is: "slurm", "slurm:PARTITION", or the Ethernet address of its host.
HOST_VARIABLE = "SNN_DEPLOY_LOIHI2_HOST"
#: Its generation, one of lava.utils.loihi.ChipGeneration; N3B3 is the default there and here.
CHIP_VARIABLE = "SNN_DEPLOY_LOIHI2_CHIP"
#: What the extension must bring, as Lava's own is_installed() and public tutorials import it.
EXTENSION = ("lava.utils.loihi2_profiler", "lava.proc.embedded_io.spike", "lava.proc.lif.ncmodels")
CHIPS = ("N2A2", "N3B2", "N3B3", "N3C1", "N3D1")

_PROBE = """
import importlib.util, json, sys
def missing(name):
    try:
        return importlib.util.find_spec(name) is None
    except ModuleNotFoundError:
        return True
print(json.dumps([name for name in sys.argv[1:] if missing(name)]))
"""


class Loihi2Backend(Backend):
    """A Loihi 2 board. limits: when to give a run up."""

    name = "loihi2"
    exact = True

    def __init__(self, limits: Limits | None = None) -> None:
        self._limits = limits or Limits()

    def availability(self) -> Availability:
        """Whether the extension and a host of a board are there."""
        missing = what_is_missing()
        found = "; ".join(str(violation) for violation in missing)
        return Availability(not missing, found or f"board by {os.environ[HOST_VARIABLE]}")

    def _run(self, artifact: Artifact, asked: RunRequest) -> RunResult:
        """One sample after another: ``batch`` is of no use on a board and ignored."""
        if artifact.network.contract.reset == "subtract":
            raise ModelNotSupported(
                "reset by subtraction needs a neuron programmed for the chip, and none is public",
                where="contract.reset",
                found="subtract",
                allowed="zero",
                remedy="Run it on fixed or lava, or retrain with a reset to v_reset.",
            )
        missing = what_is_missing()
        if missing:
            raise BackendUnavailable(missing)
        return run_network(
            self.name,
            artifact.network,
            asked.inputs,
            record=asked.record,
            batch=1,
            progress=asked.progress,
            limits=self._limits,
            strategy="auto",
            target="loihi2",
        )


BACKEND = Loihi2Backend


def what_is_missing() -> list[Violation]:
    """All that stands between this machine and a board."""
    interpreter = find_interpreter()
    if interpreter.problem:
        return [Violation(interpreter.problem, interpreter.path, remedy=interpreter.remedy)]
    missing = []
    modules = _missing_modules(interpreter.path)
    if modules:
        missing.append(
            Violation(
                "Intel's Lava extension for Loihi is not installed",
                where=interpreter.path,
                found=f"no {', no '.join(modules)}",
                remedy="It comes from Intel's neuromorphic research community; --backend lava simulates.",
            )
        )
    host = os.environ.get(HOST_VARIABLE, "")
    if not host:
        missing.append(
            Violation(
                "no board is named",
                where=HOST_VARIABLE,
                allowed="slurm, slurm:PARTITION, or the Ethernet address of the board's host",
            )
        )
    chip = os.environ.get(CHIP_VARIABLE, CHIPS[2])
    if chip not in CHIPS:
        missing.append(Violation("unknown chip", where=CHIP_VARIABLE, found=chip, allowed=", ".join(CHIPS)))
    return missing


@lru_cache(maxsize=8)
def _missing_modules(path: str) -> tuple[str, ...]:
    done = subprocess.run(
        [path, "-c", _PROBE, *EXTENSION],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env=environment(path),
        start_new_session=True,
    )
    try:
        return tuple(json.loads(done.stdout))
    except ValueError:
        return EXTENSION
