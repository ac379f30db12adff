"""What ``bench speed`` measures of stock Lava, by the wall clock: it has many processes."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from snn_deploy.benchmarks.studies.speed.networks import Benchmark, build, spikes
from snn_deploy.errors import BackendUnavailable, VerificationMismatch

_STREAM_SAMPLES, _BLOCK_SAMPLES, _VAR_GET_SAMPLES = 16, 256, 8


def measure(benchmark: Benchmark) -> dict[str, Any]:
    """Stock Lava: streamed where that is exact, a sample at a time, laid out as our backend does, and read
    by Var.get as its users do; the counts must agree with ours.

    Returns "samples_per_second" by way ("run" and "end to end" are of the first, on all cores; "on one
    core" once more with its processes held on one, as everything else that the bench measures), or
    "missing", the reason why Lava cannot run. Raises VerificationMismatch where the counts differ.
    """
    from snn_deploy.benchmarks.studies.speed.var_get import stream_by_var_get
    from snn_deploy.deploy.lava.guard import Limits
    from snn_deploy.deploy.lava.plan import Strategy, streamable
    from snn_deploy.deploy.lava.run import run_network
    from snn_deploy.engine.fixed.engine import FixedEngine

    network = build(benchmark)
    inputs = {"input": spikes(benchmark, _BLOCK_SAMPLES)}
    ours = FixedEngine().run(network, inputs).counts["output"]
    plans: list[tuple[str, Strategy, int, int | None]] = [("sample at a time", "block", 2, 1)]
    if not streamable(network):
        plans.insert(0, ("stream", "stream", _STREAM_SAMPLES, 1))
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
            if "run, on one core" not in speeds:
                with _one_core():
                    result = run_network(
                        "lava", network, part, limits=Limits(), strategy=strategy, batch=batch
                    )
                speeds["run, on one core"] = samples / result.seconds["run"]
        if not streamable(network):
            part = {"input": inputs["input"][:_VAR_GET_SAMPLES]}
            rasters, end = stream_by_var_get(network, part, Limits())
            (raster,) = rasters.values()
            _must_agree(raster.sum(axis=1), ours[:_VAR_GET_SAMPLES], benchmark)
            speeds["stream read by Var.get, end to end"] = _VAR_GET_SAMPLES / end
    except BackendUnavailable as error:
        return {"missing": str(error)}
    return {"samples_per_second": speeds, "samples": {name: n for name, _, n, _ in plans}, "equal": True}


@contextmanager
def _one_core() -> Iterator[None]:
    """Hold this process and those that it starts on one core, where the system can do so."""
    if not hasattr(os, "sched_setaffinity"):
        yield
        return
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {max(cores)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, cores)


def _must_agree(lava: Any, ours: Any, benchmark: Benchmark) -> None:
    if not np.array_equal(lava, ours):
        raise VerificationMismatch("Lava and the engine give different counts", where=benchmark.name)
