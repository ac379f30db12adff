"""Show what is inside an artifact: layers, integers, sizes, provenance."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from snn_deploy.cli.output import JsonOption, emit


def inspect(
    artifact: Annotated[Path, typer.Argument(help="FILE.snn")],
    processes: Annotated[
        bool, typer.Option("--processes", help="Print the Lava process graph and what is known on hardware.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Print populations, projections, integers and provenance of an artifact."""
    from snn_deploy.convert.artifact import Artifact
    from snn_deploy.deploy.summary import describe

    model = Artifact.load(artifact)
    if processes:
        from snn_deploy.deploy.lava.listing import process_listing

        emit({"processes": process_listing(model.network)}, as_json, _render_processes)
    else:
        emit(describe(model), as_json, _render)


def layer_lines(result: Mapping[str, Any]) -> list[str]:
    """The populations and projections of an artifact, a line each."""
    lines = [
        f"{result['neurons']} neurons, {result['synapses']} synapses ({result['synapse_entries']} entries in "
        f"planes), profile {result['profile']}"
    ]
    for p in result["populations"]:
        lines.append(
            f"  population {p['name']:<24} {p['neurons']:>6} neurons  "
            f"du {p['du']:>4}  dv {p['dv']:>4}  vth {p['vth']:>6}  depth {p['depth']}"
        )
    for p in result["projections"]:
        lines.append(
            f"  projection {p['name']:<24} {p['source']} -> {p['target']}  {p['kind']} {p['synapse_entries']}"
            f"  {p['weight_bits']} bit x 2^{p['weight_exp']}  {p['sign']}  delay {p['delay']}"
        )
    return lines


def _render_processes(result: Mapping[str, Any]) -> str:
    lines = []
    for process in result["processes"]:
        lines.append(f"{process['kind']:<11} {process['name']} -> {', '.join(process['to']) or 'nothing'}")
        lines.append(f"{'':<11} {', '.join(f'{k} {v}' for k, v in process['parameters'].items())}")
        lines.append(f"{'':<11} hardware: {process['hardware']}")
    return "\n".join(lines)


def _render(result: Mapping[str, Any]) -> str:
    contract = result["contract"]
    lines = layer_lines(result)
    lines.append(
        f"contract   dt {contract['dt']:g} s, reset {contract['reset']}, {contract['initial_state']}"
    )
    lines += [f"{key:<10} {value}" for key, value in result["provenance"].items()]
    lines.append(f"sha256     {result['hashes']['integers']}")
    return "\n".join(lines)
