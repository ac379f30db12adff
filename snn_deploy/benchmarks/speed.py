"""``bench speed``: our kernels, stock Lava and float peers on the same networks, in one run, as ratios.

Speeds of a shared machine mean little alone; ratios of one run do. Every measurement has a process of
its own with one thread for BLAS and PyTorch, and its speed is the best of many runs by that thread's CPU
time; Lava, which has many processes, and two threads are measured by the wall clock. The peers run float
neurons: they are not exact to Loihi.
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from snn_deploy import __version__
from snn_deploy.benchmarks.speed_networks import (
    BENCHMARKS,
    INPUT_RATE,
    STEPS,
    Benchmark,
    build,
    spikes,
)
from snn_deploy.errors import BackendUnavailable, VerificationMismatch
from snn_deploy.files import atomic_write

Stage = Callable[[str], Any]
_ONE_THREAD = dict.fromkeys(
    ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS"), "1"
)
_CHILD_SECONDS = 1800
_LAVA_SAMPLES, _BLOCK_SAMPLES, _VAR_GET_SAMPLES = 16, 256, 8


def run(folder: Path, stage: Stage, *, quick: bool = False, lava: bool = True) -> tuple[dict[str, Any], Path]:
    """Measure every network and write speed.json into ``folder``; returns (report, path).

    quick: the feed-forward network only, short measurements, no torch.compile. lava: measure Lava too.
    Raises VerificationMismatch where two engines that must agree do not.
    """
    folder.mkdir(parents=True, exist_ok=True)
    networks = {}
    for benchmark in BENCHMARKS[:1] if quick else BENCHMARKS:
        stage(f"{benchmark.name}: engine")
        spec = {"network": benchmark.name, "batches": benchmark.batches, "seconds": 0.3 if quick else 2.0}
        entry: dict[str, Any] = {"engine": _child("snn_deploy.benchmarks.speed_engine", spec)}
        stage(f"{benchmark.name}: Norse")
        entry["peers"] = _peers(benchmark, quick)
        if lava:
            stage(f"{benchmark.name}: Lava")
            entry["lava"] = _lava(benchmark)
        entry["ratios"] = ratios(entry)
        networks[benchmark.name] = entry
    report = {
        "task": "speed",
        "config": {"steps": STEPS, "input_rate": INPUT_RATE, "threads": 1},
        "machine": {"processor": _processor(), "python": platform.python_version()},
        "versions": {"snn-deploy": __version__, "numpy": np.__version__},
        "networks": networks,
    }
    path = folder / "speed.json"
    with atomic_write(path) as temporary:
        temporary.write_text(json.dumps(report, indent=2), encoding="utf-8")
    return report, path


def ratios(entry: Mapping[str, Any]) -> dict[str, Any]:
    """Our fastest kernel over each peer, batch by batch (over Lava: our best batch), and over the ceiling."""
    engine = entry["engine"]
    ours = engine["samples_per_second"][engine["kernel"]]
    best = max(ours.values())
    found: dict[str, Any] = {
        peer: {batch: ours[batch] / speed for batch, speed in by_batch.items() if batch in ours}
        for peer, by_batch in entry["peers"].get("samples_per_second", {}).items()
    }
    for kernel, by_batch in engine["samples_per_second"].items():
        if kernel != engine["kernel"]:
            found[f"kernel {kernel}"] = {batch: ours[batch] / speed for batch, speed in by_batch.items()}
    if "samples_per_second" in entry.get("lava", {}):
        speeds = entry["lava"]["samples_per_second"]
        found["lava"] = {name: best / speed for name, speed in speeds.items()}
        if "stream read by Var.get, end to end" in speeds:
            slow, fast = "stream read by Var.get, end to end", "our layout, end to end"
            found["Lava, our layout over Var.get"] = speeds[fast] / speeds[slow]
        numpy = max(engine["samples_per_second"]["numpy"].values())
        found["numpy over lava run"] = numpy / entry["lava"]["samples_per_second"]["run"]
    ceiling = engine["machine"]["additions_per_second"].get(engine["kernel"])
    if ceiling:
        found["share of load-and-add"] = best * engine["synops_stored"] / ceiling
    found["two threads over one"] = engine["two_threads"] / ours[max(ours, key=int)]
    found["ns per neuron-step"] = 1e9 / best / engine["neuron_steps"]
    return found


def _child(module: str, spec: Mapping[str, Any]) -> Any:
    """Run a measuring module in a process of its own and return its JSON."""
    done = subprocess.run(
        [sys.executable, "-m", module],
        input=json.dumps(spec),
        env={**os.environ, **_ONE_THREAD},
        capture_output=True,
        text=True,
        timeout=_CHILD_SECONDS,
        check=False,
    )
    if done.returncode:
        raise BackendUnavailable(
            "a measuring process failed",
            where=module,
            found=done.stderr.strip().splitlines()[-1:] or "no message",
        )
    return json.loads(done.stdout)


def _peers(benchmark: Benchmark, quick: bool) -> dict[str, Any]:
    """The float peers' speeds; empty, with the reason, where PyTorch or Norse is not installed."""
    spec = {
        "shape": benchmark.shape,
        "layers": [asdict(layer) for layer in benchmark.layers],
        "steps": STEPS,
        "rate": INPUT_RATE,
        "batches": benchmark.batches,
        "seconds": 1.0 if quick else 4.0,
        "compile": not quick,
    }
    try:
        found: dict[str, Any] = _child("snn_deploy.train.speed_peers", spec)
    except BackendUnavailable as error:
        return {"missing": str(error)}
    return found


def _lava(benchmark: Benchmark) -> dict[str, Any]:
    """Stock Lava: streamed where that is exact, a sample at a time, laid out as our backend does, and read
    by Var.get as its users do; the counts must agree with ours."""
    from snn_deploy.deploy.backends.fixed import FixedBackend
    from snn_deploy.deploy.backends.lava.baseline import stream_by_var_get
    from snn_deploy.deploy.backends.lava.guard import Limits
    from snn_deploy.deploy.backends.lava.plan import Strategy, streamable
    from snn_deploy.deploy.backends.lava.run import run_network

    network = build(benchmark)
    inputs = {"input": spikes(benchmark, _BLOCK_SAMPLES)}
    ours = FixedBackend().run_network(network, inputs).counts["output"]
    plans: list[tuple[str, Strategy, int, int | None]] = [("sample at a time", "block", 2, 1)]
    if not streamable(network):
        plans.insert(0, ("stream", "stream", _LAVA_SAMPLES, 1))
    plans.append(("our layout", "auto", _BLOCK_SAMPLES, None))
    speeds: dict[str, float] = {}
    try:
        for name, strategy, samples, batch in plans:
            part = {"input": inputs["input"][:samples]}
            started = time.perf_counter()
            result = run_network("lava", network, part, limits=Limits(), strategy=strategy, batch=batch)
            end = time.perf_counter() - started
            _must_agree(result.counts["output"], ours[:samples], benchmark)
            speeds.setdefault("run", samples / result.seconds["run"])
            speeds.setdefault("end to end", samples / end)
            speeds[f"{name}, end to end"] = samples / end
        if not streamable(network):
            part = {"input": inputs["input"][:_VAR_GET_SAMPLES]}
            rasters, end = stream_by_var_get(network, part, Limits())
            (raster,) = rasters.values()
            _must_agree(raster.sum(axis=1), ours[:_VAR_GET_SAMPLES], benchmark)
            speeds["stream read by Var.get, end to end"] = _VAR_GET_SAMPLES / end
    except BackendUnavailable as error:
        return {"missing": str(error)}
    return {"samples_per_second": speeds, "samples": {name: n for name, _, n, _ in plans}, "equal": True}


def _must_agree(lava: Any, ours: Any, benchmark: Benchmark) -> None:
    if not np.array_equal(lava, ours):
        raise VerificationMismatch("Lava and the engine give different counts", where=benchmark.name)


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    return next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), "unknown")
