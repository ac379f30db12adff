"""Say which kernel the engine uses, whether Lava works on this machine, and what is missing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import typer

from snn_deploy.cli.output import JsonOption, emit


def doctor(as_json: JsonOption = False) -> None:
    """Check Lava: interpreter, a run of two neurons, shared memory, left-overs. Exit code 5 if it fails."""
    import platform
    from dataclasses import asdict

    from snn_deploy import __version__
    from snn_deploy.deploy import backends
    from snn_deploy.deploy.lava.health import explain
    from snn_deploy.engine.fixed import kernel
    from snn_deploy.errors import BackendUnavailable

    health = explain()
    choice = kernel.choose()
    found = {
        "snn_deploy": __version__,
        "python": platform.python_version(),
        "engine": {"kernel": choice.name, "reason": choice.reason, "kernels": kernel.names()},
        "backends": {name: asdict(backends.get(name).availability()) for name in backends.names()},
        "lava": asdict(health),
    }
    emit(found, as_json, _render)
    if not health.works:
        raise typer.Exit(BackendUnavailable.exit_code)


def _render(result: Mapping[str, Any]) -> str:
    lava = result["lava"]
    versions = ", ".join(f"{name} {version}" for name, version in lava["versions"].items())
    lines = [
        f"snn-deploy {result['snn_deploy']} on Python {result['python']}",
        f"engine: {result['engine']['kernel']} kernel, {result['engine']['reason']}",
        *(
            f"backend {name}: {'available' if found['available'] else 'not available'}, {found['reason']}"
            for name, found in result["backends"].items()
        ),
        f"Lava's interpreter: {lava['interpreter'] or 'none'} ({lava['chosen_by']})",
        f"  holds: {versions or 'nothing known'}",
        f"shared memory free: {lava['shared_memory_free'] / 2**20:.0f} MiB",
        f"left-overs of killed runs: {', '.join(lava['leftovers']) or 'none'}",
    ]
    if lava["works"]:
        lines.append(f"Lava works: two neurons spiked as expected, {lava['seconds']:.1f} s start to end")
    else:
        lines.append(f"Lava does not work: {lava['problem']}")
        lines.append(lava["remedy"])
    return "\n".join(lines)
