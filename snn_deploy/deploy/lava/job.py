"""The job folder: what host and child exchange. Plain .npy, .npz and .json files, no pickles.

job.json        processes, wires, number of Lava steps
arrays.npz      constructor arguments, "process index/argument"
switches.npz    values to set while the run pauses, likewise
source-I.npy    input rasters (rows, neurons)         s_out-I.npy, v-I.npy  recorded
beat.npy        last finished Lava step             answer.json   seconds and versions
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import numpy as np

from snn_deploy.deploy.lava import processes
from snn_deploy.deploy.lava.graph import Process, ProcessGraph
from snn_deploy.deploy.lava.plan import Plan
from snn_deploy.network.arrays import AnyArray

#: What runs the process graph.
Target = Literal["simulator", "loihi2"]

#: What records, which variable, and how it is stored.
RECORDED: dict[str, tuple[str, type[np.generic]]] = {
    "Sink": ("s_out", np.uint8),
    "Probe": ("v", np.int32),
    "RingBuffer": ("s_out", np.uint8),
}

#: Messages that a Lava channel can hold. Processes of one step need one; Lava's 64 would only fill /dev/shm.
CHANNEL_SIZE = 2
#: AF_UNIX paths hold 107 bytes, of which Lava's shared memory manager takes 32 below the folder.
_LONGEST_FOLDER = 75


@contextmanager
def job_folder() -> Iterator[Path]:
    """A folder of our own for one run, gone afterwards."""
    parent = tempfile.gettempdir()
    prefix = processes.folder_prefix()
    parent = parent if len(f"{parent}/{prefix}12345678") <= _LONGEST_FOLDER else "/tmp"
    folder = Path(tempfile.mkdtemp(prefix=prefix, dir=parent))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def write_job(
    folder: Path,
    graph: ProcessGraph,
    plan: Plan,
    rasters: Mapping[str, AnyArray],
    target: Target = "simulator",
) -> dict[tuple[str, str], Path]:
    """Write the job and return where the recorded rasters will lie, by population and variable.

    rasters: Source's process name -> (rows, neurons); a Source that is left out stays silent.
    """
    specs: list[dict[str, Any]] = []
    files: dict[tuple[str, str], Path] = {}
    for index, process in enumerate(graph.processes):
        spec = {"name": process.name, "kind": process.kind, "after": process.after, **process.scalars}
        if process.kind == "Source":
            spec["raster"] = f"source-{index}.npy"
            silence = np.zeros((1, spec["neurons"]), dtype=np.uint8)
            np.save(folder / spec["raster"], rasters.get(process.name, silence), allow_pickle=False)
        if process.kind in RECORDED:
            spec["rasters"] = []
            variable, kind = RECORDED[process.kind]
            recorded = [wire.source[0] for wire in graph.wires if wire.target[0] == process.name]
            for name, neurons in zip(recorded, spec["neurons"], strict=True):
                files[name, variable] = folder / f"{variable}-{len(files)}.npy"
                np.save(files[name, variable], np.zeros((plan.rows, neurons), dtype=kind))
                spec["rasters"].append(files[name, variable].name)
        specs.append(spec)
    np.save(folder / "beat.npy", np.zeros(1, dtype=np.int64), allow_pickle=False)
    _write_arrays(folder / "arrays.npz", graph, "arrays")
    _write_arrays(folder / "switches.npz", graph, "switch")
    job = {
        "processes": specs,
        "wires": [[wire.source, wire.target, wire.view] for wire in graph.wires],
        "lava_steps": plan.lava_steps,
        "target": target,
        "channel_size": CHANNEL_SIZE,
    }
    (folder / "job.json").write_text(json.dumps(job), encoding="utf-8")
    return files


def _write_arrays(path: Path, graph: ProcessGraph, attribute: str) -> None:
    arrays = {
        f"{index}/{name}": values
        for index, process in enumerate(graph.processes)
        for name, values in _arrays(process, attribute).items()
    }
    np.savez(path, **arrays)


def _arrays(process: Process, attribute: str) -> Mapping[str, AnyArray]:
    arrays: Mapping[str, AnyArray] = getattr(process, attribute)
    return arrays


def lay_out(raster: AnyArray, plan: Plan) -> AnyArray:
    """Arrange the samples of one run: (samples, steps, neurons) -> (rows, copies x neurons).

    Sample ``group * copies + copy`` stands at ``copy`` from row ``group * interval`` on.
    """
    neurons = raster.shape[2]
    per_run = plan.chunks * plan.copies
    padded = np.zeros((plan.chunks, plan.copies, plan.interval, neurons), dtype=raster.dtype)
    padded.reshape(per_run, plan.interval, neurons)[: len(raster), : plan.steps] = raster
    rows = padded.transpose(0, 2, 1, 3).reshape(plan.chunks * plan.interval, plan.copies * neurons)
    return rows[: plan.rows]


def take_apart(rows: AnyArray, plan: Plan) -> AnyArray:
    """Undo :func:`lay_out`: (rows, copies x neurons) -> (samples, steps, neurons)."""
    neurons = rows.shape[1] // plan.copies
    padded = np.zeros((plan.chunks * plan.interval, plan.copies, neurons), dtype=rows.dtype)
    padded[: len(rows)] = rows.reshape(len(rows), plan.copies, neurons)
    samples = padded.reshape(plan.chunks, plan.interval, plan.copies, neurons)[:, : plan.steps]
    return samples.transpose(0, 2, 1, 3).reshape(-1, plan.steps, neurons)
