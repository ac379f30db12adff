"""Spike files: INPUT.npz as the command line takes it, OUT.npz as it writes it.

INPUT.npz holds ``spikes``, 0/1, shape (samples, steps, *input shape), or ``graded``, signed integers of
the input's ``message_bits``, where the network takes graded input; a network with several inputs takes
``spikes.<input>`` or ``graded.<input>`` for each, and an input that is left out stays silent. OUT.npz holds
``counts`` int32 (samples, outputs), ``membranes`` float64 (samples, steps, outputs) of a read-out that never
spikes, and, on request, ``spikes`` uint8 (samples, steps, outputs); with several outputs the keys are
``counts.<output>`` and so on.
"""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from snn_deploy.convert.discrete import DiscreteNetwork
from snn_deploy.convert.network import Input
from snn_deploy.convert.quantised import QuantisedNetwork
from snn_deploy.deploy.result import RunResult
from snn_deploy.errors import SnnDeployError, UnsafeFile, UsageError, Violation
from snn_deploy.files import MAX_FILE_BYTES, atomic_write, existing_file

Network = QuantisedNetwork | DiscreteNetwork


def read_inputs(path: Path | str, network: Network) -> dict[str, NDArray[Any]]:
    """Read INPUT.npz for a network: input name -> uint8, or int32 where graded, (samples, steps, neurons).

    Raises UsageError for missing or unknown keys, wrong shapes and values that the input cannot take (all
    at once), UnsafeFile for damaged files, pickles and arrays larger than the limit.
    """
    path = existing_file(path, "input file (.npz)")
    arrays = _read_npz(path)
    keys = {_key(node, alone=len(network.inputs) == 1): node.name for node in network.inputs}
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

    Spikes are uint8, graded input is int32. Raises UsageError with everything that is wrong.
    """
    nodes = {node.name: node for node in network.inputs}
    violations = [
        Violation("unknown input", where=name, allowed=", ".join(nodes))
        for name in inputs
        if name not in nodes
    ]
    for name, values in inputs.items():
        if name in nodes:
            violations += _violations(nodes[name], np.asarray(values))
    extents = {np.shape(values)[:2] for values in inputs.values()}
    if not inputs:
        violations.append(Violation("no input given", allowed=", ".join(nodes)))
    elif len(extents) > 1:
        violations.append(Violation("inputs differ in samples or steps", found=str(sorted(extents))))
    if violations:
        raise UsageError(violations)
    samples, steps = extents.pop()
    rasters = {
        name: np.ascontiguousarray(inputs[name], dtype=_dtype(node)).reshape(samples, steps, -1)
        if name in inputs
        else np.zeros((samples, steps, int(np.prod(node.shape))), dtype=_dtype(node))
        for name, node in nodes.items()
    }
    return rasters, int(samples), int(steps)


def write_result(
    path: Path, result: RunResult, network: Network, *, spikes: bool, integers: str = ""
) -> None:
    """Write OUT.npz; replaces ``path`` only when complete.

    ``integers`` is the hash of the artifact's: the memory knows by it whose counts they are.
    """
    arrays: dict[str, NDArray[Any]] = {}
    for output in network.outputs:
        suffix = "" if len(network.outputs) == 1 else f".{output.name}"
        arrays[f"counts{suffix}"] = result.counts[output.name]
        if integers:
            arrays[f"encoder{suffix}"] = np.array(encoder_name(integers, output.name))
        if output.name in result.membranes:
            arrays[f"membranes{suffix}"] = result.membranes[output.name]
        if spikes:
            arrays[f"spikes{suffix}"] = result.spikes[output.node]
    with atomic_write(path) as temporary, temporary.open("wb") as handle:
        np.savez_compressed(handle, **arrays)


def encoder_name(integers: str, output: str) -> str:
    """What a memory calls the source of its keys: an artifact's integers and one of its outputs."""
    return f"sha256:{integers} {output}"


def graded_range(message_bits: int) -> tuple[int, int]:
    """Smallest and largest value of a graded spike: signed integers of that width."""
    return -(1 << (message_bits - 1)), (1 << (message_bits - 1)) - 1


def _key(node: Input, *, alone: bool) -> str:
    kind = "graded" if node.message_bits else "spikes"
    return kind if alone else f"{kind}.{node.name}"


def _dtype(node: Input) -> type[np.generic]:
    return np.int32 if node.message_bits else np.uint8


def _violations(node: Input, values: NDArray[Any]) -> list[Violation]:
    name, shape = node.name, node.shape
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
    if node.message_bits:
        low, high = graded_range(node.message_bits)
        inside = (values >= low) & (values <= high)  # False for NaN and infinity
        bad = ~inside | (np.mod(np.where(inside, values, 0), 1) != 0)
        what, allowed = "graded spikes must be whole numbers of the input's width", f"{low} to {high}"
        remedy = ""
    elif _binary(values):
        return []
    else:
        bad = (values != 0) & (values != 1)
        what, allowed = "spikes must be 0 or 1", "0 and 1"
        remedy = "Rate-code real values first (snn_deploy.train.coding), or convert with graded input."
    if np.any(bad):
        found = f"{values[bad].flat[0]} ({np.count_nonzero(bad)} values)"
        return [Violation(what, where=name, found=found, allowed=allowed, remedy=remedy)]
    return []


def _binary(values: NDArray[Any]) -> bool:
    """Whether all values are 0 or 1; without temporaries of the raster's size where the type allows it."""
    if values.dtype.kind == "b":
        return True
    if values.dtype.kind == "u":
        return bool(values.max() <= 1)
    return bool(np.all((values == 0) | (values == 1)))


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
