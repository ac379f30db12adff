"""The reports as text, for a terminal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from snn_deploy.convert.certificate import certificate_text


def emoji_text(report: Mapping[str, Any]) -> str:
    """Parity line, recall table and where the report lies."""
    lines = []
    if report["parity"]:
        lines += [certificate_text(report["parity"]), ""]
    for key, metrics in report["metrics"].items():
        n = metrics["recall@1"]["fixed"]["n"]
        lines.append(f"{key} (n = {n})")
        for engine in ("float", "fixed"):
            lines.append(_row(engine, {name: entry[engine] for name, entry in metrics.items()}))
        for name, entries in report["baselines"][key].items():
            lines.append(_row(f"baseline: {name}", entries))
        chance = "  ".join(f"{name} {100 * v:5.1f} %{'':17}" for name, v in report["chance"][key].items())
        lines.append(f"  {'chance':<40} {chance}".rstrip())
    drop, chain = report["drop_pooled"], report["chain"]
    lines += [
        "",
        f"Recall@1 lost from float to fixed: {100 * drop['value']:+.2f} points "
        f"[{100 * drop['ci95'][0]:+.2f}, {100 * drop['ci95'][1]:+.2f}], n = {drop['n']}",
        f"chains of {chain['hops']} hops over {chain['stored']} captions: "
        f"{chain['complete']} of {chain['chains']} complete (NN + edge table: {chain['baseline_complete']})",
    ]
    for key, cost in report["activity"].items():
        lines.append(
            f"a query, {key}: {cost['spikes']:,.0f} spikes, {cost['synops']:,.0f} synaptic operations "
            f"({cost['synops_stored']:,.0f} stored), {cost['neuron_updates']:,.0f} neuron updates"
        )
    lines += [f"energy in joules: {report['energy']['joules']}", f"report: {report['page']}"]
    return "\n".join(lines)


def _row(label: str, entries: Mapping[str, Any]) -> str:
    cells = "  ".join(
        f"{name} {100 * e['value']:5.1f} % [{100 * e['ci95'][0]:5.1f}, {100 * e['ci95'][1]:5.1f}]"
        for name, e in entries.items()
    )
    return f"  {label:<40} {cells}"


def speed_text(report: Mapping[str, Any]) -> str:
    """Samples a second of each engine by batch, and how many times as fast our fastest kernel is."""
    lines = []
    for name, entry in report["networks"].items():
        engine, ratios = entry["engine"], entry["ratios"]
        lines.append(
            f"{name}: {engine['neuron_steps']:,} neuron-steps, {engine['synops']:,.0f} synops a sample"
        )
        rows = {f"kernel {key}": value for key, value in engine["samples_per_second"].items()}
        rows |= entry["peers"].get("samples_per_second", {})
        for peer, speeds in rows.items():
            cells = "".join(
                f"  {batch:>4}: {speed:>10,.0f}/s x{ratios.get(peer, {}).get(batch, 1):<7.1f}"
                for batch, speed in speeds.items()
            )
            lines.append(f"  {peer:<22}{cells}")
        for way, speed in entry.get("lava", {}).get("samples_per_second", {}).items():
            lines.append(f"  Lava, {way:<36} {speed:>10.2f}/s x{ratios['lava'][way]:,.0f}")
        lines += [f"  {key}: {value:.2f}" for key, value in ratios.items() if isinstance(value, float)]
    return "\n".join([*lines, f"report: {report['report']}"])
