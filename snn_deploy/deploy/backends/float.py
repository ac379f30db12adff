"""Backend ``float``: the float network that the integers were rounded from, derived from the stored graph."""

from __future__ import annotations

from collections.abc import Collection

from snn_deploy.convert.artifact import Artifact
from snn_deploy.deploy.backends.base import Availability, Backend
from snn_deploy.engine.chunks import Progress
from snn_deploy.engine.float import FloatEngine
from snn_deploy.engine.inputs import InputSpikes
from snn_deploy.engine.result import RunResult


class FloatBackend(Backend):
    """NumPy in float64; what quantisation is measured against."""

    name = "float"
    claim = "equal to the float network that the integers were rounded from"
    cause = "rounding"

    def availability(self) -> Availability:
        return Availability(True, "NumPy, float64")

    def _run(
        self,
        artifact: Artifact,
        inputs: InputSpikes,
        record: Collection[str],
        batch: int | None,
        progress: Progress | None,
    ) -> RunResult:
        return FloatEngine().run(artifact.discrete, inputs, record=record, batch=batch, progress=progress)


BACKEND = FloatBackend
