"""Backend ``auto``: a Loihi 2 board where there is one, else Lava's simulator; it says which and why."""

from __future__ import annotations

import logging
from dataclasses import replace
from types import MappingProxyType

from snn_deploy.convert.artifact import Artifact
from snn_deploy.deploy.backends.base import Availability, Backend, RunRequest
from snn_deploy.deploy.backends.lava import LavaBackend
from snn_deploy.deploy.backends.loihi2 import Loihi2Backend
from snn_deploy.engine.result import RunResult

_LOG = logging.getLogger(__name__)


class AutoBackend(Backend):
    """Runs on ``loihi2`` if it is available, else on ``lava``; the result names the one used."""

    name = "auto"

    def availability(self) -> Availability:
        """What ``auto`` would take here."""
        chosen, why = _choose()
        found = chosen.availability()
        return Availability(found.available, f"{chosen.name}: {found.reason}" + (f" ({why})" if why else ""))

    def _run(self, artifact: Artifact, asked: RunRequest) -> RunResult:
        """Run on the chosen backend; ``notes["fallback"]`` says why it is not the board."""
        chosen, why = _choose()
        if why:
            _LOG.warning("running on %s: %s", chosen.name, why)
        result = chosen._run(artifact, asked)
        notes = {**result.notes, "requested": self.name, **({"fallback": why} if why else {})}
        return replace(result, notes=MappingProxyType(notes))


BACKEND = AutoBackend


def _choose() -> tuple[Backend, str]:
    """The backend to use, and why it is not the board (empty when it is)."""
    board = Loihi2Backend()
    found = board.availability()
    return (board, "") if found.available else (LavaBackend(), f"no Loihi 2: {found.reason}")
