"""Backend ``float``: the float network that the integers were rounded from, derived from the stored graph."""

from __future__ import annotations

from snn_deploy.convert.artifact import Artifact
from snn_deploy.deploy.backends.base import Availability, Backend, RunRequest
from snn_deploy.engine.float import FloatEngine
from snn_deploy.engine.result import RunResult


class FloatBackend(Backend):
    """NumPy in float64; what quantisation is measured against."""

    name = "float"
    claim = "equal to the float network that the integers were rounded from"
    cause = "rounding"

    def availability(self) -> Availability:
        return Availability(True, "NumPy, float64")

    def _run(self, artifact: Artifact, asked: RunRequest) -> RunResult:
        return FloatEngine().run(
            artifact.discrete, asked.inputs, record=asked.record, batch=asked.batch, progress=asked.progress
        )


BACKEND = FloatBackend
