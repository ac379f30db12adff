"""Files: written whole or not at all, and read with their sizes checked before memory is taken."""

from __future__ import annotations

import os
import struct
import tempfile
import tokenize
import zipfile
import zlib
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from snn_deploy.errors import UnsafeFile, UsageError

if TYPE_CHECKING:
    from numpy.typing import NDArray

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


#: What zipfile, zlib and NumPy raise for archives and headers that are damaged or made up.
_NPZ_FAULTS = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    tokenize.TokenError,
    SyntaxError,
    ValueError,
    KeyError,
    TypeError,
    EOFError,
    OSError,
    OverflowError,
    RecursionError,
    NotImplementedError,  # an unknown compression
    RuntimeError,  # an encrypted member
)


def read_npz(
    path: Path | str,
    kind: str,
    choose: Callable[[list[str]], Collection[str]] = lambda names: names,
    budget: int = MAX_FILE_BYTES,
) -> dict[str, NDArray[Any]]:
    """Read arrays of an .npz file, name -> array; sizes are checked before memory is taken.

    kind: what the file should be, for messages. choose: is given the names of all arrays and returns those to
    read; it may raise a UsageError. budget: bytes that they may take together.
    Raises UsageError where there is no such file, UnsafeFile for one that is damaged, encrypted, holds
    anything but plain arrays, or expands to more than ``budget``.
    """
    path = existing_file(path, kind)
    try:
        with zipfile.ZipFile(path) as archive:
            members = {_array_name(member): member for member in archive.infolist()}
            if len(members) < len(archive.infolist()):
                raise ValueError("two arrays of one name")
            chosen = {name: members[name] for name in choose(list(members))}
            total = sum(member.file_size for member in chosen.values())
            if total > budget:
                raise UnsafeFile(
                    "the arrays are larger than is allowed",
                    where=path,
                    found=f"{total} bytes",
                    allowed=f"{budget} bytes",
                )
            return {name: _npy(archive, member) for name, member in chosen.items()}
    except _NPZ_FAULTS as error:
        raise UnsafeFile(
            f"not a readable {kind}: it must hold plain arrays, as numpy.savez writes them",
            where=path,
            found=str(error) or type(error).__name__,
            remedy="Write it again with numpy.savez_compressed.",
        ) from error


def _array_name(member: zipfile.ZipInfo) -> str:
    if not member.filename.endswith(".npy"):
        raise ValueError(f"{member.filename} is no array")
    return member.filename.removesuffix(".npy")


def _npy(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> NDArray[Any]:
    """One array; ValueError unless its header promises just the bytes that follow it, of a plain type."""
    import numpy as np

    npy: Any = np.lib.format  # untyped in NumPy's stubs
    with archive.open(member) as stream:
        version = npy.read_magic(stream)
        read_header = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
        shape, _, dtype = read_header(stream)
        if dtype.hasobject:
            raise ValueError(f"{member.filename} holds pickled objects")
        promised = dtype.itemsize
        for extent in shape:
            promised *= extent
        if promised != member.file_size - stream.tell():
            raise ValueError(
                f"the header of {member.filename} promises {promised} bytes, "
                f"the file holds {member.file_size - stream.tell()}"
            )
    with archive.open(member) as stream:
        array: NDArray[Any] = npy.read_array(stream, allow_pickle=False)
        stream.read(1)  # to the end, where the checksum is compared
    return array
