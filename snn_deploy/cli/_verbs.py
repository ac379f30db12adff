"""Finds the verbs of the command line without importing them."""

from __future__ import annotations

import ast
import importlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer
from typer.core import TyperGroup

READER_GONE = 128 + 13  # as a shell reports a process that SIGPIPE ended


class LazyVerbs(TyperGroup):
    """A Typer group that holds a stand-in for each verb and imports the verb when it is called."""

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[str | None, Any, list[str]]:
        """Find the verb that ``args`` begins with, and load it."""
        name, stand_in, rest = super().resolve_command(ctx, args)
        return name, load_verb(name) if name and stand_in else stand_in, rest

    def invoke(self, ctx: Any) -> Any:
        """Run the verb; a reader that went away ends it quietly, as SIGPIPE would."""
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            # Typer would make it exit code 1, which says "unexpected" here.
            raise typer.Exit(READER_GONE) from None


def find_verbs(folder: Path = Path(__file__).parent) -> Iterator[tuple[str, str]]:
    """Yield (name, help line) of each verb module in ``folder``, in the order of their names."""
    for path in sorted(folder.glob("[!_]*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"), filename=str(path))
        if any(_defines_verb(statement, path.stem) for statement in tree.body):
            docstring = ast.get_docstring(tree) or ""
            yield path.stem.replace("_", "-"), docstring.partition("\n")[0]


def _defines_verb(statement: ast.stmt, name: str) -> bool:
    """Whether a module's statement defines its verb: a function of the module's name, or ``app``."""
    if isinstance(statement, ast.FunctionDef):
        return statement.name == name
    targets: list[ast.expr] = []
    if isinstance(statement, ast.Assign):
        targets = statement.targets
    elif isinstance(statement, ast.AnnAssign):
        targets = [statement.target]
    return any(isinstance(target, ast.Name) and target.id == "app" for target in targets)


def add_verbs(app: typer.Typer) -> None:
    """Register a stand-in, name and help line, for each verb."""
    for name, help_line in find_verbs():
        app.command(name, help=help_line)(_stand_in)


def _stand_in() -> None:
    """What the help lists; :meth:`LazyVerbs.resolve_command` puts the verb in its place."""


def load_verb(name: str) -> Any:
    """Import the verb ``name`` and return its command (or its group of commands)."""
    stem = name.replace("-", "_")
    module = importlib.import_module(f"snn_deploy.cli.{stem}")
    app: typer.Typer | None = getattr(module, "app", None)
    if app is not None:
        app.rich_markup_mode = None
        return typer.main.get_group(app)
    function = getattr(module, stem)
    single = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)
    single.command(name, help=function.__doc__ or module.__doc__)(function)
    return typer.main.get_command(single)
