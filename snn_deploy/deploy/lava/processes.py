"""What the kernel says about a process group: its members, their state and their memory. Linux only."""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

SHARED_MEMORY = Path("/dev/shm")


@dataclass(frozen=True)
class Member:
    """One process of a group.

    busy: it runs, or would if it had a core. ticks: of processor time so far. resident: bytes.
    exit_signal: what killed it, 0 where nothing did.
    """

    pid: int
    zombie: bool
    busy: bool
    ticks: int
    resident: int
    exit_signal: int


def members(group: int) -> list[Member]:
    """All processes whose process group is ``group``, dead ones that nobody has reaped included."""
    found = []
    for name in os.listdir("/proc"):  # noqa: PTH208  some hundred entries, looked at twice a second
        fields = stat_fields(int(name)) if name.isdigit() else []
        if fields and int(fields[2]) == group:
            resident = int(fields[21]) * os.sysconf("SC_PAGE_SIZE")
            ticks = int(fields[11]) + int(fields[12])
            found.append(
                Member(
                    pid=int(name),
                    zombie=fields[0] in "ZX",
                    busy=fields[0] in "RD",
                    ticks=ticks,
                    resident=resident,
                    exit_signal=int(fields[49]) & 0x7F,
                )
            )
    return found


def stat_fields(pid: int) -> list[str]:
    """Fields 3 and on of /proc/PID/stat (state, parent, group, ...), empty where there is none."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as handle:  # noqa: PTH123
            return handle.read().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return []


def exceeds_memory(group: list[Member], limit: int) -> int:
    """Return the bytes that the members hold if they exceed ``limit``, else 0.

    Pages that forked processes share count once. The kernel adds those up slowly (10 ms a process), so
    it is asked only when the resident sizes, in which they count again and again, exceed the limit.
    """
    if sum(member.resident for member in group) <= limit:
        return 0
    total = sum(_proportional(member.pid) for member in group)
    return total if total > limit else 0


def _proportional(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii").splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) for line in lines if line.startswith("Pss:")) * 1024


def available_memory() -> int:
    """Bytes that this machine, or the control group that we are in, can still give."""
    lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    free = next(int(line.split()[1]) for line in lines if line.startswith("MemAvailable:")) * 1024
    try:
        limit = Path("/sys/fs/cgroup/memory.max").read_text(encoding="ascii").strip()
        used = int(Path("/sys/fs/cgroup/memory.current").read_text(encoding="ascii"))
    except (OSError, ValueError):
        return free
    return free if limit == "max" else max(0, min(free, int(limit) - used))


def end_group(group: int, seconds: float = 5.0) -> None:
    """Kill every process of the group and wait until none runs."""
    deadline = time.monotonic() + seconds
    while any(not member.zombie for member in members(group)) and time.monotonic() < deadline:
        try:
            os.killpg(group, signal.SIGKILL)
        except ProcessLookupError:
            return
        time.sleep(0.01)


def prefix_of(pid: int) -> str:
    """The prefix that process ``pid``, while it exists, gives its shared memory (see worker/safety.py)."""
    fields = stat_fields(pid)
    return f"snnd-{_namespace()}-{pid}-{fields[19]}-" if fields else ""


def segments(prefix: str) -> list[Path]:
    """Shared memory whose name begins with ``prefix``."""
    return sorted(SHARED_MEMORY.glob(prefix + "*")) if prefix else []


def stale_segments() -> list[Path]:
    """Shared memory of runs that are gone, leader and all."""
    stale = []
    for segment in segments(f"snnd-{_namespace()}-"):
        pid = segment.name.split("-")[2]
        live = prefix_of(int(pid)) if pid.isdigit() else ""
        if not live or not segment.name.startswith(live):
            stale.append(segment)
    return stale


def folder_prefix() -> str:
    """What the name of a job folder of this process begins with (see job.py)."""
    return f"snnd-{_namespace()}-{os.getpid()}-"


def stale_folders() -> list[Path]:
    """Job folders of hosts that are gone."""
    parents = {Path(tempfile.gettempdir()), Path("/tmp")}
    folders = [folder for parent in parents for folder in parent.glob(f"snnd-{_namespace()}-*")]
    return sorted(folder for folder in folders if not _alive(folder.name.split("-")[2]))


def _alive(pid: str) -> bool:
    return not pid.isdigit() or bool(stat_fields(int(pid)))


def _namespace() -> int:
    """This pid namespace: a pid means nothing in another one, which may share /dev/shm and /tmp."""
    return Path("/proc/self/ns/pid").stat().st_ino


def remove(paths: list[Path]) -> None:
    """Delete shared memory and folders, whoever comes first."""
    for path in paths:
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)
