"""The report of ``bench speed`` as text, for a terminal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from snn_deploy.benchmarks.report import short


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
