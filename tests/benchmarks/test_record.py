"""The record: its published schema is current, what is written is read, and every fault is named."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from snn_deploy.benchmarks import record
from snn_deploy.errors import UsageError
from tests.benchmarks.records import QUERIES, document


def test_the_published_schema_is_current() -> None:
    assert record.SCHEMA_FILE.read_text(encoding="utf-8") == record.schema(), (
        "run python -m snn_deploy.benchmarks.record"
    )


def test_a_record_is_read_as_it_was_written(tmp_path: Path) -> None:
    made = record.Record.model_validate(document(0.4, 1e6))
    record.write(made, tmp_path)
    assert record.read(tmp_path) == made
    assert json.loads((tmp_path / record.FILE).read_text())["metrics"] == document(0.4, 1e6)["metrics"]
    assert (made.main_metric, made.queries) == ("recall@1", QUERIES)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"schema_version": 2}, "allowed version 1"),
        ({"schema_version": 0, "task": "quantisation"}, "found quantisation, version 0"),
        ({"seeds": "all"}, "seeds"),
        ({"unheard": 1}, "unheard"),
    ],
)
def test_a_foreign_or_damaged_record_is_refused(tmp_path: Path, change: dict[str, Any], said: str) -> None:
    (tmp_path / record.FILE).write_text(json.dumps(document(0.4, 1e6, **change)), encoding="utf-8")
    with pytest.raises(UsageError) as caught:
        record.read(tmp_path)
    assert said in str(caught.value)


def test_figures_that_are_no_numbers_are_refused(tmp_path: Path) -> None:
    text = json.dumps(document(float("nan"), 1e6))
    (tmp_path / record.FILE).write_text(text, encoding="utf-8")
    with pytest.raises(UsageError, match="finite"):
        record.read(tmp_path)
