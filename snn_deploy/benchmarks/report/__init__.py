"""Pages: one HTML file each, with its pictures inside, made from a record and nothing else."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from snn_deploy.files import atomic_write


def render_page(path: Path, template: str, report: Any, pictures: Mapping[str, str]) -> Path:
    """Write a page; returns its path.

    template: one of this folder; it reads ``report`` and ``pictures`` (title -> SVG text).
    """
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("snn_deploy.benchmarks.report", "."),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["percent"] = lambda value: f"{100 * value:.1f} %"
    environment.filters["short"] = short
    text = environment.get_template(template).render(report=report, pictures=pictures)
    with atomic_write(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
    return path


def write_json(path: Path, document: Mapping[str, Any]) -> None:
    """Write a document whole or not at all."""
    with atomic_write(path) as temporary:
        temporary.write_text(json.dumps(document, indent=2, allow_nan=False) + "\n", encoding="utf-8")


def short(value: float) -> str:
    """Three figures and a letter: 63801 as 63.8k."""
    rounded = float(f"{value:.3g}")
    for letter, unit in (("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if abs(rounded) >= unit:
            return f"{rounded / unit:g}{letter}"
    return f"{rounded:g}"
