"""``report``: several runs of one task side by side, and which of them no other beats.

A run is on the front of the main metric against a cost if no other run reaches at least as much for at most
the same cost, one of them strictly. Costs are proxies: synaptic operations of a query, and the marginal
joules of an item by one table of prices that all runs share; joules of different tables are never compared.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from snn_deploy.benchmarks.record import Record, read
from snn_deploy.benchmarks.report import render_page, write_json
from snn_deploy.errors import UsageError, Violation


def compare(folders: Sequence[Path], output: Path) -> dict[str, Any]:
    """Write comparison.json and comparison.html into ``output``; returns the comparison.

    Raises UsageError as :func:`read_runs` does.
    """
    from snn_deploy.benchmarks.report.figures import fronts

    found = comparison(read_runs(folders))
    output.mkdir(parents=True, exist_ok=True)
    metric = found["metric"]
    pictures = {"synops": fronts(found["fronts"]["synops"], "synaptic operations a query", metric)}
    if found["joules"]:
        label = f"marginal joules an item by prices of {found['joules']['table']} (proxy)"
        pictures["joules"] = fronts(found["fronts"]["joules"], label, metric)
    write_json(output / "comparison.json", found)
    page = render_page(output / "comparison.html", "comparison.html.j2", found, pictures)
    return {**found, "page": str(page)}


def read_runs(folders: Sequence[Path]) -> dict[str, Record]:
    """The records in ``folders`` by folder, all of one task on the same queries.

    Raises UsageError with every folder that has no record or a damaged one, is named twice, or holds another
    task or other queries than the first.
    """
    runs: dict[str, Record] = {}
    faults: list[Violation] = []
    for folder in folders:
        if str(folder) in runs:
            faults.append(Violation("a run is named twice", where=str(folder)))
            continue
        try:
            runs[str(folder)] = read(folder)
        except UsageError as error:
            faults += error.violations
    faults += _other_queries(runs)
    if faults:
        raise UsageError(faults)
    return runs


def _other_queries(runs: Mapping[str, Record]) -> Iterable[Violation]:
    if not runs:
        return
    first_name, first = next(iter(runs.items()))
    for name, run in runs.items():
        if run.task != first.task:
            what = f"another task than in {first_name}"
            yield Violation(what, where=name, found=run.task, allowed=first.task)
            continue
        for field in ("n", "split", "queries", "main_metric"):
            if getattr(run, field) != getattr(first, field):
                yield Violation(
                    f"other queries than in {first_name}: {field} differs",
                    where=name,
                    found=_said(getattr(run, field)),
                    allowed=_said(getattr(first, field)),
                )


def _said(value: Any) -> str:
    return ", ".join(value) if isinstance(value, tuple) else str(value)


def comparison(runs: Mapping[str, Record]) -> dict[str, Any]:
    """The comparison as JSON: "runs", "rows", "joules" (None without a shared table) and "fronts"."""
    first = next(iter(runs.values()))
    joules = _joules(runs)
    costs = {query: {n: run.activity[query].synops for n, run in runs.items()} for query in first.metrics}
    return {
        "task": first.task,
        "metric": first.main_metric,
        "n": dict(first.n),
        "split": first.split,
        "priced_split": first.energy.split,
        "runs": [_about(name, run) for name, run in runs.items()],
        "rows": [
            row for query in first.metrics for name, run in runs.items() for row in _rows(name, run, query)
        ],
        "references": {query: _references(runs, query) for query in first.metrics},
        "joules": joules,
        "fronts": {
            "synops": {query: _front(runs, query, cost) for query, cost in costs.items()},
            "joules": {
                query: _front(runs, query, joules["by_run"])
                for query in first.metrics
                if joules and query.partition(":")[0] == first.energy.split
            },
        },
    }


def on_front(points: Mapping[str, tuple[float, float]]) -> list[str]:
    """Names of the (cost, recall) points that none beats, cheapest first."""

    def beaten(name: str) -> bool:
        cost, recall = points[name]
        return any(c <= cost and r >= recall and (c, r) != (cost, recall) for c, r in points.values())

    return sorted((name for name in points if not beaten(name)), key=lambda name: points[name])


def _front(runs: Mapping[str, Record], query: str, costs: Mapping[str, Any]) -> dict[str, Any]:
    """The points of one picture: cost (a number, or an interval of joules) and recall of each run."""
    points = {}
    for name, run in runs.items():
        cost = costs[name]
        low, nominal, high = (
            (cost["low"], cost["nominal"], cost["high"]) if isinstance(cost, Mapping) else (cost,) * 3
        )
        recall = run.metrics[query][run.main_metric]["fixed"]
        points[name] = {
            "cost": nominal,
            "cost_range": [low, high],
            "recall": recall.value,
            "ci95": list(recall.ci95),
        }
    return {
        "points": points,
        "front": on_front({name: (p["cost"], p["recall"]) for name, p in points.items()}),
        **_references(runs, query),
    }


def _references(runs: Mapping[str, Record], query: str) -> dict[str, Any]:
    """Chance, and the best baseline of any run, by Recall@1."""
    first = next(iter(runs.values()))
    value, name = max(
        (methods[run.main_metric].value, name)
        for run in runs.values()
        for name, methods in run.baselines[query].items()
    )
    return {"chance": first.chance[query][first.main_metric], "baseline": {"name": name, "value": value}}


def _joules(runs: Mapping[str, Record]) -> dict[str, Any] | None:
    """Joules of an item by the first price table that every run has, or None."""
    tables = [run.energy.tables() for run in runs.values()]
    shared = [name for name in tables[0] if all(name in others for others in tables)]
    if not shared:
        return None
    by_run = {}
    for name, found in zip(runs, tables, strict=True):
        joules, label = found[shared[0]]
        by_run[name] = {**joules.model_dump(), "label": label}
    return {"table": shared[0], "item": next(iter(runs.values())).energy.item, "by_run": by_run}


def _about(name: str, run: Record) -> dict[str, Any]:
    return {
        "run": name,
        **run.config.model_dump(),
        "seeds": list(run.seeds),
        "equal_to_lava": None if run.parity is None else run.parity.equal,
    }


def _rows(name: str, run: Record, query: str) -> list[dict[str, Any]]:
    """One row a backend; events are those of the integers."""
    metrics = run.metrics[query]
    events = run.activity[query].model_dump(exclude={"per_layer"})
    return [
        {
            "query": query,
            "run": name,
            "backend": engine,
            "metrics": {metric: by_engine[engine].to_json() for metric, by_engine in metrics.items()},
            "events": events if engine == "fixed" else None,
        }
        for engine in next(iter(metrics.values()))
    ]


def comparison_text(found: Mapping[str, Any]) -> str:
    """The comparison for a terminal: runs, one table a query, and the fronts."""
    lines = []
    for run in found["runs"]:
        lava = {None: "not compared with Lava", True: "equal to Lava", False: "DIFFERENT FROM LAVA"}
        quick = ", quick" if run["quick"] else ""
        lines.append(
            f"{run['run']}: {run['model'] or run['encoder'] + ' encoder'}, profile {run['profile']}, seeds "
            f"{', '.join(map(str, run['seeds']))}{quick}, {lava[run['equal_to_lava']]}"
        )
    for query, references in found["references"].items():
        rows = [row for row in found["rows"] if row["query"] == query]
        lines += ["", f"{query} (n = {rows[0]['metrics'][found['metric']]['n']})"]
        lines += [_text_row(row) for row in rows]
        best = references["baseline"]
        lines.append(
            f"  best baseline: {best['name']} {100 * best['value']:.1f} %; "
            f"chance {100 * references['chance']:.1f} %"
        )
        front = found["fronts"]["synops"][query]["front"]
        lines.append(f"  front of {found['metric']} against synaptic operations: {', '.join(front)}")
    if found["joules"]:
        lines += ["", f"marginal joules an item (proxy), prices of {found['joules']['table']}:"]
        for name, joules in found["joules"]["by_run"].items():
            span = f"[{joules['low']:.2e}, {joules['high']:.2e}]"
            lines.append(f"  {name}: {joules['nominal']:.2e} {span} {joules['label']}".rstrip())
    return "\n".join([*lines, "", f"report: {found['page']}"])


def _text_row(row: Mapping[str, Any]) -> str:
    cells = "  ".join(
        f"{name} {100 * e['value']:5.1f} % [{100 * e['ci95'][0]:5.1f}, {100 * e['ci95'][1]:5.1f}]"
        for name, e in row["metrics"].items()
    )
    events = f"  {row['events']['synops']:,.0f} synops" if row["events"] else ""
    return f"  {row['run']:<24} {row['backend']:<6} {cells}{events}"
