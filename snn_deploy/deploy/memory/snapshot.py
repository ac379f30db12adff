"""Snapshot of a memory's contents, so that opening reads one file instead of a million rows.

A snapshot is a derived cache beside the database: it may be deleted at any time, and anything wrong with
it (damage, another database, an older or newer state) only means that it is not used. What it holds is
never trusted for being there: extended by the rows that came after it, it must give the counts and sums
of checksums that the database states (contents.State), or it is put aside.

    line 1   BLAKE2b of all that follows, in hexadecimal
    line 2   JSON: magic, uuid, state, arrays [[name, dtype, shape], ...]
    rest     the arrays' bytes, one after the other
"""

from __future__ import annotations

import dataclasses
import glob
import hashlib
import json
import logging
import math
import os
from pathlib import Path
from typing import Any

import numpy as np

from snn_deploy.deploy.memory.contents import Contents, EdgeRows, Items, Layout, State
from snn_deploy.errors import BackendUnavailable

_MAGIC = "snn-deploy memory snapshot 2"
_HEADER_MAX = 65536
_ITEM_ARRAYS = {"rows": "<i8", "ids": "<i8", "checksums": "<u4", "notes": "<u4", "keys": "", "codes": "<u2"}
_EDGE_ARRAYS = {"sources": "<i8", "targets": "<i8", "weights": "<f8", "checksums": "<u4"}
_KEY_FORMS = ("|u1", "<i2", "<f4")
_READ_AT_ONCE = 1 << 24
_log = logging.getLogger(__name__)


def snapshot_path(store: Path) -> Path:
    """Where the snapshot of ``store`` lies."""
    return store.with_name(store.name + ".snapshot")


def remove_orphans(store: Path) -> None:
    """Delete what writers that were killed while writing a snapshot left behind; only one writer may call."""
    target = snapshot_path(store)
    for path in target.parent.glob(f"{glob.escape(target.name)}.*.tmp"):
        path.unlink(missing_ok=True)


def write_snapshot(store: Path, layout: Layout, contents: Contents) -> Path:
    """Write the snapshot whole or not at all: temporary file, fsync, rename, fsync of the folder."""
    arrays = []
    for group, value in ((_ITEM_ARRAYS, contents.items), (_EDGE_ARRAYS, contents.edges)):
        for name in group:
            array = np.ascontiguousarray(getattr(value, name))
            arrays.append((name, array.astype(array.dtype.newbyteorder("<"), copy=False)))
    header = {
        "magic": _MAGIC,
        "uuid": layout.uuid,
        "state": dataclasses.asdict(contents.state),
        "arrays": [[name, array.dtype.str, array.shape] for name, array in arrays],
    }
    line = json.dumps(header).encode("ascii") + b"\n"
    digest = hashlib.blake2b(line)
    for _, array in arrays:
        digest.update(array.data)
    target = snapshot_path(store)
    temporary = target.with_name(f"{target.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("wb") as stream:
            stream.write(digest.hexdigest().encode("ascii") + b"\n" + line)
            for _, array in arrays:
                stream.write(array.data)
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(target)
        _sync_folder(target.parent)
    except OSError as error:
        raise BackendUnavailable(
            "the snapshot could not be written",
            where=str(target),
            found=str(error),
            remedy="The memory itself is unharmed; make room and try again.",
        ) from error
    finally:
        temporary.unlink(missing_ok=True)
    return target


def _sync_folder(folder: Path) -> None:
    """Make a rename in ``folder`` survive a crash."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def read_snapshot(store: Path, layout: Layout) -> Contents | None:
    """The snapshot's contents, or None where there is none of this database that is whole."""
    path = snapshot_path(store)
    try:
        with path.open("rb") as stream:
            checksum = stream.readline(_HEADER_MAX)
            line = stream.readline(_HEADER_MAX)
            header = json.loads(line)
            if header["magic"] != _MAGIC or header["uuid"] != layout.uuid:
                raise ValueError("it belongs to another database, or to another release")
            shapes = _checked_shapes(header["arrays"], layout)
            size = sum(np.dtype(kind).itemsize * math.prod(shape) for _, kind, shape in shapes)
            if path.stat().st_size != stream.tell() + size:
                raise ValueError("its size is not what its header says")
            digest = hashlib.blake2b(line)
            arrays = [_read_array(stream, digest, kind, shape) for _, kind, shape in shapes]
        if digest.hexdigest().encode("ascii") + b"\n" != checksum:
            raise ValueError("its checksum does not match")
        state = State(**{name: int(value) for name, value in header["state"].items()})
        split = len(_ITEM_ARRAYS)
        return Contents(Items(*arrays[:split]), EdgeRows(*arrays[split:]), state)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError) as error:
        _log.warning("%s: snapshot not used, caches are rebuilt from the database: %s", path, error)
        return None


def _read_array(stream: Any, digest: Any, kind: str, shape: tuple[int, ...]) -> Any:
    array: Any = np.empty(shape, np.dtype(kind).newbyteorder("="))
    if array.size:
        view = memoryview(array).cast("B")
        for start in range(0, len(view), _READ_AT_ONCE):
            part = view[start : start + _READ_AT_ONCE]
            if stream.readinto(part) != len(part):
                raise ValueError("it ends early")
            digest.update(part)
    return array


def _checked_shapes(found: Any, layout: Layout) -> list[tuple[str, str, tuple[int, ...]]]:
    """Name, type and shape of each array, in file order; ValueError unless they are those of this layout."""
    arrays = [(str(name), str(kind), tuple(int(size) for size in shape)) for name, kind, shape in found]
    wanted = [*_ITEM_ARRAYS.items(), *_EDGE_ARRAYS.items()]
    if [name for name, _, _ in arrays] != [name for name, _ in wanted]:
        raise ValueError("its arrays are not those of a memory")
    items, edges = arrays[0][2][0], arrays[len(_ITEM_ARRAYS)][2][0]
    widths = {"keys": (layout.dim,), "codes": (layout.k,)}
    for place, ((name, kind, shape), (_, form)) in enumerate(zip(arrays, wanted, strict=True)):
        count = items if place < len(_ITEM_ARRAYS) else edges
        if (
            kind not in ((form,) if form else _KEY_FORMS)
            or count < 0
            or shape != (count, *widths.get(name, ()))
        ):
            raise ValueError("its arrays do not fit the memory's layout")
    return arrays
