"""The compiled kernels: the package's own build makes them where it can, one object for all Pythons."""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import sanitised

from snn_deploy.convert.conversion import Options, convert_graph
from snn_deploy.deploy.backends.fixed import FixedBackend
from snn_deploy.engine.fixed import kernel
from snn_deploy.engine.fixed.engine import FixedEngine
from snn_deploy.engine.kernels import library
from snn_deploy.errors import BackendUnavailable
from tests.nir_models import two_layers

OPTIONS = Options(dt=1e-3, reset="zero", level=0)

COMPILER = shutil.which("cc") or shutil.which("gcc")
needs_compiler = pytest.mark.skipif(COMPILER is None, reason="no C compiler here")


def _copy(root: Path, tree: Path) -> None:
    """The parts of the repository that its build reads."""
    for name in ("pyproject.toml", "setup.py", "README.md", "LICENSE"):
        shutil.copy(root / name, tree)
    shutil.copytree(
        root / "snn_deploy", tree / "snn_deploy", ignore=shutil.ignore_patterns("__pycache__", "*.so")
    )


def _build(tree: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "setup.py", "build_ext", "--inplace"],
        cwd=tree,
        env={**os.environ, "PYTHONPATH": "", **environment},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def _objects(tree: Path) -> list[str]:
    return [path.name for path in tree.glob("snn_deploy/engine/kernels/_engine*")]


@needs_compiler
def test_the_build_makes_one_object_for_every_python(root: Path, tmp_path: Path) -> None:
    _copy(root, tmp_path)
    done = _build(tmp_path)
    assert done.returncode == 0, done.stderr
    (built,) = _objects(tmp_path)
    assert built == "_engine.abi3.so"
    assert "march=native" not in done.stdout
    load = (
        "import importlib.machinery as m, importlib.util as u; "
        f"loader = m.ExtensionFileLoader('_engine', {str(next(tmp_path.rglob(built)))!r}); "
        "spec = u.spec_from_loader('_engine', loader); print(u.module_from_spec(spec).__name__)"
    )
    pythons = [sys.executable, *(shutil.which(f"python3.{minor}") or "" for minor in (11, 12, 13))]
    ran = 0
    for python in filter(None, pythons):
        found = subprocess.run([python, "-c", load], capture_output=True, text=True, timeout=60, check=False)
        if "No module" not in found.stderr and "command not found" not in found.stderr:
            assert found.stdout == "_engine\n", f"{python}: {found.stderr}"
            ran += 1
    assert ran


def test_without_a_compiler_the_build_still_succeeds(root: Path, tmp_path: Path) -> None:
    _copy(root, tmp_path)
    done = _build(tmp_path, CC="/nonexistent/cc")
    assert done.returncode == 0, done.stderr
    assert _objects(tmp_path) == []
    assert "_engine" in done.stdout + done.stderr  # and says what it left out


@needs_compiler
def test_an_object_of_another_version_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sizes of the structures are compared before anything is called."""
    assert library.library() is not None
    monkeypatch.setattr(library, "_STRUCTURES", (*library._STRUCTURES[:-1], library.Tail))
    library.library.cache_clear()
    try:
        assert library.library() is None
    finally:
        library.library.cache_clear()


STALE = {
    "a function is missing": (
        "void snn_sizes(int *s) { (void)s; } int snn_run(void) { return 0; }",
        "was built from other sources (no snn_kernel_name, snn_lanes, ",
    ),
    "its sizes are not told": ("int snn_run(void) { return 0; }", "other sources (no snn_sizes, "),
    "a structure is smaller": ("SIZES[0] -= 4;", "was built from other sources (engine.h differs)"),
    "it has a structure more": ("SIZES[COUNT] = 8;", "was built from other sources (engine.h differs)"),
    "it is damaged": ("", "the compiled kernels cannot be loaded ("),
}


@needs_compiler
@pytest.mark.parametrize("case", STALE)
def test_a_stale_object_is_named_and_numpy_runs(
    case: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    code, reason = STALE[case]
    own = [ctypes.sizeof(structure) for structure in library._STRUCTURES]
    if "SIZES" in code:
        sets = " ".join(f"s[{i}] = {size};" for i, size in enumerate(own))
        change = code.replace("SIZES", "s").replace("COUNT", str(len(own)))
        names = " ".join(f"void {name}(void) {{}}" for name in library._FUNCTIONS)
        code = f"void snn_sizes(int *s) {{ {sets} {change} }} {names}"
    stale = tmp_path / "_engine.so"
    if code:
        command = [str(COMPILER), "-shared", "-fPIC", "-x", "c", "-", "-o", str(stale)]
        subprocess.run(command, input=code, text=True, check=True, timeout=60)
    else:
        stale.write_bytes(b"no object")
    monkeypatch.delenv(kernel.VARIABLE, raising=False)
    monkeypatch.setitem(sys.modules, f"{library.__package__}._engine", SimpleNamespace(__file__=str(stale)))
    library.library.cache_clear()
    try:
        assert library.library() is None
        assert kernel.choose().name == "numpy" == kernel.names()[-1]
        assert reason in kernel.choose().reason == FixedBackend().availability().reason.partition(": ")[2]
        with pytest.raises(BackendUnavailable) as caught:
            kernel.choose("portable")
        assert reason in str(caught.value)
        spikes = (np.random.default_rng(0).random((2, 60, 12)) < 0.7).astype(np.uint8)
        result = FixedEngine().run(
            convert_graph(two_layers((12, 40, 16), seed=1), OPTIONS).network, {"in": spikes}
        )
        assert result.notes["kernel"] == "numpy"
        assert result.counts["out"].any()
    finally:
        library.library.cache_clear()


@needs_compiler
@pytest.mark.slow
def test_the_engines_tests_are_clean_under_sanitisers(root: Path, tmp_path: Path) -> None:
    sanitised.build(root, tmp_path)
    done = sanitised.run(tmp_path)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert "passed" in done.stdout
