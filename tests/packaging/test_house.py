"""The shape of the repository: root links, extras, constraints, sizes of modules and functions."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOMS = ["train", "convert", "deploy", "hw_profiles", "benchmarks"]
EXTRAS = {"train", "data", "lava-dl", "milvus", "ray", "peers", "dev"}
MAX_MODULE_LINES = 400
MAX_FUNCTION_LINES = 60


@pytest.fixture(scope="module")
def project(root: Path) -> dict[str, Any]:
    return tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]


@pytest.mark.parametrize("room", ROOMS)
def test_the_root_links_to_each_room(root: Path, room: str) -> None:
    link = root / room
    assert link.is_symlink()
    assert link.readlink() == Path("snn_deploy", room)  # relative, so that a clone has it too
    assert (link / "__init__.py").samefile(root / "snn_deploy" / room / "__init__.py")


def test_the_extras_are_those_of_the_design(project: dict[str, Any]) -> None:
    assert set(project["optional-dependencies"]) == EXTRAS


def test_lava_is_pinned_to_the_python_that_it_accepts(project: dict[str, Any]) -> None:
    assert [line for line in project["dependencies"] if line.startswith("lava-nc")] == [
        "lava-nc==0.10.0; python_version < '3.11'"
    ]


def test_constraints_hold_names_and_versions_only(root: Path) -> None:
    lines = (root / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pins = [line for line in lines if line and not line.startswith("#")]
    pin = re.compile(r"[A-Za-z0-9_.-]+==[0-9][A-Za-z0-9.]*(; python_version (<|>=) '3\.\d+')?")
    assert [line for line in pins if not pin.fullmatch(line)] == []


@pytest.mark.parametrize("extra", ["", "train", "data", "peers", "dev"])
def test_constraints_pin_what_the_project_asks_for(root: Path, project: dict[str, Any], extra: str) -> None:
    text = (root / "constraints.txt").read_text(encoding="utf-8")
    pinned = {_canonical(name) for name in re.findall(r"^([A-Za-z0-9_.-]+)==", text, re.MULTILINE)}
    asked = project["optional-dependencies"][extra] if extra else project["dependencies"]
    names = {_canonical(re.match(r"[A-Za-z0-9_.-]+", line).group()) for line in asked} - {"snn-deploy"}  # type: ignore[union-attr]
    assert names
    assert names - pinned == set()


def _canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _sources(root: Path) -> list[Path]:
    return sorted([*root.glob("*.py"), *(root / "snn_deploy").rglob("*.py"), *(root / "tests").rglob("*.py")])


def test_no_module_is_too_long(root: Path) -> None:
    lengths = {path: len(path.read_text(encoding="utf-8").splitlines()) for path in _sources(root)}
    assert {path: lines for path, lines in lengths.items() if lines > MAX_MODULE_LINES} == {}


def test_no_function_is_too_long(root: Path) -> None:
    sources = _sources(root)
    assert sources
    too_long = {}
    for path in sources:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                lines = (node.end_lineno or node.lineno) - node.lineno + 1
                if lines > MAX_FUNCTION_LINES:
                    too_long[f"{path}:{node.lineno} {node.name}"] = lines
    assert too_long == {}


def test_ruff_reads_every_module_once(root: Path) -> None:
    """A pattern that excludes a root link by its name would exclude the room of that name too."""
    command = [sys.executable, "-m", "ruff", "check", "--show-files", str(root)]
    shown = subprocess.run(command, capture_output=True, text=True, check=True, cwd=root, timeout=60).stdout
    read = sorted(Path(line) for line in shown.splitlines() if line.endswith(".py"))
    assert read == _sources(root)
