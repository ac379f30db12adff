"""The verb tasks lists what bench runs."""

from __future__ import annotations

import json

import pytest

from snn_deploy import cli
from snn_deploy.benchmarks import registry


def call(*arguments: str) -> int:
    with pytest.raises(SystemExit) as end:
        cli.main(arguments)
    assert isinstance(end.value.code, int)
    return end.value.code


def test_tasks_and_studies_have_a_line_each(capsys: pytest.CaptureFixture[str]) -> None:
    assert call("tasks", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert [row["name"] for row in found["tasks"]] == list(registry.tasks())
    assert [row["name"] for row in found["studies"]] == list(registry.studies())
    assert {"speed", "quantisation"} <= set(registry.studies())
    assert call("tasks") == 0
    lines = capsys.readouterr().out.splitlines()
    for row in (*found["tasks"], *found["studies"]):
        assert any(row["name"] in line and row["about"] in line for line in lines)


def test_an_unknown_task_of_bench_lists_studies_too(capsys: pytest.CaptureFixture[str]) -> None:
    assert call("bench", "sped") == 2
    said = " ".join(capsys.readouterr().err.split())
    assert "unknown task" in said
    assert all(name in said for name in (*registry.tasks(), *registry.studies()))
