"""Reports: report.json as data, report.html as one file with its pictures inside."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from snn_deploy.files import atomic_write


def write_report(folder: Path, report: Mapping[str, Any], pictures: Mapping[str, str]) -> Path:
    """Write report.json and report.html into ``folder``; returns the path of the page.

    pictures: title -> SVG text.
    """
    import jinja2

    with atomic_write(folder / "report.json") as temporary:
        temporary.write_text(json.dumps(report, indent=2, allow_nan=False) + "\n", encoding="utf-8")
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("snn_deploy.benchmarks", "."),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["percent"] = lambda value: f"{100 * value:.1f} %"
    page = environment.get_template("report.html.j2").render(report=report, pictures=pictures)
    with atomic_write(folder / "report.html") as temporary:
        temporary.write_text(page, encoding="utf-8")
    return folder / "report.html"
