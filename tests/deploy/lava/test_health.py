"""doctor's view of Lava, and the interpreter that it picks."""

from __future__ import annotations

import stat
import sys
from pathlib import Path

import lava_nets as nets
import pytest

from snn_deploy.deploy.lava import interpreter
from snn_deploy.deploy.lava.health import EXPECTED, explain, two_neurons


def test_two_neurons_are_as_the_equations_say() -> None:
    import numpy as np

    ones = {"input": np.ones((1, len(EXPECTED[0]), 1), dtype=np.uint8)}
    assert nets.reference(two_neurons(), ones)["neurons"][0].T.tolist() == [list(row) for row in EXPECTED]


def test_lava_works_here() -> None:
    health = explain()
    assert health.works, health.problem
    assert health.versions["lava-nc"] == "0.10.0" and health.shared_memory_free > 0
    assert health.leftovers == ()


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        ('{"python": "3.11.4", "lava-nc": "0.10.0", "numpy": "1", "scipy": "1"}', "Python 3.11.4, not 3.10"),
        ('{"python": "3.10.13", "numpy": "1"}', "lacks lava-nc, scipy"),
        ("", "did not answer as a Python"),
    ],
)
def test_an_unfit_interpreter_is_explained(
    answer: str, problem: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake = tmp_path / "python"
    fake.write_text(f"#!/bin/sh\ncat <<'END'\n{answer}\nEND\n", encoding="utf-8")
    fake.chmod(fake.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv(interpreter.VARIABLE, str(fake))
    health = explain()
    assert not health.works and health.chosen_by == interpreter.VARIABLE
    assert problem in health.problem and interpreter.VARIABLE in health.remedy


def test_a_missing_interpreter_is_explained(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(interpreter.VARIABLE, "/nowhere/python3.10")
    assert "cannot be started" in explain().problem


def test_another_python_needs_the_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(interpreter.VARIABLE, raising=False)
    monkeypatch.setattr(sys, "version_info", (3, 12, 1, "final", 0))
    found = interpreter.find_interpreter()
    assert "accepts Python 3.10 only" in found.problem and interpreter.VARIABLE in found.remedy


def test_another_interpreter_does_not_see_our_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", "/ours")
    assert "PYTHONPATH" not in interpreter.environment("/other/python")
    assert interpreter.environment(sys.executable)["PYTHONPATH"] == "/ours"
