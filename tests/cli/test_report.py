"""The verb report: it writes where it is told, and says one error a folder."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from snn_deploy import cli
from tests.benchmarks.records import document


def call(*arguments: str) -> int:
    with pytest.raises(SystemExit) as end:
        cli.main(arguments)
    assert isinstance(end.value.code, int)
    return end.value.code


def test_report_compares_folders(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name, recall in (("a", 0.3), ("b", 0.6)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "report.json").write_text(json.dumps(document(recall, 1e6)), encoding="utf-8")
    folders = [str(tmp_path / name) for name in "ab"]
    out = tmp_path / "out"
    assert call("report", *folders, "-o", str(out), "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert [run["run"] for run in found["runs"]] == folders
    assert Path(found["page"]) == out / "comparison.html"
    assert call("report", *folders, "-o", str(out)) == 0
    assert "60.0 %" in capsys.readouterr().out


def test_report_of_a_folder_without_a_run_is_a_usage_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call("report", str(tmp_path)) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert "no such report of a benchmark run" in said.err
