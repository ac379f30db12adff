"""List the hardware profiles, or show one with units and sources."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from snn_deploy.cli.output import JsonOption, emit

if TYPE_CHECKING:
    from rich.console import RenderableType


def profiles(
    name: Annotated[
        str | None, typer.Argument(help="A built-in profile, or the path of your own (.toml).")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """List the hardware profiles, or show every number of one with its unit, status and source."""
    from snn_deploy.hw_profiles import load, names

    if name is None:
        rows = [load(known) for known in names()]
        listed = [
            {
                "name": row.name,
                "title": row.title,
                "role": row.role,
                "energy": "available" if row.energy.available else "unavailable",
                "summary": row.summary,
            }
            for row in rows
        ]
        emit({"profiles": listed}, as_json, _render_list)
        return
    emit(load(name).model_dump(by_alias=True, exclude_none=True), as_json, _render_one)


def _render_list(result: Mapping[str, Any]) -> RenderableType:
    from rich.table import Table

    table = Table("name", "role", "energy", "what it is", box=None, pad_edge=False)
    for row in result["profiles"]:
        table.add_row(row["name"], row["role"], row["energy"], row["summary"])
    return table


def _render_one(result: Mapping[str, Any]) -> RenderableType:
    from rich.console import Group
    from rich.table import Table

    table = Table("entry", "value", "unit", "status", "source", "note", box=None, pad_edge=False)
    for path, entry in _entries(result, ""):
        table.add_row(
            path,
            _value(entry),
            entry["unit"],
            entry["status"],
            ", ".join(entry["source"]),
            entry.get("note", ""),
        )
    sources = "\n".join(f"{key}: {text}" for key, text in result["sources"].items())
    return Group(
        f"{result['title']} ({result['role']}): {result['summary']}\n", table, f"\nSources\n{sources}"
    )


def _entries(node: Any, path: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Every number of a profile with its path."""
    if isinstance(node, Mapping):
        if {"unit", "status", "source"} <= set(node):
            yield path, node
            return
        for key, value in node.items():
            yield from _entries(value, f"{path}.{key}" if path else str(key))
    elif isinstance(node, list | tuple):
        for index, value in enumerate(node):
            yield from _entries(value, f"{path}[{index}]")


def _value(entry: Mapping[str, Any]) -> str:
    if "values" in entry:
        return ", ".join(map(str, entry["values"]))
    if "value" not in entry:
        return f"{entry['low']} to {entry['high']}" if "low" in entry else "unavailable"
    text = f"{entry['value']:g}" if isinstance(entry["value"], float) else str(entry["value"])
    ends = [entry.get("low"), entry.get("high")]
    return text if ends == [None, None] else f"{text} [{ends[0]}, {ends[1]}]"
