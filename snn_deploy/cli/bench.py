"""Run a benchmark task and write report.json and report.html."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from snn_deploy.cli.output import JsonOption, emit


def bench(
    task: Annotated[str, typer.Argument(help="emoji-captions or quantisation")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder to write into.")] = Path("bench"),
    encoder: Annotated[str, typer.Option(help="lif or recurrent")] = "lif",
    profile: Annotated[str, typer.Option(help="Hardware profile, a name or a TOML file.")] = "loihi2",
    seeds: Annotated[int, typer.Option(min=1, help="Networks to train, from --seed upward.")] = 1,
    seed: Annotated[int, typer.Option(min=0, help="First seed.")] = 0,
    quick: Annotated[bool, typer.Option("--quick", help="The shorter recipe: under a minute.")] = False,
    parity: Annotated[bool, typer.Option(help="Compare with real Lava.")] = True,
    as_json: JsonOption = False,
) -> None:
    """Train, convert, certify against Lava, recall, and report with intervals and baselines."""
    from snn_deploy.benchmarks import quantisation
    from snn_deploy.benchmarks.emoji_bench import BenchOptions
    from snn_deploy.benchmarks.runner import run_bench
    from snn_deploy.cli.output import stderr_console

    if task == quantisation.NAME:
        table = quantisation.run(
            seeds, first_seed=seed, quick=quick, parity=parity, stage=stderr_console().print
        )
        quantisation.write(table, output)
        emit(table, as_json, quantisation.render)
        return quantisation.require_equal(table)
    options = BenchOptions(encoder, profile, seeds, seed, quick, parity)
    result = run_bench(task, options, output, stderr_console().print)
    emit(result.report, as_json, render)
    if result.certificate is not None:
        result.certificate.require_equal(str(output))
    return None


def render(report: Mapping[str, Any]) -> str:
    """Parity line, recall table and where the report lies."""
    lines = []
    if report["parity"]:
        from snn_deploy.cli.parity import render as render_parity

        lines += [render_parity(report["parity"]), ""]
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
