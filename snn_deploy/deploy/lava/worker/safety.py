"""What the child does so that nothing of it outlives the run: names, signals, and a watch on its parent.

Standard library only, and used before Lava is imported.
"""

from __future__ import annotations

import ctypes
import faulthandler
import json
import os
import shutil
import signal
import threading
import time
import traceback
from collections.abc import Callable
from multiprocessing import shared_memory
from pathlib import Path
from typing import Any

_PR_SET_PDEATHSIG = 1


def shared_memory_prefix() -> str:
    """The name that all shared memory of this process group begins with.

    It holds the pid namespace, the pid and the start time of the group's leader, so that a left-over
    can be told from the memory of a live run.
    """
    namespace = Path("/proc/self/ns/pid").stat().st_ino
    start = Path("/proc/self/stat").read_text(encoding="ascii").rpartition(")")[2].split()[19]
    return f"snnd-{namespace}-{os.getpid()}-{start}-"


def protect(folder: Path, host: int) -> None:
    """Prepare this process, the leader of its group, before it forks anything.

    folder: the run's folder, removed if the host dies. host: pid of the process that waits for us.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a Ctrl-C is the host's to answer; it ends the group
    Path("/proc/self/oom_score_adj").write_text("800", encoding="ascii")  # rather us than the host
    prefix = shared_memory_prefix()
    # Every segment of Lava's SharedMemoryManager gets its name from here (Python 3.10).
    shared_memory._SHM_NAME_PREFIX = "/" + prefix  # type: ignore[attr-defined]
    shared_memory._SHM_SAFE_NAME_LENGTH = len(prefix) + 17  # type: ignore[attr-defined]
    os.register_at_fork(after_in_child=lambda: _in_child(folder))
    faulthandler.register(signal.SIGUSR1, (folder / f"stack-{os.getpid()}.txt").open("w"), all_threads=True)
    threading.Thread(target=_outlive_nobody, args=(folder, prefix, host), daemon=True).start()


def _in_child(folder: Path) -> None:
    """Tie a forked process to its parent's life and let it say where it waits."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    stack = (folder / f"stack-{os.getpid()}.txt").open("w", encoding="utf-8")
    faulthandler.register(signal.SIGUSR1, stack, all_threads=True)


def _outlive_nobody(folder: Path, prefix: str, host: int) -> None:
    """Wait for the host's death, then take the whole group along."""
    while os.getppid() == host:
        time.sleep(0.25)
    for segment in Path("/dev/shm").glob(prefix + "*"):
        segment.unlink(missing_ok=True)
    shutil.rmtree(folder, ignore_errors=True)
    os.killpg(0, signal.SIGKILL)


def report(folder: Path, where: str) -> None:
    """Leave the current exception for the host, whole or not at all."""
    text = json.dumps({"where": where, "traceback": traceback.format_exc()})
    temporary = folder / f"fault-{os.getpid()}.tmp"
    temporary.write_text(text, encoding="utf-8")
    temporary.rename(temporary.with_suffix(".json"))


def watched(build_actor: Callable[..., Any], folder: Path) -> Callable[..., Any]:
    """Wrap Lava's ``build_actor``: list each forked process by pid and name, and report its exception."""

    def start(infrastructure: Any, target: Callable[..., Any], builder: Any, queue: Any = None) -> Any:
        name = str(getattr(builder, "proc_params", {}).get("name") or "Lava's runtime service")

        def run(**arguments: Any) -> None:
            try:
                target(**arguments)
            except BaseException:
                report(folder, name)
                raise

        actor = build_actor(infrastructure, run, builder, queue)
        with (folder / "actors.jsonl").open("a", encoding="utf-8") as listing:
            listing.write(json.dumps({"pid": actor.pid, "name": name}) + "\n")
        return actor

    return start
