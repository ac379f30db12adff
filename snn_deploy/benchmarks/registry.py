"""Tasks and studies by name: modules of the folders tasks/ and studies/, and a user's own task by its path.

A task is a module, or a package, that defines one class on a base of :mod:`snn_deploy.benchmarks.kinds`; a
study one that defines a function ``study``. Names come from the files and the lines of ``snn-deploy tasks``
from their docstrings, which are read without importing anything.
"""

from __future__ import annotations

import ast
import importlib
import importlib.util
import inspect
import sys
import traceback
from abc import ABCMeta
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from snn_deploy.errors import SnnDeployError, UsageError, Violation
from snn_deploy.files import existing_file

if TYPE_CHECKING:
    from snn_deploy.benchmarks.outcome import BenchOptions, Outcome, Stage
    from snn_deploy.benchmarks.task import Task

_FOLDER = Path(__file__).parent
_README = "README.md (Your own task) shows a complete one."


def tasks() -> dict[str, Path]:
    """Name of each built-in task -> its file."""
    return _modules("tasks")


def studies() -> dict[str, Path]:
    """Name of each study -> its file."""
    return _modules("studies")


def about(path: Path) -> str:
    """The first line of a module's docstring, without its full stop; read, not imported."""
    docstring = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"), filename=str(path))) or ""
    return docstring.partition("\n")[0].rstrip(".")


def load_task(name: str) -> Task:
    """The task of this name, or in this file: ``NAME`` or ``path/to/task.py``.

    Raises UsageError for an unknown name and for a file that does not make one complete task.
    """
    if _is_path(name):
        path = existing_file(name, "task file").resolve()
        with blaming(path):
            return _task_in(_imported(path), path)
    if name not in tasks():
        raise UsageError(
            "unknown task", where="TASK", found=name, allowed=", ".join([*tasks(), "or a path ending in .py"])
        )
    path = tasks()[name]
    return _task_in(importlib.import_module(f"snn_deploy.benchmarks.tasks.{_stem(path)}"), path)


def load_study(name: str) -> Callable[[BenchOptions, Path, Stage], Outcome]:
    """The function ``study`` of the study of this name."""
    module = importlib.import_module(f"snn_deploy.benchmarks.studies.{_stem(studies()[name])}")
    study: Callable[[BenchOptions, Path, Stage], Outcome] = module.study
    return study


def source_of(task: Task) -> Path:
    """The file that a task's class stands in."""
    return Path(inspect.getfile(type(task))).resolve()


@contextmanager
def blaming(path: Path) -> Iterator[None]:
    """Turn what a user's own task file raises into one UsageError that names the file and the line.

    Errors of this package pass: they say themselves what is wrong. A built-in task has no such excuse.
    """
    try:
        yield
    except SnnDeployError:
        raise
    except Exception as error:
        at = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(path)]
        syntax = isinstance(error, SyntaxError) and error.filename == str(path)
        if _FOLDER in path.parents or not (at or syntax):
            raise
        line = error.lineno if isinstance(error, SyntaxError) else at[-1].lineno
        within = "" if syntax or at[-1].name == "<module>" else f" in {at[-1].name}"
        message = " ".join(f"{type(error).__name__}: {error}".split())
        raise UsageError(
            "the task raised an error" if at else "the task is not valid Python",
            where=f"{path}:{line}{within}",
            found=message,
        ) from error


def _modules(folder: str) -> dict[str, Path]:
    found = [*(_FOLDER / folder).glob("[!_]*.py"), *(_FOLDER / folder).glob("[!_]*/__init__.py")]
    return {_stem(path).replace("_", "-"): path for path in sorted(found, key=_stem)}


def _stem(path: Path) -> str:
    return path.parent.name if path.stem == "__init__" else path.stem


def _is_path(name: str) -> bool:
    return name.endswith(".py") or "/" in name or "\\" in name


def _imported(path: Path) -> ModuleType:
    """The module of a file outside the package, run anew; its folder can be imported from."""
    name = f"_own_task_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    if path.suffix != ".py" or spec is None or spec.loader is None:
        raise UsageError("a task is a Python file", where=path, allowed="a path ending in .py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # pydantic and dataclasses look a class's module up by name
    folder = str(path.parent)
    sys.path.insert(0, folder)
    try:
        spec.loader.exec_module(module)
    except SystemExit as error:
        raise UsageError("the task file ends the program", where=path, found=f"exit {error.code}") from error
    finally:
        sys.path.remove(folder)
    return module


def _task_in(module: ModuleType, path: Path) -> Task:
    """The one task that a module defines, complete; UsageError names everything that is missing."""
    from snn_deploy.benchmarks.task import Task

    kinds = [value for value in vars(module).values() if issubclass(type(value), ABCMeta)]
    found: list[type[Task]] = [
        kind for kind in kinds if issubclass(kind, Task) and kind.__module__ == module.__name__
    ]
    # A base of one's own with several tasks on it: the classes that nothing else here is built on.
    found = [kind for kind in found if not any(kind in other.__mro__[1:] for other in found)]
    if len(found) != 1:
        raise UsageError(
            "a task file defines one task: a class on RetrievalTask, ClassificationTask or NextStepTask",
            where=path,
            found=", ".join(kind.__name__ for kind in found) or "none",
            remedy=_README,
        )
    kind = found[0]
    missing = [*kind.missing_facts(), *sorted(kind.__abstractmethods__)]
    missing += [] if about(path) else ["a docstring of the file, whose first line says what it is about"]
    if missing:
        raise UsageError(
            Violation(f"the task lacks {name}", where=f"{path}: {kind.__name__}", remedy=_README)
            for name in missing
        )
    faults = kind.wrong_facts()
    if faults:
        raise UsageError(
            Violation(fault.what, f"{path}: {kind.__name__}.{fault.where}", fault.found, fault.allowed)
            for fault in faults
        )
    return kind()
