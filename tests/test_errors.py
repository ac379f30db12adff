"""Errors say what, where, found, allowed and what to do, and show all violations at once."""

from __future__ import annotations

import pytest

from snn_deploy.errors import DoesNotFit, SnnDeployError, UsageError, Violation


def test_a_violation_reads_as_one_sentence_after_the_other() -> None:
    violation = Violation("neurons in one core", "encoder.1", "9000", "1 to 8192", "Split the population.")
    assert str(violation) == (
        "encoder.1: neurons in one core; found 9000; allowed 1 to 8192. Split the population."
    )


def test_empty_parts_are_left_out() -> None:
    assert str(Violation("no input")) == "no input"
    assert str(Violation("no input", remedy="Give one.")) == "no input. Give one."


def test_an_error_takes_the_parts_of_one_violation() -> None:
    error = UsageError("wrong shape", where="x.npz", found=(2, 3), allowed="(samples, steps, 4)")
    assert error.violations == (Violation("wrong shape", "x.npz", "(2, 3)", "(samples, steps, 4)"),)
    assert str(error) == "x.npz: wrong shape; found (2, 3); allowed (samples, steps, 4)"


def test_an_error_shows_all_violations() -> None:
    error = DoesNotFit(iter([Violation("too deep", "a"), Violation("too wide", "b")]))
    assert [violation.where for violation in error.violations] == ["a", "b"]
    assert str(error) == "a: too deep\nb: too wide"


def test_exit_codes_tell_the_classes_apart() -> None:
    classes = SnnDeployError.__subclasses__()
    assert sorted(each.exit_code for each in classes) == [2, 3, 4, 5, 6, 7]
    with pytest.raises(SnnDeployError):
        raise UsageError("x")
