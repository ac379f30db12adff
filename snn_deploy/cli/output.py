"""What every verb prints: one result on stdout, everything else on stderr."""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import PurePath
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")]

_PIPE_WIDTH = 200  # columns a table may take where no terminal says how many there are


def emit(
    result: Mapping[str, Any], as_json: bool, render: Callable[[Mapping[str, Any]], RenderableType]
) -> None:
    """Print a verb's result on stdout: as one JSON object, or as ``render(result)``, text or a table.

    NumPy scalars, arrays and paths become plain JSON. Raises ValueError for a value that is not a finite
    number and TypeError for one that JSON cannot hold; nothing is printed then.
    """
    if as_json:
        sys.stdout.write(json.dumps(result, allow_nan=False, default=_plain, indent=2) + "\n")
        return
    from rich.console import Console

    width = None if sys.stdout.isatty() else _PIPE_WIDTH
    console = Console(width=width, markup=False, highlight=False)
    with console.capture() as text:  # rich would end the process itself, with 1, on a closed pipe
        console.print(render(result), soft_wrap=True)
    sys.stdout.write(text.get())


def _plain(value: Any) -> Any:
    """A JSON value for what ``json`` does not know (NumPy is recognised without importing it)."""
    if isinstance(value, PurePath):
        return str(value)
    if hasattr(value, "tolist"):
        return value.tolist()
    raise TypeError(f"{type(value).__name__} does not go into JSON")


def stderr_console() -> Console:
    """A console on stderr that prints text as it is, without markup."""
    from rich.console import Console

    return Console(stderr=True, markup=False, highlight=False)


@contextlib.contextmanager
def progress(description: str, total: float | None = None) -> Iterator[Callable[[float], None]]:
    """Show a progress bar on stderr while the block runs; silent when stderr is not a terminal.

    Yields ``advance(amount)``, which moves the bar on. ``total`` None means that the end is not known.
    """
    from rich.progress import Progress

    console = stderr_console()
    with Progress(console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(description, total=total)

        def advance(amount: float = 1) -> None:
            bar.advance(task, amount)

        yield advance
