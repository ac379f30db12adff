"""List the backends, and whether each can run here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from snn_deploy.cli.output import JsonOption, emit


def backends(as_json: JsonOption = False) -> None:
    """List the engines that run an artifact, with what they found or what they miss."""
    from snn_deploy.deploy.backends import get, kind, names

    rows = []
    for name in names():
        found = get(name).availability()
        rows.append(
            {
                "name": name,
                "available": found.available,
                "exact": kind(name).exact,
                "claim": kind(name).claim,
                "reason": found.reason,
            }
        )
    emit({"backends": rows}, as_json, _render)


def _render(result: Mapping[str, Any]) -> str:
    return "\n".join(
        f"{row['name']:<8} {'yes' if row['available'] else 'no':<4} {row['reason']}"
        for row in result["backends"]
    )
