"""The artifact (``.snn``): one HDF5 file that any machine and Python version can run.

It holds every integer, the NIR graph the integers came from, the semantics contract, the profile,
the quantisation report, versions, seed and hashes. It contains no pickles, and everything read from
it is checked before use.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

from snn_deploy.convert.hdf5 import open_checked, read_tree
from snn_deploy.errors import UnsafeFile
from snn_deploy.files import atomic_write
from snn_deploy.network.arrays import frozen
from snn_deploy.network.connections import Connection, Conv2d, Dense, Sparse
from snn_deploy.network.contract import Contract
from snn_deploy.network.discrete import DiscreteNetwork
from snn_deploy.network.network import Input, Output
from snn_deploy.network.quantised import QuantisedNetwork, QuantisedPopulation, QuantisedProjection

if TYPE_CHECKING:
    import h5py
    import nir

FORMAT = "snn-deploy artifact"
FORMAT_VERSION = 1

_CONNECTIONS: dict[str, Callable[..., Connection]] = {"dense": Dense, "sparse": Sparse, "conv2d": Conv2d}


@dataclass(frozen=True, eq=False)
class Artifact:
    """A converted model: the integer network, the graph it came from, and its provenance.

    provenance: JSON-able: source file and hash, front end, task, seed, versions.
    hashes: sha256 of the graph and of the integers, hexadecimal.
    """

    network: QuantisedNetwork
    graph: nir.NIRGraph
    provenance: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))

    @property
    def hashes(self) -> dict[str, str]:
        return {"integers": hash_integers(self.network)}

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
                for name in ("index", "bias_mant", "bias_exp", "u0", "v0"):
                    group.create_dataset(name, data=getattr(population, name), compression="gzip")
            for i, projection in enumerate(self.network.projections):
                group = handle.create_group(f"projections/{i}")
                for name, values in _arrays(projection.connection).items():
                    group.create_dataset(name, data=values, compression="gzip")
            _write_graph(handle, self.graph)

    @staticmethod
    def load(path: Path | str) -> Artifact:
        """Read and check an artifact; raises UnsafeFile where it is damaged or not an artifact."""
        from snn_deploy.convert.frontends.nir_file import graph_from_tree

        with open_checked(path, "converted model (.snn)") as handle:
            if handle.attrs.get("format") != FORMAT:
                raise UnsafeFile(
                    "not a converted model",
                    where=path,
                    remedy="Make one with 'snn-deploy convert MODEL -o FILE.snn'.",
                )
            version = int(handle.attrs.get("format_version", 0))
            if version != FORMAT_VERSION:
                raise UnsafeFile(
                    "this artifact has another format version",
                    where=path,
                    found=version,
                    allowed=FORMAT_VERSION,
                )
            tree = read_tree(handle)
        try:
            description = json.loads(tree["description"])
            network = _network(description, tree)
            artifact = Artifact(
                network, graph_from_tree(tree["nir"], str(path)), MappingProxyType(description["provenance"])
            )
        except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
            raise UnsafeFile("this artifact is damaged", where=path, found=repr(error)) from error
        stored = description["hashes"].get("integers")
        if stored != artifact.hashes["integers"]:
            raise UnsafeFile(
                "the integers do not match their stored hash",
                where=path,
                found=artifact.hashes["integers"],
                allowed=stored,
                remedy="Convert the model again.",
            )
        return artifact


def hash_integers(network: QuantisedNetwork) -> str:
    """sha256 over every integer and the wiring of the network, hexadecimal."""
    digest = hashlib.sha256()
    description = _describe_network(network)
    description.pop("report")
    digest.update(json.dumps(description, sort_keys=True).encode())
    for population in network.populations:
        for name in ("index", "bias_mant", "bias_exp", "u0", "v0"):
            digest.update(np.ascontiguousarray(getattr(population, name), dtype=np.int64).tobytes())
    for projection in network.projections:
        for name, values in sorted(_arrays(projection.connection).items()):
            digest.update(name.encode() + str(values.shape).encode())
            digest.update(np.ascontiguousarray(values, dtype=np.int64).tobytes())
    return digest.hexdigest()


def _describe(artifact: Artifact) -> dict[str, Any]:
    return {
        **_describe_network(artifact.network),
        "provenance": dict(artifact.provenance),
        "hashes": artifact.hashes,
    }


def _describe_network(network: QuantisedNetwork) -> dict[str, Any]:
    return {
        "contract": network.contract.metadata(),
        "profile": network.profile,
        "inputs": [vars(node) for node in network.inputs],
        "outputs": [vars(node) for node in network.outputs],
        "nodes": {name: list(shape) for name, shape in network.nodes.items()},
        "populations": [_scalars(population) for population in network.populations],
        "projections": [_projection_scalars(projection) for projection in network.projections],
        "report": dict(network.report),
    }


def _scalars(value: QuantisedPopulation) -> dict[str, Any]:
    return {f.name: v for f in fields(value) if not isinstance(v := getattr(value, f.name), np.ndarray)}


def _projection_scalars(projection: QuantisedProjection) -> dict[str, Any]:
    connection = projection.connection
    kind = type(connection).__name__.lower()
    scalars = {f.name: getattr(projection, f.name) for f in fields(projection) if f.name != "connection"}
    geometry = {
        f.name: v for f in fields(connection) if not isinstance(v := getattr(connection, f.name), np.ndarray)
    }
    return {**scalars, "connection": {"kind": kind, **geometry}}


def _arrays(connection: Connection) -> dict[str, Any]:
    return {f.name: v for f in fields(connection) if isinstance(v := getattr(connection, f.name), np.ndarray)}


def _network(description: dict[str, Any], tree: dict[str, Any]) -> QuantisedNetwork:
    populations = []
    for i, scalars in enumerate(description["populations"]):
        arrays: dict[str, Any] = {k: frozen(v, np.int64) for k, v in tree["populations"][str(i)].items()}
        populations.append(QuantisedPopulation(**arrays, **scalars))
    projections = []
    for i, scalars in enumerate(description["projections"]):
        stated: dict[str, Any] = {
            k: tuple(v) if isinstance(v, list) else v for k, v in scalars["connection"].items()
        }
        arrays = {k: frozen(v, np.int64) for k, v in tree["projections"][str(i)].items()}
        connection = _CONNECTIONS[stated.pop("kind")](**arrays, **stated)
        projections.append(QuantisedProjection(**{**scalars, "connection": connection}))
    return QuantisedNetwork(
        contract=Contract.resolve(description["contract"]),
        profile=description["profile"],
        inputs=tuple(Input(**{**node, "shape": tuple(node["shape"])}) for node in description["inputs"]),
        populations=tuple(populations),
        projections=tuple(projections),
        outputs=tuple(Output(**node) for node in description["outputs"]),
        nodes=MappingProxyType({name: tuple(shape) for name, shape in description["nodes"].items()}),
        report=MappingProxyType(description["report"]),
    )


def _write_graph(handle: h5py.File, graph: nir.NIRGraph) -> None:
    """Store the graph as nir.write lays it out, under /nir, by way of a file in memory."""
    import io

    import h5py
    import nir

    buffer = io.BytesIO()
    nir.write(buffer, graph)
    with h5py.File(buffer, "r") as source:
        source.copy("node", handle, name="nir")
