"""Which model runs each process: Lava's simulator, or a board through Intel's extension."""

from __future__ import annotations

import os
from typing import Any

from lava.magma.core.model.py.model import AbstractPyProcessModel
from lava.magma.core.model.sub.model import AbstractSubProcessModel
from lava.magma.core.run_configs import Loihi2HwCfg, Loihi2SimCfg

from snn_deploy.deploy.lava.worker.processes.sink import Sink, Writer
from snn_deploy.deploy.lava.worker.processes.source import Reader, Source


def run_configuration(target: str) -> Any:
    """The RunConfig of a target: "simulator", or "loihi2", whose host it sets up first."""
    if target == "simulator":
        return Loihi2SimCfg(select_tag="fixed_pt")  # without the tag Lava picks its float models
    _use_host(os.environ["SNN_DEPLOY_LOIHI2_HOST"], os.environ.get("SNN_DEPLOY_LOIHI2_CHIP", "N3B3"))
    return BoardConfiguration()


class BoardConfiguration(Loihi2HwCfg):  # type: ignore[misc]
    """Adapters at the edges, hardware models in between, and nothing of the chip left to the CPU."""

    def select(self, process: Any, models: Any) -> Any:
        """Pick the model of one process; raises LookupError where it has none for the chip."""
        if type(process) in (Source, Sink):
            return next(model for model in models if issubclass(model, AbstractSubProcessModel))
        if type(process) in (Reader, Writer) or process.__module__.startswith("lava.proc.embedded_io"):
            return super().select(process, models)
        chip = [model for model in models if not issubclass(model, AbstractPyProcessModel)]
        if not chip:
            raise LookupError(
                f"'{process.name}' ({type(process).__name__}) has no hardware model in this Lava installation"
            )
        return super().select(process, chip)


def _use_host(host: str, chip: str) -> None:
    """Set up the board's host: "slurm", "slurm:PARTITION", or an Ethernet address."""
    from lava.utils import loihi

    generation = loihi.ChipGeneration(chip)
    if host.split(":", maxsplit=1)[0] == "slurm":
        loihi.use_slurm_host(partition=host.partition(":")[2] or None, loihi_gen=generation)
    else:
        loihi.use_ethernet_host(host, loihi_gen=generation)
