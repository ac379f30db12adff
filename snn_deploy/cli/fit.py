"""Check an artifact against a chip: limits, placement, energy."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from snn_deploy.cli.output import JsonOption, emit

if TYPE_CHECKING:
    from rich.console import RenderableType


def fit(
    artifact: Annotated[Path, typer.Argument(help="FILE.snn")],
    profile: Annotated[
        str | None,
        typer.Option(help="A built-in profile, or the path of your own (.toml); default: the file's own."),
    ] = None,
    spikes_in: Annotated[
        Path | None, typer.Option("--input", metavar="INPUT.npz", help="Count spikes in a run on this input.")
    ] = None,
    rate: Annotated[
        float, typer.Option(min=0.0, max=1.0, help="Without --input: spikes a neuron and step, assumed.")
    ] = 0.05,
    steps: Annotated[int, typer.Option(min=1, help="Without --input: steps an item.")] = 64,
    inherit: Annotated[
        str | None, typer.Option(metavar="NAME", help="Take the energies of another profile, labelled.")
    ] = None,
    chips: Annotated[int | None, typer.Option(min=1, help="At most so many chips.")] = None,
    cores: Annotated[int | None, typer.Option(min=1, help="At most so many cores.")] = None,
    step_seconds: Annotated[
        float | None, typer.Option(min=0.0, help="Length of a step, for the idle power.")
    ] = None,
    anneal: Annotated[bool, typer.Option("--anneal", help="Improve the placement by annealing.")] = False,
    seed: Annotated[int, typer.Option(help="Seed of the annealing.")] = 0,
    picture: Annotated[Path | None, typer.Option(help="Draw the core grid (.png, .pdf, .svg).")] = None,
    as_json: JsonOption = False,
) -> None:
    """Does FILE.snn fit, where does it go, what does it cost. Exit code 4 where it does not fit."""
    from snn_deploy.deploy.fitting import assess_artifact, draw_grid
    from snn_deploy.hw_profiles.assessment import Choices

    choices = Choices(chips=chips, cores=cores, annealed=anneal, seed=seed, step_seconds=step_seconds)
    answer = assess_artifact(
        artifact, profile, choices, spikes_in=spikes_in, rate=rate, steps=steps, inherit=inherit
    )
    if picture is not None:
        draw_grid(answer, picture)
    emit({**answer.as_dict(), "picture": picture}, as_json, _render)
    answer.fit.require()


def _render(result: Mapping[str, Any]) -> RenderableType:
    from rich.console import Group

    verdict = "fits" if result["fits"] else "does not fit"
    board = f" ({result['board']})" if result["board"] else ""
    size = (
        "no capacity stated"
        if result["cores"] is None
        else f"{result['cores']} cores, {result['chips']} chip(s)"
    )
    entries = f"{result['synapses']} synapses ({result['synapse_entries']} entries in planes)"
    head = f"{verdict} {result['profile']}: {size}{board}, {entries}\n"
    return Group(
        head,
        _limits(result),
        "\n" + _layers(result),
        "\n" + _placement(result),
        "\n" + _counts(result),
        _energy(result),
    )


def _limits(result: Mapping[str, Any]) -> RenderableType:
    from rich.table import Table

    table = Table("limit", "use", "bound", "%", "verdict", "where", "way out", box=None, pad_edge=False)
    for row in result["findings"]:
        percent = "" if row["percent"] is None else f"{row['percent']:.1f}"
        verdict = f"{row['verdict']} (soft)" if row["soft"] else row["verdict"]
        way_out = row["remedy"] if row["verdict"] in ("over", "tight") else row["note"]
        bound = "unknown" if row["bound"] is None else f"{row['bound']:g}"
        table.add_row(
            row["limit"],
            "endless" if row["used"] is None else f"{row['used']:g}",
            bound,
            percent,
            verdict,
            row["where"],
            way_out,
        )
    return table


def _layers(result: Mapping[str, Any]) -> str:
    lines = ["synapse memory, bit (the smaller form is taken)"]
    for row in result["layers"]:
        bits = row["synapse_bits"]
        lines.append(
            f"  {row['name']:<24} {row['neurons']:>7} neurons on {row['cores']:>4} cores   "
            f"dense {bits['dense']:>11}  sparse {bits['sparse']:>11}  taken {bits['chosen']:>11}"
        )
    return "\n".join(lines)


def _placement(result: Mapping[str, Any]) -> str:
    place = result["placement"]
    if place is None:
        return "placement  unavailable: the profile states no mesh"
    return (
        f"placement  {place['order']}: {place['tiles']} tiles, {place['hops_per_step']:.4g} hops a step "
        f"(at random {place['hops_per_step_at_random']:.4g}), "
        f"{place['packets_per_spike']:.3g} packets a spike, {place['hops_per_packet']:.3g} hops a packet"
    )


def _counts(result: Mapping[str, Any]) -> str:
    item, counts = result["counts"]["per_item"], result["counts"]
    latency = result["latency"]["item"]
    seconds = (
        latency if isinstance(latency, str) else f"{latency[1]:.3g} s [{latency[0]:.3g}, {latency[2]:.3g}]"
    )
    events = (
        f"{item['spikes']:.4g} spikes",
        f"{item['synops']:.4g} synaptic operations ({item['synops_stored']:.4g} stored)",
        f"{item['neuron_updates']:.4g} neuron updates",
        f"{item['packets'] + item['input_packets']:.4g} packets",
    )
    return "\n".join(
        [
            f"an item    {counts['steps']} steps, {', '.join(events)}",
            f"           {counts['origin']}",
            f"latency    {seconds} an item; not known: {', '.join(result['latency']['unknown'])}",
        ]
    )


def _energy(result: Mapping[str, Any]) -> RenderableType:
    from rich.table import Table

    report = result["energy"]
    samples = result["counts"]["samples"]
    table = Table(
        "energy an item (proxy)",
        "low J",
        "nominal J",
        "high J",
        "status",
        "source",
        "label",
        box=None,
        pad_edge=False,
    )

    def row(name: str, joules: Any, *rest: str) -> None:
        shown = [joules, "", ""] if isinstance(joules, str) else [f"{v:.3g}" for v in joules.values()]
        table.add_row(name, *shown, *rest)

    for term in report["terms"]:
        joules = term["joules"]
        scaled = joules if isinstance(joules, str) else {k: v / samples for k, v in joules.items()}
        row(term["name"], scaled, ", ".join(term["statuses"]), ", ".join(term["sources"]), term["label"])
    for name, joules in report["per_item"].items():
        row(f"= {name}", joules, "", "", report["label"])
    for name, joules in report["by_table"].items():
        row(f"  {name} alone", {k: v / samples for k, v in joules.items()}, "", "", report["label"])
    reference = result["reference_energy"]
    row("this network", reference["per_item"]["marginal"], "", "", f"under {reference['profile']}")
    for baseline in result["baselines"]:
        row(f"  {baseline['name']}", baseline["joules"], "", "", f"under {baseline['profile']}")
    return table
