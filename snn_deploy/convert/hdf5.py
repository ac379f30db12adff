"""Reading untrusted HDF5: hard links only, plain numbers and strings only, sizes checked first."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from snn_deploy.errors import UnsafeFile
from snn_deploy.files import MAX_FILE_BYTES, existing_file

if TYPE_CHECKING:
    import h5py

HDF5_SIGNATURE = b"\x89HDF\r\n\x1a\n"
_MAX_DEPTH = 32


def is_hdf5(path: Path) -> bool:
    """Tell by its first bytes whether the file is HDF5."""
    with path.open("rb") as handle:
        return handle.read(len(HDF5_SIGNATURE)) == HDF5_SIGNATURE


@contextmanager
def open_checked(path: Path | str, kind: str) -> Iterator[h5py.File]:
    """Open an HDF5 file for reading; anything h5py chokes on becomes UnsafeFile (exit code 7)."""
    import h5py

    path = existing_file(path, kind)
    if not is_hdf5(path):
        raise UnsafeFile(f"not a {kind}: the file is not HDF5", where=path, found=_first_bytes(path))
    try:
        with h5py.File(path, "r") as handle:
            yield handle
    except (OSError, RuntimeError, KeyError, ValueError) as error:
        raise UnsafeFile(
            f"this {kind} is damaged", where=path, found=error, remedy="Copy or convert it again."
        ) from error


def read_tree(group: h5py.Group, budget: int = MAX_FILE_BYTES) -> dict[str, Any]:
    """Read a group into nested dicts of arrays, numbers and strings.

    Raises UnsafeFile for links that leave the file, for types that are neither numbers nor strings,
    and when the uncompressed data exceed ``budget`` bytes; sizes are summed before any is read.
    """
    import h5py

    total = 0

    def check(node: h5py.Group, depth: int) -> None:
        nonlocal total
        if depth > _MAX_DEPTH:
            raise UnsafeFile("groups are nested too deep", where=node.name, allowed=f"{_MAX_DEPTH} levels")
        for key in node:
            where = f"{node.name}/{key}"
            if not isinstance(node.get(key, getlink=True), h5py.HardLink):
                raise UnsafeFile(
                    "a link that is not to this file's own data", where=where, allowed="hard links"
                )
            item = node[key]
            if isinstance(item, h5py.Group):
                check(item, depth + 1)
                continue
            if item.external or item.is_virtual:
                raise UnsafeFile("data that live in another file", where=where, allowed="data in this file")
            if item.dtype.kind not in "biufSO" or (
                item.dtype.kind == "O" and h5py.check_string_dtype(item.dtype) is None
            ):
                raise UnsafeFile("a data type that is no number or string", where=where, found=item.dtype)
            total += int(item.size or 0) * item.dtype.itemsize
            if total > budget:
                raise UnsafeFile(
                    "the file expands to more data than is allowed",
                    where=where,
                    found=f"over {total} bytes",
                    allowed=f"{budget} bytes",
                )

    check(group, 0)
    return _read(group)


def _read(group: h5py.Group) -> dict[str, Any]:
    import h5py

    tree: dict[str, Any] = {}
    for key, item in group.items():
        if isinstance(item, h5py.Group):
            tree[key] = _read(item)
        else:
            value = item[()]
            tree[key] = value.decode("utf-8") if isinstance(value, bytes) else value
    return tree


def _first_bytes(path: Path) -> str:
    with path.open("rb") as handle:
        return repr(handle.read(8))
