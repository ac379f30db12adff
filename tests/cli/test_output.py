"""What verbs print: plain JSON, whole tables, and progress only for a terminal."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console
from rich.table import Table

from snn_deploy.cli import output
from snn_deploy.cli.output import emit, progress


def test_emit_makes_plain_json_of_numpy_and_paths(capsys: pytest.CaptureFixture[str]) -> None:
    result = {"n": np.int32(3), "x": np.float64(0.5), "row": np.arange(3, dtype=np.int8), "path": Path("a/b")}
    emit(result, True, str)
    assert json.loads(capsys.readouterr().out) == {"n": 3, "x": 0.5, "row": [0, 1, 2], "path": "a/b"}


@pytest.mark.parametrize(("value", "error"), [(float("nan"), ValueError), (object(), TypeError)])
def test_emit_refuses_what_json_cannot_hold(
    capsys: pytest.CaptureFixture[str], value: object, error: type[Exception]
) -> None:
    with pytest.raises(error):
        emit({"good": 1, "bad": value}, True, str)
    assert capsys.readouterr().out == ""


def test_a_wide_table_goes_whole_into_a_pipe(capsys: pytest.CaptureFixture[str]) -> None:
    def render(_: object) -> Table:
        table = Table("what", "found")
        table.add_row("a" * 90, "[b]" * 20)
        return table

    emit({}, False, render)
    text = capsys.readouterr().out
    assert "a" * 90 in text
    assert "[b]" * 20 in text


@pytest.mark.parametrize("terminal", [True, False])
def test_progress_is_drawn_for_a_terminal_only(monkeypatch: pytest.MonkeyPatch, terminal: bool) -> None:
    stream = io.StringIO()
    monkeypatch.setattr(output, "stderr_console", lambda: Console(file=stream, force_terminal=terminal))
    with progress("training", total=4) as advance:
        advance(1)
        advance(2.5)
    assert ("training" in stream.getvalue()) == terminal
