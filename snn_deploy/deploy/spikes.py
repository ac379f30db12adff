"""Spike files: INPUT.npz as the command line takes it, OUT.npz as it writes it.

INPUT.npz holds ``spikes``, 0/1, shape (samples, steps, *input shape), or ``graded``, integers, for an
input that takes messages; a network with several inputs takes ``spikes.<input>`` or ``graded.<input>``
for each, and an input that is left out stays silent. OUT.npz holds ``counts`` int32 (samples, outputs),
``membranes`` (samples, steps, outputs) of a read-out that never spikes and, on request, ``spikes`` uint8
(samples, steps, outputs); with several outputs the keys are ``counts.<output>`` and so on.
"""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from snn_deploy.convert.discrete import DiscreteNetwork
from snn_deploy.convert.quantised import QuantisedNetwork
from snn_deploy.deploy.result import RunResult
from snn_deploy.errors import SnnDeployError, UnsafeFile, UsageError, Violation
from snn_deploy.files import MAX_FILE_BYTES, atomic_write, existing_file

Network = QuantisedNetwork | DiscreteNetwork


def read_inputs(path: Path | str, network: Network) -> dict[str, NDArray[Any]]:
    """Read INPUT.npz for a network: input name -> (samples, steps, neurons), uint8, or int32 where graded.

    Raises UsageError for missing or unknown keys, wrong shapes and values other than 0 and 1 (all at
    once), UnsafeFile for damaged files, pickles and arrays larger than the limit.
    """
    path = existing_file(path, "input file (.npz)")
    arrays = _read_npz(path)
    names = [node.name for node in network.inputs]
    kinds = {node.name: "graded" if node.message_bits else "spikes" for node in network.inputs}
    keys = {kinds[name] if len(names) == 1 else f"{kinds[name]}.{name}": name for name in names}
    unknown = sorted(set(arrays) - set(keys))
    if unknown or not arrays:
        raise UsageError(
            "the input file must hold one array an input",
            where=path,
            found=", ".join(sorted(arrays)) or "no arrays",
            allowed=", ".join(keys),
        )
    try:
        spikes, _, _ = checked_inputs(network, {keys[key]: values for key, values in arrays.items()})
    except SnnDeployError as error:
        raise UsageError(
            Violation(v.what, f"{path}: {v.where}", v.found, v.allowed, v.remedy) for v in error.violations
        ) from None
    return spikes


def checked_inputs(
    network: Network, inputs: Mapping[str, NDArray[Any]]
) -> tuple[dict[str, NDArray[Any]], int, int]:
    """Return (rasters of all inputs, flattened to (samples, steps, neurons); samples; steps).

    Rasters are uint8, 0/1, and int32 for graded inputs. Raises UsageError with all violations.
    """
    shapes = {node.name: node.shape for node in network.inputs}
    bits = {node.name: node.message_bits for node in network.inputs}
    violations = [
        Violation("unknown input", where=name, allowed=", ".join(shapes))
        for name in inputs
        if name not in shapes
    ]
    for name, values in inputs.items():
        if name in shapes:
            violations += _violations(name, np.asarray(values), shapes[name], bits[name])
    extents = {np.shape(values)[:2] for values in inputs.values()}
    if not inputs:
        violations.append(Violation("no input given", allowed=", ".join(shapes)))
    elif len(extents) > 1:
        violations.append(Violation("inputs differ in samples or steps", found=str(sorted(extents))))
    if violations:
        raise UsageError(violations)
    samples, steps = extents.pop()
    rasters: dict[str, NDArray[Any]] = {}
    for name, shape in shapes.items():
        kind = np.int32 if bits[name] else np.uint8
        given = (
            inputs[name] if name in inputs else np.zeros((samples, steps, int(np.prod(shape))), dtype=kind)
        )
        rasters[name] = np.ascontiguousarray(given, dtype=kind).reshape(samples, steps, -1)
    return rasters, int(samples), int(steps)


def write_result(path: Path, result: RunResult, network: Network, *, spikes: bool) -> None:
    """Write OUT.npz; replaces ``path`` only when complete."""
    arrays: dict[str, NDArray[Any]] = {}
    for output in network.outputs:
        suffix = "" if len(network.outputs) == 1 else f".{output.name}"
        arrays[f"counts{suffix}"] = result.counts[output.name]
        if output.name in result.membranes:
            arrays[f"membranes{suffix}"] = result.membranes[output.name]
        if spikes:
            arrays[f"spikes{suffix}"] = result.spikes[output.node]
    with atomic_write(path) as temporary, temporary.open("wb") as handle:
        np.savez_compressed(handle, **arrays)


def _violations(name: str, values: NDArray[Any], shape: tuple[int, ...], bits: int) -> list[Violation]:
    flat = (int(np.prod(shape)),)
    if values.ndim < 3 or values.shape[2:] not in (shape, flat):
        return [
            Violation(
                "spikes have the wrong shape",
                where=name,
                found=str(values.shape),
                allowed=f"(samples, steps, {', '.join(map(str, shape))})",
            )
        ]
    if 0 in values.shape:
        return [Violation("there is nothing to run", where=name, found=str(values.shape))]
    if values.dtype.kind not in "biuf":
        return [Violation("spikes must be numbers", where=name, found=str(values.dtype), allowed="0 and 1")]
    if bits:
        return _message_violations(name, values, bits)
    if not _binary(values):
        other = values[(values != 0) & (values != 1)]
        return [
            Violation(
                "spikes must be 0 or 1",
                where=name,
                found=f"{other.flat[0]} ({other.size} values)",
                allowed="0 and 1",
                remedy="Rate-code real values first (snn_deploy.train.coding).",
            )
        ]
    return []


def _binary(values: NDArray[Any]) -> bool:
    """Whether all values are 0 or 1; without temporaries of the raster's size where the type allows it."""
    if values.dtype.kind == "b":
        return True
    if values.dtype.kind == "u":
        return bool(values.max() <= 1)
    return bool(np.all((values == 0) | (values == 1)))


def _message_violations(name: str, values: NDArray[Any], bits: int) -> list[Violation]:
    least, most = -(1 << (bits - 1)), (1 << (bits - 1)) - 1
    if values.min() >= least and values.max() <= most and np.array_equal(values, np.trunc(values)):
        return []
    return [
        Violation(
            "messages must be integers that fit their bits",
            where=name,
            found=f"{values.min()} .. {values.max()}, {values.dtype}",
            allowed=f"{least} .. {most} ({bits} bits)",
        )
    ]


def _read_npz(path: Path) -> dict[str, NDArray[Any]]:
    try:
        with zipfile.ZipFile(path) as archive:
            total = sum(member.file_size for member in archive.infolist())
        if total > MAX_FILE_BYTES:
            raise UnsafeFile(
                "the arrays are larger than is allowed", where=path, found=total, allowed=MAX_FILE_BYTES
            )
        with np.load(path, allow_pickle=False) as archive:
            return {key: archive[key] for key in archive.files}
    except (zipfile.BadZipFile, ValueError, OSError, EOFError, KeyError) as error:
        raise UnsafeFile(
            "not a readable .npz file of plain arrays",
            where=path,
            found=error,
            remedy="Write it with numpy.savez_compressed(path, spikes=...).",
        ) from error
