"""Backend ``fixed``: Loihi's integers, bit-exact with Lava's fixed-point models."""

from __future__ import annotations

from collections.abc import Collection

from snn_deploy.convert.artifact import Artifact
from snn_deploy.deploy.backends import chunked
from snn_deploy.deploy.backends.base import Availability, InputSpikes, Progress
from snn_deploy.deploy.backends.fixed import numpy_kernel
from snn_deploy.deploy.result import RunResult


class FixedBackend:
    """Runs the artifact's integers; results equal Lava 0.10.0's spike by spike."""

    name = "fixed"

    def availability(self) -> Availability:
        return Availability(True, "NumPy kernel")

    def run(
        self,
        artifact: Artifact,
        inputs: InputSpikes,
        *,
        record: Collection[str] = (),
        batch: int | None = None,
        progress: Progress | None = None,
    ) -> RunResult:
        network = artifact.network
        return chunked.run(
            self.name,
            network,
            inputs,
            lambda chunk: numpy_kernel.run(network, chunk),
            record=record,
            batch=batch,
            progress=progress,
            notes={"kernel": "numpy"},
        )
