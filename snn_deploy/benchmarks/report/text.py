"""A run as text, for a terminal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from snn_deploy.benchmarks.metrics.estimate import Estimate
from snn_deploy.benchmarks.record import Record
from snn_deploy.deploy.certificate import certificate_text


def record_text(document: Mapping[str, Any]) -> str:
    """A record, as its document and the path of its page: parity, figures, events, joules."""
    record = Record.model_validate({key: value for key, value in document.items() if key != "page"})
    lines = [*_parity(record), *_figures(record), "", *_drop(record), *_chain(record)]
    for query, cost in record.activity.items():
        lines.append(
            f"a query, {query}: {cost.spikes:,.0f} spikes, {cost.synops:,.0f} synaptic operations "
            f"({cost.synops_stored:,.0f} stored), {cost.neuron_updates:,.0f} neuron updates"
        )
    lines += [f"energy in joules: {record.energy.statement}", f"report: {document['page']}"]
    return "\n".join(lines)


def _parity(record: Record) -> list[str]:
    return [] if record.parity is None else [certificate_text(record.parity.to_json()), ""]


def _figures(record: Record) -> list[str]:
    lines = []
    for query, metrics in record.metrics.items():
        lines.append(f"{query} (n = {metrics[record.main_metric]['fixed'].n})")
        for engine in ("float", "fixed"):
            lines.append(_row(engine, {name: by_engine[engine] for name, by_engine in metrics.items()}))
        margins = record.margins.get(query, {})
        for name, estimates in record.baselines[query].items():
            line = _row(f"baseline: {name}", estimates)
            lines.append(line + (f"  fixed {_points(margins[name])}" if name in margins else ""))
        chance = "  ".join(
            f"{name} {100 * value:5.1f} %{'':17}" for name, value in record.chance[query].items()
        )
        lines.append(f"  {'chance':<40} {chance}".rstrip())
    return lines


def _row(label: str, estimates: Mapping[str, Estimate]) -> str:
    cells = "  ".join(
        f"{name} {100 * e.value:5.1f} % [{100 * e.ci95[0]:5.1f}, {100 * e.ci95[1]:5.1f}]"
        for name, e in estimates.items()
    )
    return f"  {label:<40} {cells}"


def _drop(record: Record) -> list[str]:
    drop = record.drop_pooled
    return [f"{record.main_metric} lost from float to fixed: {_points(drop)}, n = {drop.n}"]


def _points(difference: Estimate) -> str:
    low, high = difference.ci95
    return f"{100 * difference.value:+.2f} points [{100 * low:+.2f}, {100 * high:+.2f}]"


def _chain(record: Record) -> list[str]:
    chain = record.chain
    if chain is None:
        return []
    return [
        f"chains of {chain.hops} hops over {chain.stored} stored items: {chain.complete} of {chain.chains} "
        f"complete (NN + edge table: {chain.baseline_complete})"
    ]
