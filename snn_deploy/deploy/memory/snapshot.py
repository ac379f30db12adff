"""Snapshot of a memory's contents, so that opening reads one file instead of a million rows.

A snapshot is a derived cache beside the database: it may be deleted at any time, and anything wrong with
it (damage, another database, an older epoch) only means that it is not used.

    line 1   BLAKE2b of all that follows, in hexadecimal
    line 2   JSON: magic, uuid, epoch, last_item, last_edge, arrays [[name, dtype, shape], ...]
    rest     the arrays' bytes, one after the other
"""

from __future__ import annotations

import hashlib
import json
import logging
import math
import os
from pathlib import Path
from typing import Any

import numpy as np

from snn_deploy.deploy.memory.contents import Contents, Layout
from snn_deploy.errors import BackendUnavailable

_MAGIC = "snn-deploy memory snapshot 1"
_HEADER_MAX = 65536
_ARRAYS = {"ids": "<i8", "keys": "<f4", "codes": "<u2", "sources": "<i8", "targets": "<i8", "weights": "<f8"}
_log = logging.getLogger(__name__)


def snapshot_path(store: Path) -> Path:
    """Where the snapshot of ``store`` lies."""
    return store.with_name(store.name + ".snapshot")


def write_snapshot(store: Path, layout: Layout, contents: Contents) -> Path:
    """Write the snapshot whole or not at all: temporary file, fsync, rename, fsync of the folder."""
    arrays = {name: getattr(contents, name).astype(dtype) for name, dtype in _ARRAYS.items()}
    header = {
        "magic": _MAGIC,
        "uuid": layout.uuid,
        "epoch": contents.epoch,
        "last_item": contents.last_item,
        "last_edge": contents.last_edge,
        "arrays": [[name, _ARRAYS[name], array.shape] for name, array in arrays.items()],
    }
    line = json.dumps(header).encode("ascii") + b"\n"
    digest = hashlib.blake2b(line)
    for array in arrays.values():
        digest.update(array.tobytes())
    target = snapshot_path(store)
    temporary = target.with_name(f"{target.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("wb") as stream:
            stream.write(digest.hexdigest().encode("ascii") + b"\n" + line)
            for array in arrays.values():
                stream.write(array.tobytes())
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


def read_snapshot(store: Path, layout: Layout, epoch: int) -> Contents | None:
    """The snapshot's contents, or None where there is none that fits this database at this epoch."""
    path = snapshot_path(store)
    try:
        with path.open("rb") as stream:
            checksum = stream.readline(_HEADER_MAX)
            line = stream.readline(_HEADER_MAX)
            header = json.loads(line)
            if header["magic"] != _MAGIC or header["uuid"] != layout.uuid:
                raise ValueError("it belongs to another database")
            if header["epoch"] != epoch:
                _log.info("%s: outdated snapshot ignored", path)
                return None
            shapes = _checked_shapes(header["arrays"], layout)
            size = sum(np.dtype(_ARRAYS[name]).itemsize * math.prod(shape) for name, shape in shapes.items())
            if path.stat().st_size != stream.tell() + size:
                raise ValueError("its size is not what its header says")
            payload = stream.read(size)
        digest = hashlib.blake2b(line)
        digest.update(payload)
        if digest.hexdigest().encode("ascii") + b"\n" != checksum:
            raise ValueError("its checksum does not match")
        arrays: dict[str, Any] = {}
        offset = 0
        for name, shape in shapes.items():
            count = math.prod(shape)
            arrays[name] = np.frombuffer(payload, _ARRAYS[name], count, offset).reshape(shape)
            offset += arrays[name].nbytes
        return Contents(
            **arrays, epoch=epoch, last_item=int(header["last_item"]), last_edge=int(header["last_edge"])
        )
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        _log.warning("%s: damaged snapshot ignored, caches are rebuilt from the database: %s", path, error)
        return None


def _checked_shapes(found: Any, layout: Layout) -> dict[str, tuple[int, ...]]:
    """Shapes by name, in file order; ValueError unless they are those of this layout."""
    shapes = {name: tuple(int(size) for size in shape) for name, _, shape in found}
    items, edges = shapes["ids"][0], shapes["sources"][0]
    expected = {
        "ids": (items,),
        "keys": (items, layout.dim),
        "codes": (items, layout.k),
        "sources": (edges,),
        "targets": (edges,),
        "weights": (edges,),
    }
    if shapes != expected or list(shapes) != list(_ARRAYS) or items < 0 or edges < 0:
        raise ValueError("its arrays do not fit the memory's layout")
    return shapes
