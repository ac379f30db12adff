"""Records as a table for a README; ``python -m snn_deploy.benchmarks.report.table FOLDER...`` prints it."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from snn_deploy.benchmarks import record
from snn_deploy.benchmarks.metrics.estimate import Estimate

_HEAD = (
    "task, network", "metric", "integers", "float to integers", "best without spikes", "ahead of it by",
    "chance", "spikes", "synaptic operations", "seeds",
)  # fmt: skip


def table(folders: Sequence[Path]) -> str:
    """A row for the first query of each record, figures of the main metric in percent with 95 % intervals."""
    rows = [_HEAD, ["---"] * len(_HEAD), *(_row(record.read(folder)) for folder in folders)]
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def _row(found: record.Record) -> list[str]:
    query, metric = found.queries[0], found.main_metric
    baselines = {method: values[metric] for method, values in found.baselines[query].items()}
    best = max(baselines, key=lambda method: baselines[method].value)
    cost = found.activity[query]
    ahead = found.margins.get(query, {}).get(best)
    return [
        f"{found.task}, {found.config.encoder}",
        metric,
        _percent(found.metrics[query][metric]["fixed"]),
        _percent(found.drop[query], sign="+", of=-1),
        f"{best} {100 * baselines[best].value:.1f}",
        "" if ahead is None else _percent(ahead, sign="+"),
        f"{100 * found.chance[query][metric]:.1f}",
        f"{cost.spikes:,.0f}",
        f"{cost.synops:,.0f}",
        str(len(found.seeds)),
    ]


def _percent(estimate: Estimate, sign: str = "", of: int = 1) -> str:
    low, high = sorted(of * end for end in estimate.ci95)
    return f"{100 * of * estimate.value:{sign}.1f} [{100 * low:{sign}.1f}, {100 * high:{sign}.1f}]"


if __name__ == "__main__":
    sys.stdout.write(table([Path(folder) for folder in sys.argv[1:]]))
