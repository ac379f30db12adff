"""One writer a memory: an advisory lock that the kernel drops when the process dies, however it dies."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from snn_deploy.errors import BackendUnavailable


class WriterLock:
    """Exclusive flock on ``STORE.lock``, held until :meth:`release` or the end of the process.

    The lock lives in a file of its own: closing any descriptor of the database itself would drop
    SQLite's own POSIX locks (sqlite.org/howtocorrupt.html, section 2.2). The file stays when the lock
    goes, because removing it would let two writers lock two different files of one name.
    """

    def __init__(self, store: Path) -> None:
        path = store.with_name(store.name + ".lock")
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise BackendUnavailable(
                "no lock for writing", where=str(path), found=str(error), remedy="Open with readonly=True."
            ) from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            holder = os.pread(descriptor, 32, 0).decode("ascii", "replace").strip()
            os.close(descriptor)
            raise BackendUnavailable(
                "another process is writing to this memory",
                where=str(store),
                found=f"lock held by process {holder or 'unknown'}",
                allowed="one writer, any number of readers",
                remedy="Close the other writer, or open with readonly=True.",
            ) from error
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode("ascii"), 0)
        self._descriptor: int | None = descriptor

    def release(self) -> None:
        """Let the next writer in; a second call does nothing."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None
