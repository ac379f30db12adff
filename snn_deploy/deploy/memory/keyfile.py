"""Keys, links, metas and texts from files: .npz as ``snn-deploy run`` writes it, JSON lines, text."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from snn_deploy.deploy.memory.vectors import on_minus_off
from snn_deploy.errors import UsageError
from snn_deploy.files import existing_file, read_npz

_KIND = ".npz file"


@dataclass(frozen=True, eq=False)
class KeyFile:
    """Keys (samples, n) of a file, and where it says so their ids (samples,) and the encoder's name."""

    keys: NDArray[Any]
    ids: list[int] | None
    encoder: str | None


def read_keys(path: Path, *, array: str | None = None, on_off: bool = False) -> KeyFile:
    """Keys out of an .npz file; with ``on_off``, ON minus OFF.

    They are in ``array``, else in ``keys``, in ``counts``, in the ``mean`` of a membrane read-out, or in the
    only ``counts.OUTPUT`` or ``mean.OUTPUT`` that there is.
    Raises :class:`UsageError` for a missing file or array, :class:`UnsafeFile` for a damaged one.
    """
    chosen, said = "", ""

    def choose(names: list[str]) -> list[str]:
        nonlocal chosen, said
        chosen = array if array is not None else _key_array(path, names)
        _, dot, output = chosen.partition(".")
        said = f"encoder{dot}{output}"
        _require(path, chosen, names)
        return [chosen, *(name for name in ("ids", said) if name in names and name != chosen)]

    arrays = read_npz(path, _KIND, choose)
    keys = on_minus_off(arrays[chosen]) if on_off else arrays[chosen]
    ids = arrays.get("ids")
    if ids is not None and (ids.ndim != 1 or ids.dtype.kind not in "iu"):
        raise UsageError(
            "not ids", where=f"{path}:ids", found=f"{ids.dtype} {ids.shape}", allowed="int64 (n,)"
        )
    encoder = str(arrays[said]) if said in arrays and arrays[said].dtype.kind == "U" else None
    return KeyFile(keys, None if ids is None else ids.tolist(), encoder)


def read_links(path: Path) -> tuple[list[tuple[int, int]], list[float] | None]:
    """``links`` (m, 2) of ids, and ``weights`` (m,) where the .npz file has any."""

    def choose(names: list[str]) -> list[str]:
        _require(path, "links", names)
        return ["links", *(["weights"] if "weights" in names else [])]

    arrays = read_npz(path, _KIND, choose)
    links = arrays["links"]
    if links.ndim != 2 or links.shape[1] != 2 or links.dtype.kind not in "iu":
        found = f"{links.dtype} {links.shape}"
        raise UsageError("not links", where=f"{path}:links", found=found, allowed="integers (m, 2)")
    weights = arrays.get("weights")
    if weights is not None and (weights.shape != links.shape[:1] or weights.dtype.kind not in "iuf"):
        found = f"{weights.dtype} {weights.shape}"
        raise UsageError("not weights", where=f"{path}:weights", found=found, allowed="numbers (m,)")
    pairs = [(int(a), int(b)) for a, b in links.tolist()]
    return pairs, None if weights is None else [float(weight) for weight in weights.tolist()]


def _require(path: Path, name: str, names: list[str]) -> None:
    if name not in names:
        found = ", ".join(sorted(names)) or "none"
        raise UsageError("no such array", where=f"{path}:{name}", found=found, allowed=name)


def _key_array(path: Path, names: list[str]) -> str:
    for name in ("keys", "counts", "mean"):
        if name in names:
            return name
    outputs = [name for name in names if name.startswith(("counts.", "mean."))]
    if len(outputs) == 1:
        return outputs[0]
    raise UsageError(
        "which array holds the keys is not clear" if outputs else "no array of keys",
        where=str(path),
        found=", ".join(sorted(names)) or "none",
        allowed="keys, counts, mean, or one counts.OUTPUT or mean.OUTPUT",
        remedy="Name one with --array.",
    )


def read_metas(path: Path) -> list[dict[str, Any] | None]:
    """One meta a line: a JSON object, or null. Raises :class:`UsageError` for a line that is neither."""
    return [_object_or_null(line, f"{path}:{number}") for number, line in enumerate(_lines(path), 1)]


def read_texts(path: Path) -> tuple[list[str], list[dict[str, Any] | None]]:
    """Texts and metas: of a .jsonl file the ``text`` of each object and the rest of it, else each line."""
    lines = _lines(path)
    if path.suffix != ".jsonl":
        return lines, [None] * len(lines)
    texts: list[str] = []
    metas: list[dict[str, Any] | None] = []
    for number, line in enumerate(lines, 1):
        value = _object_or_null(line, f"{path}:{number}") or {}
        text = value.pop("text", None)
        if not isinstance(text, str):
            raise UsageError("no text", where=f"{path}:{number}", allowed='an object with a "text"')
        texts.append(text)
        metas.append(value or None)
    return texts, metas


def _lines(path: Path) -> list[str]:
    existing_file(path, "text file")
    try:
        # Only line feeds end a line: JSON and speech may hold other separators.
        return path.read_text("utf-8").removesuffix("\n").split("\n") if path.stat().st_size else []
    except (UnicodeDecodeError, OSError) as error:
        raise UsageError("not a text file", where=str(path), found=str(error)) from error


def _object_or_null(line: str, where: str) -> dict[str, Any] | None:
    try:
        value = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise UsageError("not JSON", where=where, found=str(error)) from error
    if value is not None and not isinstance(value, dict):
        raise UsageError(
            "not a JSON object", where=where, found=type(value).__name__, allowed="object or null"
        )
    return value
