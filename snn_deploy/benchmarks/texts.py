"""The reports as text, for a terminal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from snn_deploy.benchmarks.report import short
from snn_deploy.deploy.certificate import certificate_text


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
    machine = report["machine"]
    lines = [f"{machine['processor']}, {machine['usable_cores']} usable core(s)"]
    if machine["load"] is not None:
        lines.append(
            f"load before the run: {machine['load']:.1f}; what goes by the wall clock suffers from it"
        )
    for name, entry in report["networks"].items():
        engine, ratios = entry["engine"], entry["ratios"]
        lines.append(
            f"{name}: {engine['neuron_steps']:,} neuron-steps, {engine['synops']:,.0f} synops a sample, "
            f"input {100 * entry['network']['input_rate']:.1f} %"
        )
        rows = {f"kernel {key}": value for key, value in engine["samples_per_second"].items()}
        over = {f"kernel {key}": value for key, value in ratios["over kernels"].items()}
        rows |= entry["peers"]["samples_per_second"]
        over |= ratios["over peers"]
        for row, speeds in rows.items():
            cells = "".join(
                f"  {batch:>4}: {speed:>10,.0f}/s x{over.get(row, {}).get(batch, 1):<7.1f}"
                for batch, speed in speeds.items()
            )
            lines.append(f"  {row:<22}{cells}")
        lines += [f"  {peer:<22}  not measured: {why}" for peer, why in entry["peers"]["missing"].items()]
        for way, speed in entry.get("lava", {}).get("samples_per_second", {}).items():
            lines.append(f"  Lava, {way:<36} {speed:>10.2f}/s x{ratios['over Lava'][way]:,.0f}")
        lines += [*_speed_limits(engine, ratios), ""]
    for row in report["targets"]:
        verdict = "holds" if row["holds"] else "MISSED"
        lines.append(
            f"  {row['network']:<14} {row['title']:<38} at least {row['at_least']:>7,g}: "
            f"{row['value']:>8,.2f}  {verdict}"
        )
    return "\n".join([*lines, f"report: {report['page']}"])


def _speed_limits(engine: Mapping[str, Any], ratios: Mapping[str, Any]) -> list[str]:
    """The machine's ceilings and how close the fastest kernel comes, and what a second thread brings."""
    ceilings = ", ".join(f"{k} {short(v)}/s" for k, v in engine["machine"]["additions_per_second"].items())
    sparse, dense = (100 * engine["densities"][i]["input_rate"] for i in (0, -1))
    total, added = (short(ratios[key]) for key in ("synops per second", "marginal synops per second"))
    threads = engine["threads"]
    second = "two threads: not measured, one usable core"
    if threads:
        second = (
            f"two threads, batch {threads['batch']}, wall clock: {short(threads['two'])}/s over "
            f"{short(threads['one'])}/s, x{ratios['two threads over one']:.2f}"
        )
    share, marginal = (
        f", {ratios[key]:.2f} of the ceiling" if key in ratios else ""
        for key in ("share of load-and-add", "marginal share of load-and-add")
    )
    return [
        f"  ceilings: load-and-add {ceilings or 'no compiled kernel'}; "
        f"sgemm {short(engine['machine']['sgemm_flops'])}FLOP/s",
        f"  synops: {total}/s overall{share}; "
        f"{added}/s marginal, input {sparse:.1f} to {dense:.1f} %{marginal}",
        f"  {second}",
        f"  ns a neuron-step: {ratios['ns per neuron-step']:.3f}",
    ]
