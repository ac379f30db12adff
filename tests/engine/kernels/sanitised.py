"""The engine's tests on kernels built with AddressSanitizer and UndefinedBehaviorSanitizer.

    python tests/engine/kernels/sanitised.py        (make test-sanitised)

A copy of the tree gets an object of its own; the first finding of a sanitiser ends the test process.
Lava is left out (no kernel of ours runs in its processes), and so is the test of peak memory, of which a
sanitiser takes its own share.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

COMPILER = shutil.which("cc") or shutil.which("gcc")
_CHECKS = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-fno-omit-frame-pointer"]
_TESTS = "tests/engine/fixed"
_LEFT_OUT = [
    f"--ignore={_TESTS}/test_against_lava.py",
    f"--deselect={_TESTS}/test_fixed_backend.py::test_many_samples_fit_into_a_gibibyte",
]


def build(root: Path, tree: Path) -> None:
    """Copy package and tests to ``tree``, and build the kernels there. Not by setup.py: -O3 takes minutes."""
    shutil.copy(root / "pyproject.toml", tree)
    for name in ("snn_deploy", "tests"):
        shutil.copytree(root / name, tree / name, ignore=shutil.ignore_patterns("__pycache__", "*.so"))
    kernels = tree / "snn_deploy" / "engine" / "kernels"
    flags = ["-O1", "-g", "-std=gnu11", "-fPIC", f"-I{sysconfig.get_paths()['include']}", *_CHECKS]

    def compiled(source: Path) -> str:
        command = [str(COMPILER), *flags, "-c", str(source), "-o", str(source.with_suffix(".o"))]
        subprocess.run(command, check=True, timeout=1200)  # every check in every unrolled loop
        return str(source.with_suffix(".o"))

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        objects = list(pool.map(compiled, sorted(kernels.glob("*.c"))))
    command = [str(COMPILER), "-shared", *_CHECKS, *objects, "-o", str(kernels / "_engine.abi3.so")]
    subprocess.run(command, check=True, timeout=300)


def run(tree: Path) -> subprocess.CompletedProcess[str]:
    """Run the tests of ``tree`` with the sanitisers' libraries loaded first, as they must be.

    Raises CalledProcessError where the kernels do not load: the tests alone would then pass on NumPy.
    """
    environment = {
        **os.environ,
        "PYTHONPATH": str(tree),
        "PYTHONMALLOC": "malloc",  # so that every array has borders of its own
        "LD_PRELOAD": " ".join(_runtime(name) for name in ("libasan.so", "libubsan.so")),
        "ASAN_OPTIONS": "detect_leaks=0",  # Python keeps memory until its end
        "UBSAN_OPTIONS": "print_stacktrace=1",
    }
    loads = "from snn_deploy.engine.kernels import library; exit(not library.usable_kernels())"
    subprocess.run([sys.executable, "-c", loads], cwd=tree, env=environment, timeout=60, check=True)
    # -s: pytest would keep a sanitiser's report, which ends the process
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-s", "-p", "no:cacheprovider", _TESTS, *_LEFT_OUT],
        cwd=tree,
        env=environment,
        capture_output=True,
        text=True,
        timeout=1800,
        check=False,
    )


def _runtime(name: str) -> str:
    done = subprocess.run(
        [str(COMPILER), f"-print-file-name={name}"], capture_output=True, text=True, timeout=60, check=True
    )
    return done.stdout.strip()


def main() -> int:
    if COMPILER is None:
        print("no C compiler here", file=sys.stderr)
        return 1
    with tempfile.TemporaryDirectory() as folder:
        build(Path(__file__).resolve().parents[3], Path(folder))
        done = run(Path(folder))
    print(done.stdout + done.stderr)
    return done.returncode


if __name__ == "__main__":
    sys.exit(main())
