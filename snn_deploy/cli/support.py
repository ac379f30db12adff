"""List what can be converted: every NIR primitive, who writes it, what runs it; and layers of .net files."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from snn_deploy.cli.output import JsonOption, emit


def support(as_json: JsonOption = False) -> None:
    """Print what modules and exporters of frameworks become, what runs it, and the layers of .net files."""
    from dataclasses import asdict

    from snn_deploy.convert.frontends.quirks import QUIRKS
    from snn_deploy.convert.support import frameworks, matrix, net_layers
    from snn_deploy.deploy import backends

    engines = backends.certified()
    result = {
        "frameworks": frameworks(),
        "engines": engines,
        "primitives": [asdict(row) for row in matrix(engines)],
        "net_layers": [asdict(row) for row in net_layers()],
        "quirks": [
            {key: getattr(quirk, key) for key in ("name", "framework", "version", "outcome", "what")}
            for quirk in QUIRKS
        ],
    }
    emit(result, as_json, _render)


def _render(result: Mapping[str, Any]) -> str:
    parts = (_primitives, _modules, _exporters, _quirks, _net_layers)
    return "\n\n".join("\n".join(part(result)) for part in parts)


def _quirks(result: Mapping[str, Any]) -> list[str]:
    lines = ["What exporters' files say differently from what their networks do, and what becomes of it:"]
    return lines + [
        f"  {row['outcome']:<8} {row['what']} ({row['framework']} {row['version']})"
        for row in result["quirks"]
    ]


def _primitives(result: Mapping[str, Any]) -> list[str]:
    columns = (*result["frameworks"], *result["engines"])
    lines = [f"{'primitive':<10}  " + "  ".join(f"{column:<7}" for column in columns) + "  note"]
    for row in result["primitives"]:
        has = {**row["exporters"], **dict.fromkeys(row["engines"], "yes")}
        marks = "  ".join(f"{has.get(column, '-'):<{max(7, len(column))}}" for column in columns)
        lines.append(f"{row['primitive']:<10}  {marks}  {row['note']}".rstrip())
    return lines


def _modules(result: Mapping[str, Any]) -> list[str]:
    lines = [
        "snn_deploy.from_torch gives a framework's own spikes (exact), or refuses by name; then the share of "
        "spikes is told in which the nearest thing differs:"
    ]
    for name, entry in result["frameworks"].items():
        if entry["modules"]:
            lines.append(f"{name} ({entry['package']})")
        for one in entry["modules"].values():
            differs = f"; {one['mismatch']:.1%} of spikes differ" if one["mismatch"] else ""
            lines.append(f"  {one['outcome']:<8} {one['note']}{differs}")
    return lines


def _exporters(result: Mapping[str, Any]) -> list[str]:
    lines = [
        "A graph of a framework's exporter gives that framework's spikes (exact), or its file says something "
        "else than the framework does (differs, with a warning), or it is refused by name:"
    ]
    for name, entry in result["frameworks"].items():
        if not (entry["graphs"] or entry["note"]):
            continue
        lines.append(f"{name} ({entry['package']}){': ' if entry['note'] else ''}{entry['note']}")
        lines += [
            f"  {graph:<12} {one['outcome']:<8} {one['note']}".rstrip()
            for graph, one in entry["graphs"].items()
        ]
    return lines


def _net_layers(result: Mapping[str, Any]) -> list[str]:
    lines = [f"{'.net layer':<10}  read  written  what it is"]
    for row in result["net_layers"]:
        marks = [("yes" if row[key] else "-") for key in ("reads", "writes")]
        lines.append(f"{row['layer']:<10}  {marks[0]:<4}  {marks[1]:<7}  {row['note']}".rstrip())
    return lines
