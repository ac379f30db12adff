"""The artifact (``.snn``): one HDF5 file that any machine and Python version can run.

It holds every integer, the NIR graph the integers came from, the semantics contract, the profile,
the quantisation report, versions, seed and hashes. It contains no pickles, and everything read from
it is checked before use.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

from snn_deploy.convert.hashes import PARTS, POPULATION_ARRAYS, arrays_of, describe_network, hashes_of
from snn_deploy.convert.hdf5 import open_checked, read_tree
from snn_deploy.errors import ModelNotSupported, UnsafeFile, Violation
from snn_deploy.files import atomic_write
from snn_deploy.network.arrays import frozen
from snn_deploy.network.connections import Connection, Conv2d, Dense, Sparse
from snn_deploy.network.contract import Contract
from snn_deploy.network.discrete import DiscreteNetwork
from snn_deploy.network.network import Input, Output
from snn_deploy.network.quantised import QuantisedNetwork, QuantisedPopulation, QuantisedProjection
from snn_deploy.network.validity import QUANTISED, check

if TYPE_CHECKING:
    import h5py
    import nir

FORMAT = "snn-deploy artifact"
#: Version 2 states a hash for every part of :data:`PARTS`; version 1 only for the integers.
FORMAT_VERSION = 2
_READ_VERSIONS = (1, 2)

#: What reading a damaged description raises.
_DAMAGE = (KeyError, TypeError, ValueError, AttributeError, IndexError, OverflowError, RecursionError)

_CONNECTIONS: dict[str, Callable[..., Connection]] = {"dense": Dense, "sparse": Sparse, "conv2d": Conv2d}


@dataclass(frozen=True, eq=False)
class Artifact:
    """A converted model: the integer network, the graph it came from, and its provenance.

    provenance: JSON-able: source file and hash, front end, task, seed, versions.
    Raises ModelNotSupported for a network that :data:`QUANTISED` does not accept.
    """

    network: QuantisedNetwork
    graph: nir.NIRGraph
    provenance: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))

    def __post_init__(self) -> None:
        check(self.network, QUANTISED)

    @cached_property
    def hashes(self) -> dict[str, str]:
        """sha256, hexadecimal, of each part that a file holds: see :data:`PARTS`."""
        return hashes_of(self.network, self.provenance, graph_tree(self.graph))

    @cached_property
    def discrete(self) -> DiscreteNetwork:
        """The float network the integers were rounded from, derived again from the stored graph."""
        from snn_deploy.convert.pipeline import prepare

        return prepare(self.graph, self.network.contract).network

    def save(self, path: Path) -> None:
        """Write the file whole or not at all."""
        import h5py

        with atomic_write(path) as temporary, h5py.File(temporary, "w") as handle:
            handle.attrs["format"] = FORMAT
            handle.attrs["format_version"] = FORMAT_VERSION
            handle["description"] = json.dumps(_describe(self), indent=1)
            for i, population in enumerate(self.network.populations):
                group = handle.create_group(f"populations/{i}")
                for name in POPULATION_ARRAYS:
                    group.create_dataset(name, data=getattr(population, name), compression="gzip")
            for i, projection in enumerate(self.network.projections):
                group = handle.create_group(f"projections/{i}")
                for name, values in arrays_of(projection.connection).items():
                    group.create_dataset(name, data=values, compression="gzip")
            _write_graph(handle, self.graph)

    @staticmethod
    def load(path: Path | str) -> Artifact:
        """Read and check an artifact.

        Raises UnsafeFile where it is damaged, not an artifact, or of another version, where a part does not
        match its hash, and where an integer is out of range.
        """
        from snn_deploy.convert.frontends.nir_file import graph_from_tree

        tree, version = _read(path)
        try:
            description = json.loads(tree["description"])
            network = _network(description, tree)
            provenance = MappingProxyType(dict(description["provenance"]))
            _require_hashes(path, version, description["hashes"], hashes_of(network, provenance, tree["nir"]))
            return Artifact(network, graph_from_tree(tree["nir"], str(path)), provenance)
        except ModelNotSupported as error:
            raise UnsafeFile(replace(v, where=f"{path}: {v.where}") for v in error.violations) from error
        except _DAMAGE as error:
            raise UnsafeFile("this artifact is damaged", where=path, found=repr(error)) from error


def _read(path: Path | str) -> tuple[dict[str, Any], int]:
    """All that the file holds, and its format version."""
    with open_checked(path, "converted model (.snn)") as handle:
        if handle.attrs.get("format") != FORMAT:
            raise UnsafeFile(
                "not a converted model",
                where=path,
                remedy="Make one with 'snn-deploy convert MODEL -o FILE.snn'.",
            )
        version = int(handle.attrs.get("format_version", 0))
        if version not in _READ_VERSIONS:
            newer = version > FORMAT_VERSION
            raise UnsafeFile(
                "this artifact has a newer format" if newer else "this artifact has another format version",
                where=path,
                found=f"version {version}",
                allowed=", ".join(map(str, _READ_VERSIONS)),
                remedy="Update snn-deploy, or convert the model again."
                if newer
                else "Convert the model again.",
            )
        return read_tree(handle), version


def _require_hashes(
    path: Path | str, version: int, stored: Mapping[str, str], found: Mapping[str, str]
) -> None:
    """Raise UnsafeFile with every part that does not match the hash that the file states."""
    parts = ("integers",) if version == 1 else PARTS  # version 1 knew no other
    violations = [
        Violation(
            f"the {part} {'do' if part == 'integers' else 'does'} not match the stored hash",
            where=str(path),
            found=found[part],
            allowed=str(stored.get(part, "a hash")),
            remedy="Convert the model again.",
        )
        for part in parts
        if stored.get(part) != found[part]
    ]
    if violations:
        raise UnsafeFile(violations)


def _describe(artifact: Artifact) -> dict[str, Any]:
    return {
        **describe_network(artifact.network),
        "provenance": dict(artifact.provenance),
        "hashes": artifact.hashes,
    }


def _network(description: dict[str, Any], tree: dict[str, Any]) -> QuantisedNetwork:
    contract = Contract.resolve(description["contract"])
    populations = []
    for i, scalars in enumerate(description["populations"]):
        arrays: dict[str, Any] = _integer_arrays(tree["populations"][str(i)])
        populations.append(QuantisedPopulation(**arrays, **scalars, reset=contract.reset))
    projections = []
    for i, scalars in enumerate(description["projections"]):
        stated: dict[str, Any] = {
            k: tuple(v) if isinstance(v, list) else v for k, v in scalars["connection"].items()
        }
        arrays = _integer_arrays(tree["projections"][str(i)])
        connection = _CONNECTIONS[stated.pop("kind")](**arrays, **stated)
        projections.append(QuantisedProjection(**{**scalars, "connection": connection}))
    return QuantisedNetwork(
        contract=contract,
        profile=description["profile"],
        inputs=tuple(Input(**{**node, "shape": tuple(node["shape"])}) for node in description["inputs"]),
        populations=tuple(populations),
        projections=tuple(projections),
        outputs=tuple(Output(**node) for node in description["outputs"]),
        nodes=MappingProxyType({name: tuple(shape) for name, shape in description["nodes"].items()}),
        report=MappingProxyType(description["report"]),
    )


def _integer_arrays(group: Mapping[str, Any]) -> dict[str, Any]:
    for name, values in group.items():
        if np.asarray(values).dtype.kind not in "iu":
            raise ValueError(f"{name} holds {np.asarray(values).dtype}, not integers")
    return {name: frozen(values, np.int64) for name, values in group.items()}


def graph_tree(graph: nir.NIRGraph) -> dict[str, Any]:
    """The graph as nested dicts, as nir.write lays it out."""
    import h5py

    with h5py.File(_written(graph), "r") as source:
        return read_tree(source["node"])


def _write_graph(handle: h5py.File, graph: nir.NIRGraph) -> None:
    """Store the graph as nir.write lays it out, under /nir."""
    import h5py

    with h5py.File(_written(graph), "r") as source:
        source.copy("node", handle, name="nir")


def _written(graph: nir.NIRGraph) -> io.BytesIO:
    """A NIR file in memory."""
    import nir

    buffer = io.BytesIO()
    nir.write(buffer, graph)
    return buffer
