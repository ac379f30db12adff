"""Reports: report.json as data, report.html as one file with its pictures inside."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from snn_deploy.files import atomic_write


def write_report(
    folder: Path,
    report: Mapping[str, Any],
    pictures: Mapping[str, str],
    *,
    data: str = "report.json",
    page: str = "report.html",
    template: str = "report.html.j2",
) -> Path:
    """Write ``data`` and ``page`` into ``folder``; returns the path of the page.

    pictures: title -> SVG text. template: a template of this folder; it reads ``report`` and ``pictures``.
    """
    import jinja2

    with atomic_write(folder / data) as temporary:
        temporary.write_text(json.dumps(report, indent=2, allow_nan=False) + "\n", encoding="utf-8")
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
    with atomic_write(folder / page) as temporary:
        temporary.write_text(text, encoding="utf-8")
    return folder / page


def short(value: float) -> str:
    """Three figures and a letter: 63801 as 63.8k."""
    rounded = float(f"{value:.3g}")
    for letter, unit in (("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if abs(rounded) >= unit:
            return f"{rounded / unit:g}{letter}"
    return f"{rounded:g}"
