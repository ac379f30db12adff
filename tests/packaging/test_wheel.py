"""The wheel holds the package, no more and no less, and works where nothing else is installed."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import venv
import zipfile
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import snn_deploy
from snn_deploy import hw_profiles

SHIPPED = {".py", ".toml", ".json", ".j2", ".typed"}
NOT_SOURCE = {"build", "dist", "demo", "rooms"}


def _run(*command: object, cwd: Path) -> str:
    """Standard output of a command that must succeed, with no trace of this process's environment."""
    done = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env={"PATH": "/usr/bin:/bin", "HOME": str(cwd)},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def wheel(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from a copy of the tree with its root links, so that no old build/ leaks in."""
    tree = tmp_path_factory.mktemp("tree")
    for entry in root.iterdir():
        if entry.name.startswith(".") or entry.name in NOT_SOURCE or entry.suffix == ".egg-info":
            continue
        if entry.is_symlink():
            (tree / entry.name).symlink_to(entry.readlink())
        elif entry.is_dir():
            shutil.copytree(entry, tree / entry.name, ignore=shutil.ignore_patterns("__pycache__", "*.so"))
        else:
            shutil.copy(entry, tree)
    _run(sys.executable, "-m", "build", "--wheel", "--no-isolation", tree, cwd=tree)
    (built,) = (tree / "dist").glob("*.whl")
    return built


@pytest.fixture(scope="module")
def environment(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment that holds the wheel and what the wheel asks for without extras, and nothing else.

    The dependencies are lent from the environment of the tests by links: nothing is downloaded, and a
    module that the project forgot to depend on is missing here.
    """
    folder = tmp_path_factory.mktemp("environment") / "venv"
    venv.create(folder, with_pip=False, symlinks=True)
    python = folder / "bin" / "python"
    pip = [sys.executable, "-m", "pip", "--python", python]
    _run(*pip, "install", "--quiet", "--no-deps", "--no-index", wheel, cwd=folder)
    (packages,) = folder.glob("lib/python3*/site-packages")
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        asked = metadata.PathDistribution(zipfile.Path(archive, name.rpartition("/")[0] + "/")).requires
    for distribution in _closure(asked or []):
        _lend(distribution, packages)
    return folder


def _closure(requirements: Iterable[str]) -> list[metadata.Distribution]:
    """The installed distributions that the requirements lead to, extras left out."""
    found: dict[str, metadata.Distribution] = {}
    pending = [Requirement(line) for line in requirements]
    while pending:
        requirement = pending.pop()
        name = canonicalize_name(requirement.name)
        if name in found or (requirement.marker and not requirement.marker.evaluate({"extra": ""})):
            continue
        found[name] = metadata.distribution(name)
        pending += [Requirement(line) for line in found[name].requires or []]
    return list(found.values())


def _lend(distribution: metadata.Distribution, packages: Path) -> None:
    """Link the top-level folders and files of a distribution into ``packages``."""
    for top in {file.parts[0] for file in distribution.files or []} - {"..", "__pycache__"}:
        if not (packages / top).exists():
            (packages / top).symlink_to(Path(str(distribution.locate_file(top))))


def test_the_wheel_holds_the_package_and_nothing_else(root: Path, wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = [name for name in archive.namelist() if not name.split("/")[0].endswith(".dist-info")]
    shipped = {name for name in names if Path(name).suffix in SHIPPED}
    package = root / "snn_deploy"
    tree = {path.relative_to(root).as_posix() for path in package.rglob("*") if path.suffix in SHIPPED}
    assert "snn_deploy/cli/__init__.py" in tree
    assert shipped == tree
    assert {name.split("/")[0] for name in names} == {"snn_deploy"}


def test_the_command_answers_in_an_empty_environment(environment: Path) -> None:
    version = _run(environment / "bin" / "snn-deploy", "--version", cwd=environment)
    assert version == f"snn-deploy {snn_deploy.__version__}\n"


def test_the_environment_lends_nothing_but_the_base(environment: Path) -> None:
    code = "import importlib.util as u, json; print(json.dumps([bool(u.find_spec(m)) for m in %r]))"
    names = ["snn_deploy", "numpy", "typer", "torch", "norse", "pytest"]
    found = json.loads(_run(environment / "bin" / "python", "-c", code % names, cwd=environment))
    assert found == [True, True, True, False, False, False]


def test_each_profile_loads_in_an_empty_environment(environment: Path) -> None:
    code = (
        "import json, snn_deploy; from snn_deploy.hw_profiles import load, names; "
        "print(json.dumps([snn_deploy.__file__, [[name, load(name) is not None] for name in names()]]))"
    )
    where, loaded = json.loads(_run(environment / "bin" / "python", "-c", code, cwd=environment))
    assert Path(where).is_relative_to(environment)
    assert loaded
    assert loaded == [[name, True] for name in hw_profiles.names()]
