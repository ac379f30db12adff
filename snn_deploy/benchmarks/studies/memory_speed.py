"""What storing, recalling, hopping, forgetting and opening a memory cost, as ratios to FAISS flat.

All on one thread, in CPU time, the rivals taking turns; durable single stores go by the wall clock, with
the disk's own rate of syncs beside them.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from snn_deploy.benchmarks.outcome import BenchOptions, Outcome, Stage
from snn_deploy.benchmarks.report import write_json
from snn_deploy.benchmarks.studies._memory_data import DIM, Keys, drawn_keys, noisy
from snn_deploy.deploy.memory import AssociativeMemory
from snn_deploy.deploy.memory.neighbours import new_index, use_threads
from snn_deploy.timing import best_of_each

SIZES = (5_000, 20_000, 100_000)
_CUES = 100
_HOPS = 64
_SINGLE = 200
_BUDGET = 1.0  # seconds a comparison


def study(options: BenchOptions, folder: Path, stage: Stage) -> Outcome:
    """Measure, and write report.json into ``folder``."""
    stage(f"memories of {SIZES[0]:,} items and more")
    report = run(SIZES[:2] if options.quick else SIZES, options.seed)
    write_json(folder / "report.json", report)
    return Outcome(report, text, lambda: None)


def run(sizes: Sequence[int] = SIZES, seed: int = 0) -> dict[str, Any]:
    """Measurements for each number of memories, and the log-log slope of the time to store them."""
    rows = [_measured(size, seed) for size in sizes]
    times = [row["store_seconds"] for row in rows]
    slope = float(np.polyfit(np.log(sizes), np.log(times), 1)[0]) if len(sizes) > 1 else None
    return {"study": "memory-speed", "dim": DIM, "seed": seed, "sizes": rows, "store_slope": slope}


def _measured(size: int, seed: int) -> dict[str, Any]:
    keys = drawn_keys("embedding-like", size, seed)
    cues = noisy(keys[:: max(1, size // _CUES)][:_CUES], 0.7, seed + 1)
    with tempfile.TemporaryDirectory() as folder:
        store = Path(folder) / "speed.sqlite"
        with AssociativeMemory.open(store, DIM) as memory:
            row: dict[str, Any] = {"items": size}
            started = time.thread_time()
            ids = memory.store_many(keys)
            row["store_seconds"] = time.thread_time() - started
            row["stores_per_second"] = size / row["store_seconds"]
            row["links_per_second"] = size / _seconds(lambda: memory.link_many(pairwise(ids)))
            memory.recall(cues[0])
            row |= _recall(memory, keys, cues)
            row |= _hop(memory, ids)
            row["hop_over_flat"] = row["hop_ms"] / row["flat_ms"]
            row |= _single(memory, noisy(keys[:_SINGLE], 0.5, seed + 2), ids, store.parent)
            stats = memory.stats()
            row["code_mib"], row["index_mib"] = stats.code_bytes / 2**20, stats.index_bytes / 2**20
            memory.snapshot()
        row["open_seconds"] = _seconds(lambda: _open_and_recall(store, cues[0]))
    return row


def _seconds(run: Callable[[], object]) -> float:
    started = time.thread_time()
    run()
    return time.thread_time() - started


def _open_and_recall(store: Path, cue: Any) -> None:
    with AssociativeMemory.open(store, readonly=True) as memory:
        memory.recall(cue)


def _recall(memory: AssociativeMemory, keys: Keys, cues: Keys) -> dict[str, Any]:
    """One cue and all cues at once: the memory, FAISS flat and whichever graph indexes are installed."""
    use_threads(1)
    flat = new_index("exact", DIM)
    flat.add(keys)
    single = {
        "flat": lambda: flat.search(cues[:1], 10),
        "recall": lambda: memory.recall(cues[0]),
        **_peers(keys, cues),
    }
    batch = [lambda: flat.search(cues, 10), lambda: memory.recall_many(cues)]
    best = dict(zip(single, best_of_each(list(single.values()), _BUDGET), strict=True))
    both = best_of_each(batch, _BUDGET)
    return {
        **{f"{name}_ms": 1e3 * seconds for name, seconds in best.items()},
        "recall_over_flat": best["recall"] / best["flat"],
        "batch_cues": len(cues),
        "batch_over_flat": both[1] / both[0],
    }


def _peers(keys: Keys, cues: Keys) -> dict[str, Callable[[], object]]:
    """HNSW of FAISS, hnswlib and usearch, those that are installed; built only up to 20,000 keys."""
    found: dict[str, Callable[[], object]] = {}
    if len(keys) > 20_000:
        return found
    graph = new_index("hnsw", DIM)
    graph.add(keys)
    found["faiss_hnsw"] = lambda: graph.search(cues[:1], 10)
    try:
        hnswlib: Any = import_module("hnswlib")
        index = hnswlib.Index(space="ip", dim=DIM)
        index.init_index(max_elements=len(keys), M=32)
        index.set_num_threads(1)
        index.add_items(keys, num_threads=1)
        found["hnswlib"] = lambda: index.knn_query(cues[:1], k=10, num_threads=1)
    except ModuleNotFoundError:
        pass
    try:
        usearch: Any = import_module("usearch.index")
        other = usearch.Index(ndim=DIM, metric="ip")
        other.add(np.arange(len(keys)), keys, threads=1)
        found["usearch"] = lambda: other.search(cues[0], 10, threads=1)
    except ModuleNotFoundError:
        pass
    return found


def _hop(memory: AssociativeMemory, ids: Sequence[int]) -> dict[str, Any]:
    start = ids[len(ids) // 3]
    path = memory.recall_chain(start, _HOPS).ids
    (best,) = best_of_each([lambda: memory.recall_chain(start, _HOPS)], _BUDGET)
    return {
        "hop_ms": 1e3 * best / len(path),
        "hops": len(path),
        "hops_right": path == _next(start, len(path)),
    }


def _next(start: int, hops: int) -> tuple[int, ...]:
    return tuple(range(start + 1, start + 1 + hops))


def _single(memory: AssociativeMemory, keys: Keys, ids: Sequence[int], folder: Path) -> dict[str, Any]:
    """Durable single stores and forgets, with the disk's own syncs of one page beside them."""
    started = time.perf_counter()
    for key in keys:
        memory.store(key)
    stored = time.perf_counter() - started
    began = time.thread_time()
    for item in ids[-_SINGLE:]:
        memory.forget(item)
    cpu = time.thread_time() - began
    descriptor = os.open(folder / "syncs", os.O_CREAT | os.O_WRONLY, 0o600)
    try:
        began = time.perf_counter()
        for _ in range(_SINGLE):
            os.write(descriptor, bytes(8192))
            os.fsync(descriptor)
        syncs = time.perf_counter() - began
    finally:
        os.close(descriptor)
    return {
        "durable_stores_per_second": len(keys) / stored,
        "disk_syncs_per_second": _SINGLE / syncs,
        "forget_ms": 1e3 * cpu / _SINGLE,
    }


def text(report: Mapping[str, Any]) -> str:
    """The measurements as a table, one column for each size."""
    rows = report["sizes"]
    names = list(dict.fromkeys(name for row in rows for name in row))
    lines = [f"memory-speed: keys of {report['dim']} numbers, one thread, CPU time, seed {report['seed']}"]
    for name in names:
        cells = "".join(f"{_cell(row.get(name)):>14}" for row in rows)
        lines.append(f"  {name:<28}{cells}")
    if report["store_slope"] is not None:
        lines.append(f"  time to store grows with items to the power {report['store_slope']:.2f}")
    return "\n".join(lines)


def _cell(value: object) -> str:
    if isinstance(value, float):
        return f"{value:,.3f}" if value < 1000 else f"{value:,.0f}"
    return "-" if value is None else str(value)
