"""The frame of the command line: finding verbs, exit codes, and what goes to stdout and to stderr."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

import snn_deploy
from snn_deploy import cli, errors
from snn_deploy.cli._verbs import find_verbs

# A verb for the tests: it is found, listed, imported and called as the real ones are.
TRIAL = '''
"""Do as the test asks.

More on it.
"""

from typing import Annotated

import typer

from snn_deploy import errors
from snn_deploy.cli.output import JsonOption, emit, progress

IMPORTED = True


def trial(what: str, as_json: JsonOption = False, count: Annotated[int, typer.Option()] = 1) -> None:
    """Raise ``what``, or answer."""
    if what == "interrupt":
        raise KeyboardInterrupt
    if what == "several":
        raise errors.DoesNotFit([errors.Violation("too [many]", "a"), errors.Violation("too wide", "b")])
    if hasattr(errors, what):
        raise getattr(errors, what)("no such [thing]", where="layer 1", found=3, allowed="1 to 2")
    if what == "bug":
        raise ZeroDivisionError("first line\\nsecond line")
    with progress("working", total=count) as advance:
        advance(1)
    if what == "flood":
        emit({"lines": "x" * 10**6}, as_json, lambda result: result["lines"])
    emit({"count": count}, as_json, lambda result: f"count is [{result['count']}]")
'''
GROUP = '''
"""Two commands in one verb."""

import typer

app = typer.Typer()


@app.command()
def first() -> None:
    """The first."""
    typer.echo("first ran")


@app.command()
def second() -> None:
    """The second."""
'''


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder of verbs: ``trial``, ``group-of-two``, and two modules that are none."""
    (tmp_path / "trial.py").write_text(TRIAL.lstrip())
    (tmp_path / "group_of_two.py").write_text(GROUP.lstrip())
    (tmp_path / "helper.py").write_text('"""Not a verb."""\n\ndef other() -> None: ...\n')
    (tmp_path / "_hidden.py").write_text('"""Not a verb."""\n\ndef _hidden() -> None: ...\n')
    return tmp_path


@pytest.fixture
def command(folder: Path) -> list[str]:
    """The command line in a process of its own, with the verbs of ``folder`` in place of ours."""
    start = f"""
        import sys
        from functools import partial
        from pathlib import Path
        from snn_deploy import cli
        from snn_deploy.cli import _verbs
        cli.__path__.insert(0, {str(folder)!r})
        _verbs.find_verbs = partial(_verbs.find_verbs, Path({str(folder)!r}))
        cli.main()
    """
    return [sys.executable, "-c", textwrap.dedent(start)]


Call = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def call(command: list[str]) -> Call:
    environment = {**os.environ, "PYTHONPATH": str(Path(snn_deploy.__file__).parent.parent), "COLUMNS": "80"}

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*command, *arguments], capture_output=True, text=True, env=environment, timeout=60, check=False
        )

    return run


def test_verbs_are_found_by_reading_them(folder: Path) -> None:
    assert list(find_verbs(folder)) == [
        ("group-of-two", "Two commands in one verb."),
        ("trial", "Do as the test asks."),
    ]
    assert not [name for name in sys.modules if name.endswith(".trial")]


def test_each_verb_of_the_package_has_a_help_line() -> None:
    assert [name for name, line in find_verbs() if not line] == []


def test_help_lists_verbs_with_their_help_lines(call: Call) -> None:
    done = call("--help")
    assert done.returncode == 0
    listed = [line.split(maxsplit=1) for line in done.stdout.partition("Commands:")[2].splitlines() if line]
    assert listed == [["group-of-two", "Two commands in one verb."], ["trial", "Do as the test asks."]]


def test_a_verb_and_a_group_show_their_own_help(call: Call) -> None:
    verb, group = call("trial", "--help"), call("group-of-two", "--help")
    assert (verb.returncode, group.returncode) == (0, 0)
    assert "Usage: snn-deploy trial [OPTIONS]" in verb.stdout
    assert "--json" in verb.stdout
    assert "second" in group.stdout
    assert call("group-of-two", "first").stdout == "first ran\n"


def test_version(call: Call) -> None:
    done = call("--version")
    assert (done.returncode, done.stdout, done.stderr) == (0, f"snn-deploy {snn_deploy.__version__}\n", "")


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("SnnDeployError", 1),
        ("UsageError", 2),
        ("ModelNotSupported", 3),
        ("DoesNotFit", 4),
        ("BackendUnavailable", 5),
        ("VerificationMismatch", 6),
        ("UnsafeFile", 7),
    ],
)
def test_each_error_has_its_exit_code_and_no_traceback(call: Call, name: str, code: int) -> None:
    assert getattr(errors, name).exit_code == code
    done = call("trial", name, "--json")
    assert (done.returncode, done.stdout) == (code, "")
    assert done.stderr == "error: layer 1: no such [thing]; found 3; allowed 1 to 2\n"


def test_all_violations_are_shown(call: Call) -> None:
    done = call("trial", "several")
    assert done.returncode == 4
    assert done.stderr == "error: a: too [many]\nerror: b: too wide\n"


def test_an_unexpected_error_is_one_line(call: Call) -> None:
    done = call("trial", "bug")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        "unexpected error: ZeroDivisionError: first line second line (add --debug for the traceback)\n"
    )


@pytest.mark.parametrize("arguments", [("--debug", "trial", "bug"), ("trial", "bug", "--debug")])
def test_debug_shows_the_traceback_wherever_it_stands(call: Call, arguments: tuple[str, ...]) -> None:
    done = call(*arguments)
    assert done.returncode == 1
    assert "Traceback" in done.stderr
    assert "trial.py" in done.stderr


def test_debug_after_two_dashes_is_an_argument(call: Call) -> None:
    done = call("trial", "--", "--debug")
    assert (done.returncode, done.stdout) == (0, "count is [1]\n")


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("no-such-verb",),
        ("trial",),
        ("trial", "x", "--count", "many"),
        ("trial", "x", "--no-such-option"),
    ],
)
def test_usage_errors_end_with_2_and_say_nothing_on_stdout(call: Call, arguments: tuple[str, ...]) -> None:
    done = call(*arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert "Usage: snn-deploy" in done.stderr


def test_an_interrupt_ends_with_130(call: Call) -> None:
    done = call("trial", "interrupt")
    assert (done.returncode, done.stdout) == (130, "")
    assert "Traceback" not in done.stderr


def test_json_is_one_object_and_nothing_else(call: Call) -> None:
    done = call("trial", "answer", "--json", "--count", "3")
    assert done.returncode == 0
    assert json.loads(done.stdout) == {"count": 3}
    assert done.stderr == ""  # progress is off where stderr is no terminal


def test_text_is_printed_as_it_is(call: Call) -> None:
    assert call("trial", "answer").stdout == "count is [1]\n"


@pytest.mark.parametrize("as_json", [[], ["--json"]])
def test_a_reader_that_goes_away_is_met_quietly(command: list[str], as_json: list[str]) -> None:
    with subprocess.Popen(
        [*command, "trial", "flood", *as_json], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.read(1)
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait(timeout=60) == 141


def test_main_takes_arguments(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        cli.main(["--version"])
    assert end.value.code == 0
    assert capsys.readouterr().out == f"snn-deploy {snn_deploy.__version__}\n"
