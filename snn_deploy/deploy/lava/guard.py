"""The guard: runs one job in a child that cannot hang its caller, and leaves nothing behind.

The child leads a session and process group of its own. Whatever ends the run (an answer, an exception
in any of its processes, a death, a limit, a Ctrl-C here), the whole group is killed and exactly the
shared memory that it made is removed; Lava's own ``stop``, which can hang, is never called. If this
process dies first, the child notices and does the same (worker/safety.py).
"""

from __future__ import annotations

import errno
import json
import os
import re
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from snn_deploy.deploy.lava import processes
from snn_deploy.deploy.lava.interpreter import Interpreter, environment
from snn_deploy.errors import BackendUnavailable, UsageError

#: Seconds between looks at the child's files, and between looks at its processes.
_GLANCE, _LOOK = 0.01, 0.5
_ENTRY = (
    "import sys; sys.path.insert(0, sys.argv[1]);"
    "from pathlib import Path;"
    "from snn_deploy.deploy.lava.worker.main import main;"
    "main(Path(sys.argv[2]), int(sys.argv[3]))"
)


#: Names the time limit of a Lava run, in seconds.
SECONDS_VARIABLE = "SNN_DEPLOY_LAVA_SECONDS"


@dataclass(frozen=True)
class Limits:
    """When the guard gives up.

    seconds: for one Lava run, start included; ``SNN_DEPLOY_LAVA_SECONDS`` sets another default.
    stall_seconds: without a finished Lava step. idle_seconds: with every process waiting for another.
    memory_bytes: for all of the child's processes together; None is 80 % of what the machine has left.
    """

    seconds: float = field(default_factory=lambda: _seconds(os.environ.get(SECONDS_VARIABLE, "3600")))
    stall_seconds: float = 120.0
    idle_seconds: float = 6.0
    memory_bytes: int | None = None


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not seconds > 0:
        raise UsageError("not a time limit", where=SECONDS_VARIABLE, found=text, allowed="seconds > 0")
    return seconds


class ChildTraceback(Exception):
    """The cause of an error that a child reported: the child's own traceback, as text."""

    def __init__(self, text: str) -> None:
        super().__init__("\n" + text)


def run_guarded(
    interpreter: Interpreter, folder: Path, limits: Limits, progress: Callable[[int], None] | None = None
) -> dict[str, Any]:
    """Run the job in ``folder`` and return the child's answer.

    progress: called with the last Lava step that has finished.
    Raises BackendUnavailable with the child's own traceback, or with what ended it.
    """
    processes.remove([*processes.stale_segments(), *processes.stale_folders()])
    with _child(interpreter, folder) as child:
        watch = _Watch(child, folder, limits)
        while True:
            if (folder / "answer.json").exists():
                answer: dict[str, Any] = json.loads((folder / "answer.json").read_text(encoding="utf-8"))
                return answer
            watch.look()
            if progress is not None:
                progress(watch.step)
            time.sleep(_GLANCE)


@contextmanager
def _child(interpreter: Interpreter, folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Start the child; on the way out end its group, remove its shared memory and reap it."""
    source = folder / "source"
    source.mkdir()
    # Only this package: the folder that holds it may be the site-packages of another Python.
    (source / "snn_deploy").symlink_to(Path(__file__).resolve().parents[3])
    with (folder / "log.txt").open("wb") as log:
        child = subprocess.Popen(
            [interpreter.path, "-c", _ENTRY, str(source), str(folder), str(os.getpid())],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            cwd=folder,
            env=environment(interpreter.path, folder),
            start_new_session=True,
        )
    prefix = processes.prefix_of(child.pid)
    try:
        yield child
    finally:
        processes.end_group(child.pid)
        processes.remove(processes.segments(prefix))
        child.wait()


class _Watch:
    """Looks for every way in which a run can fail."""

    def __init__(self, child: subprocess.Popen[bytes], folder: Path, limits: Limits) -> None:
        self._child, self._folder, self._limits = child, folder, limits
        self._memory = limits.memory_bytes or int(0.8 * processes.available_memory())
        self._beat = np.load(folder / "beat.npy", mmap_mode="r", allow_pickle=False)
        self._started = self._moved = time.monotonic()
        self._next_look = self._active = self._started
        self._worked = self._step_seen = 0
        self.step = 0

    def look(self) -> None:
        """Raise BackendUnavailable if anything is wrong with the child."""
        self._reports()
        now = time.monotonic()
        step = int(self._beat[0])
        if step != self.step:
            self.step, self._moved = step, now
        if now < self._next_look:
            return
        self._next_look = now + _LOOK
        group = processes.members(self._child.pid)
        self._deaths(group)
        self._limit_memory(group)
        worked = sum(member.ticks for member in group)
        if worked != self._worked or step != self._step_seen or any(member.busy for member in group):
            self._worked, self._step_seen, self._active = worked, step, now
        elif now - self._active > self._limits.idle_seconds:
            self._give_up(f"all its processes have waited for {self._limits.idle_seconds:g} s")
        if now - self._started > self._limits.seconds:
            self._give_up(f"no answer within {self._limits.seconds:g} s")
        if now - self._moved > self._limits.stall_seconds:
            self._give_up(f"no Lava step finished for {self._limits.stall_seconds:g} s")

    def _reports(self) -> None:
        faults = sorted(self._folder.glob("fault-*.json"), key=lambda path: path.stat().st_mtime_ns)
        if not faults:
            return
        report = json.loads(faults[0].read_text(encoding="utf-8"))
        text = report["traceback"].rstrip()
        full = _FULL if f"[Errno {errno.ENOSPC}]" in text.splitlines()[-1] else ""
        raise BackendUnavailable(
            "an exception ended the Lava run",
            where=report["where"],
            found=text.splitlines()[-1],
            remedy=full,
        ) from ChildTraceback(text)

    def _deaths(self, group: list[processes.Member]) -> None:
        """Any dead process of the group is a fault: none ends before the run does."""
        dead = [member for member in group if member.zombie]
        if not dead or (self._folder / "answer.json").exists():
            return
        self._reports()
        first = min(dead, key=lambda member: (member.exit_signal == 0, member.pid))
        name = {self._child.pid: "the worker", **self._names()}.get(first.pid, "a helper of Lava's")
        cause = signal.Signals(first.exit_signal).name if first.exit_signal else "it left by itself"
        raise BackendUnavailable(
            "a process of the Lava run died",
            where=name,
            found=cause + self._log(),
            remedy=_REMEDIES.get(first.exit_signal, ""),
        )

    def _limit_memory(self, group: list[processes.Member]) -> None:
        used = processes.exceeds_memory(group, self._memory)
        if used:
            raise BackendUnavailable(
                "the Lava run outgrew its memory limit",
                found=f"{used >> 20} MiB",
                allowed=f"{self._memory >> 20} MiB",
                remedy="Run fewer samples at a time (--batch), or give it more memory.",
            )

    def _give_up(self, why: str) -> None:
        waits = self._waits()
        raise BackendUnavailable(
            f"the Lava run was ended: {why}",
            found=f"Lava step {self.step}" + (f"; {waits}" if waits else "") + self._log(),
            remedy=f"Run fewer samples or steps, or set {SECONDS_VARIABLE}.",
        )

    def _names(self) -> dict[int, str]:
        listing = self._folder / "actors.jsonl"
        if not listing.exists():
            return {}
        lines = [json.loads(line) for line in listing.read_text(encoding="utf-8").splitlines()]
        return {line["pid"]: line["name"] for line in lines}

    def _waits(self) -> str:
        """Ask every process for its stack and say who waited on what."""
        names = {self._child.pid: "the worker", **self._names()}
        for pid in names:
            if (self._folder / f"stack-{pid}.txt").exists():
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGUSR1)
        time.sleep(0.5)
        said: dict[str, list[str]] = {}
        for pid, name in names.items():
            stack = self._folder / f"stack-{pid}.txt"
            if stack.exists():
                where = waiting_on(stack.read_text(encoding="utf-8", errors="replace"))
                said.setdefault(where, []).append(name)
        return "; ".join(f"{_few(names)}: {where}" for where, names in said.items())

    def _log(self) -> str:
        text = (self._folder / "log.txt").read_text(encoding="utf-8", errors="replace").strip()
        return f"\nlast words:\n{text[-1500:]}" if text else ""


_FULL = "Shared memory is full: free or enlarge /dev/shm, or run fewer samples at a time (--batch)."
_REMEDIES: dict[int, str] = {
    signal.SIGBUS: _FULL,
    signal.SIGKILL: "It was killed from outside, or by the kernel for want of memory: run fewer samples.",
}
_FRAME = re.compile(r'File "(?P<file>[^"]+)", line (?P<line>\d+) in (?P<function>\S+)')


def waiting_on(stack: str) -> str:
    """Say in a few words where a process stood, from its faulthandler dump.

    The innermost frame of a process model shows its line, which names the port. A process without one
    waits for Lava's next command, or is Lava's own, of which the innermost function is named.
    """
    innermost = ""
    for block in re.split(r"\n\s*\n", stack.strip()):
        frames = list(_FRAME.finditer(block))
        for frame in frames:
            if re.search(r"(/lava/proc/.*models|/worker/processes/.*)\.py$", frame["file"]):
                return f"in {frame['function']}, {_code(frame['file'], int(frame['line']))}"
        if any(frame["file"].endswith("/core/model/py/model.py") for frame in frames):
            return "between two steps"
        innermost = frames[0]["function"] if frames else innermost
    return f"in {innermost}" if innermost else "it did not say"


def _few(names: list[str]) -> str:
    return ", ".join(names[:6]) + (f" and {len(names) - 6} more" if len(names) > 6 else "")


def _code(file: str, line: int) -> str:
    try:
        return Path(file).read_text(encoding="utf-8").splitlines()[line - 1].strip()
    except (OSError, IndexError):
        return f"line {line}"
