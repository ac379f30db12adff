"""Which Python runs Lava: lava-nc 0.10.0 accepts 3.10 only."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

#: Names a 3.10 interpreter that holds lava-nc, for hosts on 3.11 and newer.
VARIABLE = "SNN_DEPLOY_LAVA_PYTHON"

_PROBE = """
import json, sys
from importlib.metadata import version, PackageNotFoundError
found = {"python": sys.version.split()[0]}
for name in ("lava-nc", "numpy", "scipy"):
    try:
        found[name] = version(name)
    except PackageNotFoundError:
        pass
print(json.dumps(found))
"""


@dataclass(frozen=True)
class Interpreter:
    """A Python for Lava, or the reason there is none.

    path: the executable, empty where none is named. versions: of Python, lava-nc, numpy and scipy in it.
    problem: why Lava cannot run there, empty where it can. remedy: what to do about it.
    """

    path: str
    versions: dict[str, str]
    problem: str = ""
    remedy: str = ""


def find_interpreter() -> Interpreter:
    """Return the interpreter for Lava: the one that the environment names, else this one on 3.10."""
    named = os.environ.get(VARIABLE, "")
    if not named and sys.version_info[:2] != (3, 10):
        return Interpreter(
            "",
            {},
            f"lava-nc 0.10.0 accepts Python 3.10 only, and this is {sys.version.split()[0]}",
            f"Install lava-nc into a Python 3.10 environment and set {VARIABLE} to its interpreter.",
        )
    path = named or sys.executable
    try:
        return _probe(path, Path(path).stat().st_mtime_ns)
    except OSError as error:
        return Interpreter(
            path, {}, f"the interpreter cannot be started: {error}", f"Set {VARIABLE} to a Python 3.10."
        )


@lru_cache(maxsize=8)
def _probe(path: str, _: int) -> Interpreter:
    remedy = f"Install lava-nc==0.10.0 with {path} -m pip, or set {VARIABLE} to a Python 3.10 that has it."
    try:
        done = subprocess.run(
            [path, "-c", _PROBE],
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
            env=environment(path),
            start_new_session=True,
        )
        versions: dict[str, str] = json.loads(done.stdout) if done.returncode == 0 else {}
    except (subprocess.TimeoutExpired, ValueError) as error:
        return Interpreter(path, {}, f"it did not answer as a Python: {error}", remedy)
    if not versions:
        return Interpreter(path, {}, f"it did not answer as a Python: {done.stderr.strip()[-300:]}", remedy)
    if not versions["python"].startswith("3.10."):
        return Interpreter(path, versions, f"it is Python {versions['python']}, not 3.10", remedy)
    missing = [name for name in ("lava-nc", "numpy", "scipy") if name not in versions]
    if missing:
        return Interpreter(path, versions, f"it lacks {', '.join(missing)}", remedy)
    return Interpreter(path, versions)


def environment(path: str, folder: Path | None = None) -> dict[str, str]:
    """The child's environment: one thread a process, temporary files in ``folder``.

    Another interpreter must not see this one's packages, so PYTHONPATH and PYTHONHOME stay behind then.
    """
    variables = dict(os.environ)
    if path != sys.executable:
        variables.pop("PYTHONPATH", None)
        variables.pop("PYTHONHOME", None)
    variables |= {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    if folder is not None:
        variables["TMPDIR"] = str(folder)
    return variables
