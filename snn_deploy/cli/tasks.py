"""List the benchmark tasks and studies, one line each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from snn_deploy.cli.output import JsonOption, emit

if TYPE_CHECKING:
    from rich.console import RenderableType


def tasks(as_json: JsonOption = False) -> None:
    """List what ``bench`` runs: tasks, which ``train`` takes too, and studies."""
    from snn_deploy.benchmarks import registry

    found = {
        "tasks": [{"name": n, "about": registry.about(path)} for n, path in registry.tasks().items()],
        "studies": [{"name": n, "about": registry.about(path)} for n, path in registry.studies().items()],
    }
    emit(found, as_json, _table)


def _table(found: Mapping[str, Any]) -> RenderableType:
    from rich.table import Table

    table = Table("kind", "name", "about", box=None)
    for kind, title in (("tasks", "task"), ("studies", "study")):
        for row in found[kind]:
            table.add_row(title, row["name"], row["about"])
    table.add_row("task", "path/to/task.py", "your own: README.md shows a complete one")
    return table
