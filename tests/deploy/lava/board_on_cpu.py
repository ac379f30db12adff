"""A child that runs a ``loihi2`` job with the fake extension: our adapters' board models around CPU models.

Called as: board_on_cpu.py FOLDER, in a Python with Lava, with the fake extension on PYTHONPATH.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from lava.magma.core.run_conditions import RunSteps
from lava.magma.core.run_configs import Loihi2SimCfg

from snn_deploy.deploy.lava.worker.build import build
from snn_deploy.deploy.lava.worker.configuration import BoardConfiguration


class BoardOnCpu(BoardConfiguration):
    """Selects as a board does, but for the chip's processes, which have CPU models only."""

    chosen: ClassVar[dict[str, str]] = {}

    def select(self, process: Any, models: Any) -> Any:
        try:
            model = super().select(process, models)
        except LookupError:
            model = Loihi2SimCfg(select_tag="fixed_pt").select(process, models)
        self.chosen[process.name] = model.__name__
        return model


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    job = json.loads((folder / "job.json").read_text(encoding="utf-8"))
    with np.load(folder / "arrays.npz", allow_pickle=False) as arrays:
        processes = build(folder, job["processes"], job["wires"], dict(arrays))
    first = next(iter(processes.values()))
    first.run(condition=RunSteps(num_steps=job["lava_steps"]), run_cfg=BoardOnCpu())
    first.stop()
    sys.stdout.write("\n" + json.dumps(BoardOnCpu.chosen))
