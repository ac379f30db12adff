"""The child: reads a job folder, runs it on Lava, leaves the answer there, and waits to be ended.

It never stops Lava itself: ``stop`` can hang, and the host ends the whole group either way.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any


def main(folder: Path, host: int) -> None:
    """Run the job in ``folder`` for the process ``host``; never returns."""
    from snn_deploy.deploy.lava.worker.safety import protect, report

    protect(folder, host)
    try:
        answer = _run(folder)
    except BaseException:
        report(folder, "the worker")
        sys.stdout.flush()
        os._exit(1)  # Lava's exit handlers can hang
    temporary = folder / "answer.tmp"
    temporary.write_text(json.dumps(answer), encoding="utf-8")
    temporary.rename(folder / "answer.json")
    while True:
        signal.pause()


def _run(folder: Path) -> dict[str, Any]:
    import numpy as np
    from lava.magma.core.run_conditions import RunSteps
    from lava.magma.runtime.message_infrastructure.multiprocessing import MultiProcessing

    from snn_deploy.deploy.lava.worker.build import build, read_ring_buffers
    from snn_deploy.deploy.lava.worker.configuration import run_configuration
    from snn_deploy.deploy.lava.worker.safety import watched

    MultiProcessing.build_actor = watched(MultiProcessing.build_actor, folder)
    job = json.loads((folder / "job.json").read_text(encoding="utf-8"))
    with np.load(folder / "arrays.npz", allow_pickle=False) as arrays:
        processes = build(folder, job["processes"], job["wires"], dict(arrays))
    with np.load(folder / "switches.npz", allow_pickle=False) as archive:
        switches = dict(archive)
    any_process = next(iter(processes.values()))
    configuration = run_configuration(job["target"])
    started = time.perf_counter()
    any_process.create_runtime(configuration, compile_config={"pypy_channel_size": job["channel_size"]})
    ready = time.perf_counter()
    done = 0
    for pause in sorted({*(int(spec["after"]) for spec in job["processes"]), job["lava_steps"]} - {0}):
        any_process.run(condition=RunSteps(num_steps=pause - done, blocking=True))
        done = pause
        for index, spec in enumerate(job["processes"]):
            if spec["after"] == pause:
                for key in (key for key in switches if key.startswith(f"{index}/")):
                    getattr(processes[spec["name"]], key.split("/", 1)[1]).set(switches[key])
    stepped = time.perf_counter()
    read_ring_buffers(folder, job["processes"], processes)
    return {
        "seconds": {"compile": ready - started, "run": stepped - ready},
        "versions": _versions(),
    }


def _versions() -> dict[str, str]:
    from importlib.metadata import version

    return {
        "lava-nc": version("lava-nc"),
        "lava-python": sys.version.split()[0],
        "lava-numpy": version("numpy"),
        "lava-scipy": version("scipy"),
    }
