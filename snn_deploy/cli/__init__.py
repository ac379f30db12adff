"""The command line: one small file a verb, no logic.

A verb is a module of this folder that defines a function of its own name, or an ``app`` (a Typer group of
several commands). It is found by reading its source, not by importing it: ``snn-deploy --help`` costs no
more than Typer itself, and to add a verb is to add a file. The first line of the module's docstring is its
line in the help. The module is imported when its verb is called.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import Annotated, NoReturn

import typer

from snn_deploy import __version__
from snn_deploy.cli._verbs import READER_GONE, LazyVerbs, add_verbs
from snn_deploy.errors import SnnDeployError

PROGRAM = "snn-deploy"
INTERRUPTED = 128 + 2  # as a shell reports a process that SIGINT ended


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"{PROGRAM} {__version__}")
        raise typer.Exit()


def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version.")
    ] = False,
    verbose: Annotated[bool, typer.Option("--verbose", help="Log what is done, on stderr.")] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
) -> None:
    """Trained spiking networks to Loihi integers, checked spike by spike against Lava."""
    import logging

    logging.basicConfig(
        level=logging.INFO if verbose else logging.WARNING,
        format="%(levelname)s %(name)s: %(message)s",
        stream=sys.stderr,
    )


def build_app() -> typer.Typer:
    """The Typer application, with every verb of this folder."""
    app = typer.Typer(
        name=PROGRAM,
        cls=LazyVerbs,
        callback=_root,
        add_completion=False,
        no_args_is_help=True,
        rich_markup_mode=None,  # plain help: half the start-up time is rich
        pretty_exceptions_enable=False,
    )
    add_verbs(app)
    return app


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run one verb and end the process with the exit code of DESIGN.md (Contracts of the command line).

    ``--debug`` is taken wherever it stands before ``--``, so that it can be added to the end of a line.
    """
    arguments, debug = _take_debug(sys.argv[1:] if arguments is None else arguments)
    try:
        code = _run(arguments)
        sys.stdout.flush()
    except BrokenPipeError:
        # What is left in the buffer has no reader; the interpreter must not try it again at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = READER_GONE
    except KeyboardInterrupt:
        code = INTERRUPTED
    except Exception as error:
        if debug:
            raise
        code = _report(error)
    sys.exit(code)


def _take_debug(arguments: Sequence[str]) -> tuple[list[str], bool]:
    """The arguments without ``--debug``, and whether it was among them."""
    end = arguments.index("--") if "--" in arguments else len(arguments)
    options = [argument for argument in arguments[:end] if argument != "--debug"]
    return [*options, *arguments[end:]], len(options) < end


def _run(arguments: Sequence[str]) -> int:
    """Let Typer parse and call the verb; its own exits (help, usage errors) come back as codes."""
    try:
        typer.main.get_command(build_app()).main(args=list(arguments), prog_name=PROGRAM)
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    return 0


def _report(error: Exception) -> int:
    """Say on stderr what went wrong, one line a violation, and return the exit code."""
    from snn_deploy.cli.output import stderr_console

    console = stderr_console()
    if isinstance(error, SnnDeployError):
        for line in str(error).splitlines():
            console.print(f"error: {line}", soft_wrap=True)
        return error.exit_code
    message = " ".join(f"{type(error).__name__}: {error}".split())
    console.print(f"unexpected error: {message} (add --debug for the traceback)", soft_wrap=True)
    return 1
