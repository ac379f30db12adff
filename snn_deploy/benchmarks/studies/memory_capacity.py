"""How many associations the memory's chains follow, and from how poor a cue.

Beside every chain stands nearest neighbour + edge table, which needs no association. A hop is right
where the recalled item is the next one of the chain; with every stored key its own, its cosine is then 1.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from snn_deploy.benchmarks.metrics.estimate import proportion
from snn_deploy.benchmarks.outcome import BenchOptions, Outcome, Stage
from snn_deploy.benchmarks.report import write_json
from snn_deploy.benchmarks.studies._memory_data import DIM, KINDS, drawn_keys, noisy
from snn_deploy.deploy.memory import AssociativeMemory, edge_table_chain

SIZES = (1_000, 5_000, 20_000)
COSINES = (1.0, 0.9, 0.7, 0.5)
HOPS = 8
_CHAINS = 40


def study(options: BenchOptions, folder: Path, stage: Stage) -> Outcome:
    """Measure, and write report.json into ``folder``."""
    stage("chains over " + ", ".join(f"{size:,}" for size in SIZES) + " memories")
    report = run(SIZES[:1] if options.quick else SIZES, seed=options.seed)
    write_json(folder / "report.json", report)
    return Outcome(report, text, lambda: None)


def run(
    sizes: Sequence[int] = SIZES,
    cosines: Sequence[float] = COSINES,
    kinds: Sequence[str] = KINDS,
    policies: Sequence[str] = ("threshold", "hebbian", "willshaw"),
    seed: int = 0,
) -> dict[str, Any]:
    """Share of right hops by kind of keys, load, cue and policy, with n and interval."""
    rows = [
        row for kind in kinds for size in sizes for row in _measured(kind, size, cosines, policies, seed=seed)
    ]
    return {"study": "memory-capacity", "hops": HOPS, "chains": _CHAINS, "seed": seed, "rows": rows}


def _measured(
    kind: str, size: int, cosines: Sequence[float], policies: Sequence[str], *, seed: int
) -> list[dict[str, Any]]:
    keys = drawn_keys(kind, size + 1, seed)
    starts = np.random.default_rng(seed).choice(size - HOPS, _CHAINS, replace=False)
    rows = []
    with (
        tempfile.TemporaryDirectory() as folder,
        AssociativeMemory.open(Path(folder) / "capacity.sqlite", DIM) as memory,
    ):
        first = memory.store_many(keys)[0]
        memory.link_many(pairwise(range(first, first + size + 1)))
        for cosine in cosines:
            cues = keys[starts] if cosine == 1.0 else noisy(keys[starts], cosine, seed + 1)
            row: dict[str, Any] = {"keys": kind, "pairs": size, "cosine": cosine}
            for policy in policies:
                for clean_up in (True, False):
                    paths = [
                        memory.recall_chain(cue, HOPS, policy, 0.0, clean_up=clean_up).ids for cue in cues
                    ]
                    name = policy if clean_up else f"{policy}, own code"
                    row[name] = _share(paths, starts + first)
            tables = [edge_table_chain(memory, cue, HOPS).ids for cue in cues]
            row["nearest + edge table"] = _share(tables, starts + first)
            rows.append(row)
    return rows


def _share(paths: Sequence[tuple[int, ...]], starts: Any) -> dict[str, Any]:
    right = np.zeros((len(paths), HOPS))
    for row, (path, start) in enumerate(zip(paths, starts.tolist(), strict=True)):
        for hop, found in enumerate(path):
            right[row, hop] = found == start + 1 + hop
    return {**proportion(right.mean(axis=1)).to_json(), "last_hop": float(right[:, -1].mean())}


def text(report: Mapping[str, Any]) -> str:
    """One line for each row and policy: share of right hops, its interval, and that of the last hop."""
    lines = [f"memory-capacity: {report['chains']} chains of {report['hops']} hops, seed {report['seed']}"]
    for row in report["rows"]:
        lines.append(f"  {row['keys']}, {row['pairs']:,} pairs, cues of cosine {row['cosine']}")
        for name, share in row.items():
            if isinstance(share, Mapping):
                low, high = share["ci95"]
                lines.append(
                    f"    {name:<24} {100 * share['value']:5.1f} % right [{100 * low:.1f}, {100 * high:.1f}]"
                    f"  hop {report['hops']}: {100 * share['last_hop']:5.1f} %  n = {share['n']}"
                )
    return "\n".join(lines)
