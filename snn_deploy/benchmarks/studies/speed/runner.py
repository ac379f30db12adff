"""``bench speed``: our kernels, stock Lava and float peers on the same networks, in one run, as ratios.

Speeds of a shared machine mean little alone; ratios of one run do. Every measurement has a process of
its own with one thread, and its speed is the best of many runs by CPU time; Lava, which has many
processes, and two threads against one are measured by the wall clock. The peers run float neurons: they
are not exact to Loihi.
"""

from __future__ import annotations

import json
import os
import pkgutil
import platform
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from snn_deploy import __version__
from snn_deploy.benchmarks.studies.speed import lava as speed_lava
from snn_deploy.benchmarks.studies.speed import peers
from snn_deploy.benchmarks.studies.speed.engine import usable_cores
from snn_deploy.benchmarks.studies.speed.networks import BENCHMARKS, DT, Benchmark
from snn_deploy.benchmarks.studies.speed.ratios import judged, ratios
from snn_deploy.errors import BackendUnavailable

Stage = Callable[[str], Any]
_ONE_THREAD = dict.fromkeys(
    ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS"), "1"
)
_CHILD_SECONDS = 1800


def run(folder: Path, stage: Stage, *, quick: bool = False, lava: bool = True) -> dict[str, Any]:
    """Measure every network, and write speed.json and report.html into ``folder``; returns the report.

    quick: the feed-forward network only, short measurements, no torch.compile. lava: measure Lava too.
    Raises VerificationMismatch where two engines that must agree do not.
    """
    from snn_deploy.benchmarks.report import render_page, write_json
    from snn_deploy.benchmarks.studies.speed.pictures import draw

    folder.mkdir(parents=True, exist_ok=True)
    machine = _machine()
    networks = {}
    for benchmark in BENCHMARKS[:1] if quick else BENCHMARKS:
        stage(f"{benchmark.name}: engine")
        spec = {"network": benchmark.name, "batches": benchmark.batches, "seconds": 0.3 if quick else 2.0}
        entry: dict[str, Any] = {
            "network": {**asdict(benchmark), "layers": [asdict(layer) for layer in benchmark.layers]},
            "engine": _child("snn_deploy.benchmarks.studies.speed.engine", spec),
            "peers": measure_peers(benchmark, quick, stage),
        }
        if lava:
            stage(f"{benchmark.name}: Lava")
            entry["lava"] = speed_lava.measure(benchmark)
        entry["ratios"] = ratios(entry)
        networks[benchmark.name] = entry
    report = {
        "task": "speed",
        "config": {"quick": quick, "threads": 1},
        "machine": machine,
        "versions": _versions(networks),
        "networks": networks,
        "targets": judged({name: entry["ratios"] for name, entry in networks.items()}),
    }
    write_json(folder / "speed.json", report)
    page = render_page(folder / "report.html", "speed.html.j2", report, draw(report))
    return {**report, "page": str(page)}


def measure_peers(benchmark: Benchmark, quick: bool, stage: Stage) -> dict[str, Any]:
    """Every peer's speeds, rates and versions; "missing" says why one could not run."""
    spec = {
        "shape": benchmark.shape,
        "layers": [asdict(layer) for layer in benchmark.layers],
        "steps": benchmark.steps,
        "rate": benchmark.input_rate,
        "alpha": 1 - DT * benchmark.tau_syn_inv,
        "beta": 1 - DT * benchmark.tau_mem_inv,
        "batches": benchmark.batches,
        "seconds": 1.0 if quick else 4.0,
        "compiled": not quick,
    }
    found: dict[str, dict[str, Any]] = {
        key: {} for key in ("samples_per_second", "missing", "versions", "rates", "scans")
    }
    for name in peer_names():
        stage(f"{benchmark.name}: {name}")
        try:
            answer = _child(f"{peers.__name__}.{name}", spec)
        except BackendUnavailable as error:
            found["missing"][name] = error.violations[0].found or str(error)
            continue
        found["rates"][name] = answer.pop("rates")
        for key, values in answer.items():
            found[key].update(values)
    return found


def peer_names() -> list[str]:
    """The modules of peers/ that measure a peer."""
    return [module.name for module in pkgutil.iter_modules(peers.__path__) if module.name[0] != "_"]


def _child(module: str, spec: Mapping[str, Any]) -> Any:
    """Run a measuring module in a process of its own and return its JSON."""
    try:
        done = subprocess.run(
            [sys.executable, "-m", module],
            input=json.dumps(spec),
            env={**os.environ, **_ONE_THREAD},
            capture_output=True,
            text=True,
            timeout=_CHILD_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise BackendUnavailable(
            "a measuring process did not end", where=module, found=f"{_CHILD_SECONDS} s"
        ) from None
    if done.returncode:
        said = done.stderr.strip().splitlines() or ["no message"]
        raise BackendUnavailable("a measuring process failed", where=module, found=said[-1])
    return json.loads(done.stdout)


def _versions(networks: Mapping[str, Any]) -> dict[str, str]:
    found = {"snn-deploy": __version__, "python": platform.python_version(), "numpy": np.__version__}
    for entry in networks.values():
        found |= entry["peers"]["versions"]
    return found


def _machine() -> dict[str, Any]:
    """What ran it; load: processes that others kept running in the minute before, None where unknown."""
    return {
        "processor": _processor(),
        "usable_cores": usable_cores(),
        "system": f"{platform.system()} {platform.machine()}",
        "load": os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    return next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), "unknown")
