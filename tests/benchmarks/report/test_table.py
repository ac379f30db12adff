"""The README's figures are those of the records, and a row says what its record says."""

from __future__ import annotations

import json
import re
from pathlib import Path

from snn_deploy.benchmarks.report.table import table
from tests.benchmarks.records import QUERIES, document, estimate


def test_the_tables_of_the_readme_are_made_from_the_records(root: Path) -> None:
    readme = (root / "README.md").read_text(encoding="utf-8")
    blocks = re.findall(r"<!-- records: (.*?) -->\n((?:\|.*\n)+)", readme)
    assert blocks
    for names, printed in blocks:
        assert printed == table([root / "records" / name for name in names.split()])


def test_a_row_is_about_the_main_metric_of_the_first_query(tmp_path: Path) -> None:
    margins = {query: {"pixels": estimate(0.2, 40), "ridge": estimate(0.3, 40)} for query in QUERIES}
    (tmp_path / "report.json").write_text(
        json.dumps(document(0.5, 1234.0, margins=margins)), encoding="utf-8"
    )
    cells = [cell.strip() for cell in table([tmp_path]).splitlines()[2].strip("|").split("|")]
    assert cells == [
        "emoji-captions, lif", "recall@1", "50.0 [45.0, 55.0]", "-1.0 [-6.0, +4.0]", "pixels 30.0",
        "+20.0 [+15.0, +25.0]", "2.5", "5", "1,234", "2",
    ]  # fmt: skip
