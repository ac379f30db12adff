"""What ``bench speed`` measures of our own engine, and of the machine; in a process with one BLAS thread.

Run as ``python -m snn_deploy.benchmarks.studies.speed.engine``: {"network", "batches", "seconds"} on standard
input, one JSON object on standard output.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import numpy as np

from snn_deploy.benchmarks.studies.speed.networks import BENCHMARKS, Benchmark, build, neuron_steps, spikes
from snn_deploy.engine.fixed import kernel
from snn_deploy.engine.fixed.prepared import Prepared
from snn_deploy.engine.kernels.library import load_and_add, usable_kernels
from snn_deploy.engine.result import ActivityCounter
from snn_deploy.errors import VerificationMismatch
from snn_deploy.network.quantised import QuantisedNetwork
from snn_deploy.timing import best_of_each, best_seconds

#: Rows of the table that the ceiling is measured on: 16 KiB, half of the smallest L1 in use.
_L1_ROWS = 128
_SGEMM = 768


def usable_cores() -> int:
    """Cores that this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def machine(seconds: float) -> dict[str, Any]:
    """What one core can do: 16-bit additions from L1 by each kernel's instructions, float32 products."""
    ceilings = {}
    for name in usable_kernels():
        best = best_seconds(partial(load_and_add, name, _L1_ROWS, 1000), seconds / 4)
        ceilings[name] = load_and_add(name, _L1_ROWS, 1) * 1000 / best
    square = np.random.default_rng(0).random((_SGEMM, _SGEMM), dtype=np.float32)
    product = best_seconds(lambda: square @ square, seconds / 2)
    return {"additions_per_second": ceilings, "sgemm_flops": 2 * _SGEMM**3 / product}


def synaptic_operations(network: QuantisedNetwork, inputs: Any) -> tuple[float, float]:
    """(nonzero, stored) synaptic operations a sample."""
    chunk = kernel.prepare(network, kernel.choose().name).run({"input": inputs})
    counter = ActivityCounter(network)
    for name, total in chunk.spikes.items():
        late = {delay: array for (source, delay), array in chunk.late.items() if source == name}
        counter.add_counts(name, inputs.shape[0] * inputs.shape[1], total, late)
    layers = counter.layers()
    samples = inputs.shape[0]
    return sum(x.synops for x in layers) / samples, sum(x.synops_stored for x in layers) / samples


def speeds(network: QuantisedNetwork, inputs: Any, batches: list[int], seconds: float) -> dict[str, Any]:
    """Samples a second of every kernel by batch, one thread; they must agree.

    A run is all samples, one batch after the other: a processor learns the branches of a small batch that is
    repeated, which then seems faster than it is.
    """
    output = network.outputs[0].node
    expected = None
    table: dict[str, dict[str, float]] = {}
    for name in reversed(kernel.names()):
        prepared = kernel.prepare(network, name)
        few = prepared.run({"input": inputs[:8]}, counts=[output]).counts[output]
        if expected is not None and not np.array_equal(few, expected):
            raise VerificationMismatch("two kernels give different counts", where=name)
        expected = few
        table[name] = {}
        for batch in batches:
            parts = [{"input": inputs[i : i + batch]} for i in range(0, len(inputs), batch)]
            best = best_seconds(partial(_run_each, prepared, parts, output), seconds)
            table[name][str(batch)] = len(inputs) / best
    return table


def _run_each(prepared: Prepared, parts: list[dict[str, Any]], output: str) -> None:
    for part in parts:
        prepared.run(part, counts=[output])


def threads(network: QuantisedNetwork, inputs: Any, seconds: float) -> dict[str, float] | None:
    """Samples a second of the fastest kernel on one thread and on two, half of the batch each.

    Both by the wall clock and in turns, so that what disturbs the machine disturbs both. None where this
    process may use one core only.
    """
    if usable_cores() < 2:
        return None
    prepared = kernel.prepare(network, kernel.choose().name)
    output, half = network.outputs[0].node, len(inputs) // 2
    parts = [{"input": inputs[:half]}, {"input": inputs[half:]}]
    with ThreadPoolExecutor(2) as pool:

        def two() -> None:
            for done in [pool.submit(prepared.run, part, counts=[output]) for part in parts]:
                done.result()

        one = partial(prepared.run, {"input": inputs}, counts=[output])
        best = best_of_each([one, two], seconds, time.perf_counter)
    return {"batch": len(inputs), "one": len(inputs) / best[0], "two": len(inputs) / best[1]}


def densities(
    benchmark: Benchmark, network: QuantisedNetwork, batch: int, seconds: float
) -> list[dict[str, float]]:
    """Synaptic operations and seconds a sample at half, once and twice the input rate, in turns."""
    prepared = kernel.prepare(network, kernel.choose().name)
    rates = [factor * benchmark.input_rate for factor in (0.5, 1.0, 2.0)]
    drawn = [spikes(benchmark, batch, rate=rate) for rate in rates]
    counts = [network.outputs[0].node]
    best = best_of_each([partial(prepared.run, {"input": x}, counts=counts) for x in drawn], seconds)
    return [
        {"input_rate": rate, "synops_stored": synaptic_operations(network, x)[1], "seconds": taken / batch}
        for rate, x, taken in zip(rates, drawn, best, strict=True)
    ]


def measure(spec: Mapping[str, Any]) -> dict[str, Any]:
    benchmark = _named(spec["network"])
    network = build(benchmark)
    inputs = spikes(benchmark, max(spec["batches"]))
    synops, stored = synaptic_operations(network, inputs)
    chunk = kernel.prepare(network, kernel.choose().name).run({"input": inputs})
    middle = sorted(spec["batches"])[len(spec["batches"]) // 2]
    rates = [
        float(chunk.spikes[p.name].sum() / (inputs.shape[0] * inputs.shape[1] * p.neurons))
        for p in network.populations
    ]
    return {
        "neuron_steps": neuron_steps(benchmark, network),
        "synops": synops,
        "synops_stored": stored,
        "rates": rates,
        "samples_per_second": speeds(network, inputs, spec["batches"], spec["seconds"]),
        "densities": densities(benchmark, network, middle, spec["seconds"]),
        # more samples, or the threads' start weighs as much as 4 %
        "threads": threads(network, spikes(benchmark, 4 * len(inputs)), spec["seconds"]),
        "kernel": kernel.choose().name,
        "machine": machine(spec["seconds"]),
    }


def _named(name: str) -> Benchmark:
    return next(benchmark for benchmark in BENCHMARKS if benchmark.name == name)


if __name__ == "__main__":
    sys.stdout.write(json.dumps(measure(json.load(sys.stdin))))
