"""Builds Lava processes from the plain description that the host wrote. One function a kind."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from lava.proc.conv.process import Conv
from lava.proc.dense.process import DelayDense, Dense
from lava.proc.io.sink import RingBuffer
from lava.proc.lif.process import LIF, LIFReset
from lava.proc.sparse.process import DelaySparse, Sparse
from lava.utils.weightutils import SignMode
from scipy.sparse import block_diag, csr_matrix

from snn_deploy.deploy.lava.worker.processes.own_decays import LIFOwnDecays, LIFResetOwnDecays
from snn_deploy.deploy.lava.worker.processes.probe import Probe
from snn_deploy.deploy.lava.worker.processes.sink import Sink
from snn_deploy.deploy.lava.worker.processes.source import Source
from snn_deploy.deploy.lava.worker.processes.subtractive_lif import SubtractiveLIF

Spec = Mapping[str, Any]
Arrays = Mapping[str, Any]


def build(folder: Path, processes: list[Spec], wires: list[Any], arrays: Mapping[str, Any]) -> dict[str, Any]:
    """Return the connected Lava processes by name; the rasters lie in ``folder``."""
    built: dict[str, Any] = {}
    for index, spec in enumerate(processes):
        own = {key.split("/", 1)[1]: arrays[key] for key in arrays if key.startswith(f"{index}/")}
        built[spec["name"]] = _BUILDERS[spec["kind"]](folder, spec, own)
    for (source, out_port), (target, in_port), view in wires:
        if isinstance(built[target], Probe):
            getattr(built[target], in_port).connect_var(getattr(built[source], out_port))
            continue
        port = getattr(built[source], out_port)
        for operation, argument in view:
            port = getattr(port, operation)(tuple(argument))
        port.connect(getattr(built[target], in_port))
    return built


def _source(folder: Path, spec: Spec, _: Arrays) -> Any:
    keys = ("neurons", "message_bits", "name")
    return Source(raster=str(folder / spec["raster"]), **{key: spec[key] for key in keys})


def _sink(folder: Path, spec: Spec, _: Arrays) -> Any:
    return Sink(
        neurons=spec["neurons"],
        latencies=spec["latencies"],
        rasters=[str(folder / raster) for raster in spec["rasters"]],
        beat=str(folder / "beat.npy"),
        name=spec["name"],
    )


def _probe(folder: Path, spec: Spec, _: Arrays) -> Any:
    return Probe(
        neurons=spec["neurons"],
        latencies=spec["latencies"],
        rasters=[str(folder / raster) for raster in spec["rasters"]],
        name=spec["name"],
    )


def _ring_buffer(_: Path, spec: Spec, __: Arrays) -> Any:
    buffer = RingBuffer(shape=tuple(spec["neurons"]), buffer=spec["buffer"])
    buffer.name = spec["name"]
    return buffer


def read_ring_buffers(folder: Path, processes: list[Spec], built: Mapping[str, Any]) -> None:
    """Read Lava's own sinks by Var.get, one element a message, and leave their rows in files."""
    for spec in (spec for spec in processes if spec["kind"] == "RingBuffer"):
        rows = built[spec["name"]].data.get().T[spec["latencies"][0] :]
        path = folder / spec["rasters"][0]
        raster = np.load(path, mmap_mode="r+", allow_pickle=False)
        raster[:] = rows[: len(raster)]


def _lif(_: Path, spec: Spec, arrays: Arrays) -> Any:
    reset = {key: spec[key] for key in ("reset_interval", "reset_offset") if key in spec}
    process = LIFReset if reset else LIF
    if "du" in arrays:
        process = LIFResetOwnDecays if reset else LIFOwnDecays
    return process(
        shape=(spec["neurons"],),
        **{key: spec[key] for key in ("du", "dv", "vth") if key in spec},
        name=spec["name"],
        **arrays,
        **reset,
    )


def _subtractive_lif(_: Path, spec: Spec, arrays: Arrays) -> Any:
    shape = (spec["neurons"],)
    own = {key: np.broadcast_to(arrays.get(key, spec.get(key)), shape) for key in ("du", "dv", "vth")}
    reset = {key: spec[key] for key in ("reset_interval", "reset_offset") if key in spec}
    return SubtractiveLIF(shape=shape, name=spec["name"], **{**arrays, **own}, **reset)


def _options(spec: Spec) -> dict[str, Any]:
    keys = ("weight_exp", "num_weight_bits", "num_message_bits", "name")
    return {**{key: spec[key] for key in keys}, "sign_mode": SignMode[spec["sign_mode"]]}


def _dense(_: Path, spec: Spec, arrays: Arrays) -> Any:
    weights = arrays["weights"].astype(np.int32)
    if "delay" in spec:
        return DelayDense(weights=weights, delays=int(spec["delay"]), **_options(spec))
    return Dense(weights=weights, **_options(spec))


def _sparse(_: Path, spec: Spec, arrays: Arrays) -> Any:
    parts = (arrays["data"].astype(np.int32), arrays["indices"], arrays["indptr"])
    one = csr_matrix(parts, shape=tuple(spec["shape"]))
    weights = block_diag([one] * spec["copies"], format="csr")
    if "delay" in spec:
        # a plain number would fill a matrix of all pairs, of all copies, in every step
        delays = csr_matrix(
            (np.full(weights.nnz, spec["delay"]), weights.indices, weights.indptr), shape=weights.shape
        )
        return DelaySparse(weights=weights, delays=delays, max_delay=int(spec["delay"]), **_options(spec))
    return Sparse(weights=weights, **_options(spec))


def _conv(_: Path, spec: Spec, arrays: Arrays) -> Any:
    geometry = {key: tuple(spec[key]) for key in ("input_shape", "stride", "padding", "dilation")}
    options = _options(spec)
    del options["sign_mode"]  # Conv has none: it uses its weights as they are
    return Conv(weight=arrays["weight"].astype(np.int32), groups=spec["groups"], **geometry, **options)


_BUILDERS: dict[str, Callable[[Path, Spec, Arrays], Any]] = {
    "Source": _source,
    "Sink": _sink,
    "Probe": _probe,
    "RingBuffer": _ring_buffer,
    "LIF": _lif,
    "LIFReset": _lif,
    "SubtractiveLIF": _subtractive_lif,
    "Dense": _dense,
    "DelayDense": _dense,
    "Sparse": _sparse,
    "DelaySparse": _sparse,
    "Conv": _conv,
}
