"""Keys and metas from files: the .npz that ``snn-deploy run`` writes, and JSON lines."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from snn_deploy.deploy.memory.vectors import on_minus_off
from snn_deploy.errors import UsageError
from snn_deploy.files import read_npz


def read_keys(path: Path, *, array: str = "counts", on_off: bool = False) -> NDArray[Any]:
    """Keys (samples, n) out of ``array`` of an .npz file; with ``on_off``, ON minus OFF.

    Sizes are read from the file's own headers and checked before memory is taken; pickled arrays are
    refused. Raises :class:`UsageError` for a missing file or array, :class:`UnsafeFile` for a damaged one.
    """
    arrays = read_npz(path, "file of keys (.npz)")
    if array not in arrays:
        raise UsageError(
            "no such array",
            where=f"{path}:{array}",
            found=", ".join(sorted(arrays)) or "none",
            allowed=array,
        )
    return on_minus_off(arrays[array]) if on_off else arrays[array]


def read_key(path: Path, row: int, *, array: str = "counts", on_off: bool = False) -> NDArray[Any]:
    """One key (n,): row ``row`` of :func:`read_keys`."""
    keys = read_keys(path, array=array, on_off=on_off)
    if keys.ndim != 2 or not 0 <= row < keys.shape[0]:
        raise UsageError("no such row", where=f"{path}:{array}", found=f"row {row} of shape {keys.shape}")
    found: NDArray[Any] = keys[row]
    return found


def read_metas(path: Path) -> list[dict[str, Any] | None]:
    """One meta a line: a JSON object, or null. Raises :class:`UsageError` for a line that is neither."""
    if not path.is_file():
        raise UsageError("no such file", where=str(path), allowed="a file of JSON lines")
    metas: list[dict[str, Any] | None] = []
    try:
        lines = path.read_text("utf-8").splitlines()
    except UnicodeDecodeError as error:
        raise UsageError("not a text file", where=str(path), found=str(error)) from error
    for number, line in enumerate(lines, 1):
        metas.append(_object_or_null(line, f"{path}:{number}"))
    return metas


def read_filter(pairs: list[str]) -> dict[str, Any] | None:
    """Filter of ``name=value`` pairs, a value being JSON if it parses as such, else text; or None."""
    wanted: dict[str, Any] = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals or not name:
            raise UsageError("not a condition", where="--where", found=repr(pair), allowed="name=value")
        try:
            wanted[name] = json.loads(value)
        except ValueError:
            wanted[name] = value
    return wanted or None


def _object_or_null(line: str, where: str) -> dict[str, Any] | None:
    try:
        value = json.loads(line)
    except ValueError as error:
        raise UsageError("not JSON", where=where, found=str(error)) from error
    if value is not None and not isinstance(value, dict):
        raise UsageError(
            "not a JSON object", where=where, found=type(value).__name__, allowed="object or null"
        )
    return value
