"""List what can be converted: every NIR primitive, who writes it, and which engines run it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from snn_deploy.cli.output import JsonOption, emit


def support(as_json: JsonOption = False) -> None:
    """Print the matrix of NIR primitives, the frameworks whose exporters write them, and the engines."""
    from dataclasses import asdict

    from snn_deploy.convert.support import ENGINES, FRAMEWORKS, matrix

    rows = [asdict(row) for row in matrix()]
    emit({"frameworks": FRAMEWORKS, "engines": ENGINES, "primitives": rows}, as_json, _render)


def _render(result: Mapping[str, Any]) -> str:
    columns = (*result["frameworks"], *result["engines"])
    lines = [f"{'primitive':<10} " + " ".join(columns) + "  note"]
    for row in result["primitives"]:
        has = (*row["exporters"], *row["engines"])
        marks = " ".join(f"{'yes' if column in has else '-':<{len(column)}}" for column in columns)
        lines.append(f"{row['primitive']:<10} {marks}  {row['note']}".rstrip())
    return "\n".join(lines)
