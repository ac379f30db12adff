"""Files: written whole or not at all, and read with their sizes checked before memory is taken."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from snn_deploy.errors import UsageError

#: Default ceiling on what one untrusted file may expand to in memory, bytes.
MAX_FILE_BYTES = 4 << 30


@contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside ``path``; rename it over ``path`` on success, delete it on any error.

    Raises UsageError where the folder is missing or the file system refuses (no space, no permission).
    """
    path = Path(path)
    if not path.parent.is_dir():
        raise UsageError("the folder to write to does not exist", where=path, remedy=f"Create {path.parent}.")
    temporary: Path | None = None
    try:
        descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=path.suffix)
        os.close(descriptor)
        temporary = Path(name)
        yield temporary
        with temporary.open("rb") as handle:
            os.fsync(handle.fileno())
        umask = os.umask(0)
        os.umask(umask)
        temporary.chmod(0o666 & ~umask)  # mkstemp makes files private; users expect their usual mode
        temporary.replace(path)
    except OSError as error:
        raise UsageError("this file cannot be written", where=path, found=error) from error
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)


def existing_file(path: Path | str, kind: str) -> Path:
    """Return ``path`` if it is a readable file, else raise UsageError naming what it should be."""
    path = Path(path)
    if not path.exists():
        raise UsageError(f"no such {kind}", where=path)
    if not path.is_file():
        raise UsageError(f"not a file, so not a {kind}", where=path)
    return path
