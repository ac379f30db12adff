"""What an artifact is described by, and the sha256 of each of its parts."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import fields
from typing import Any

import numpy as np

from snn_deploy.network.connections import Connection
from snn_deploy.network.quantised import QuantisedNetwork, QuantisedPopulation, QuantisedProjection

#: What a file states a hash of.
PARTS = ("integers", "graph", "contract", "report", "provenance")
#: The integer arrays of a population.
POPULATION_ARRAYS = ("index", "bias_mant", "bias_exp", "u0", "v0")


def hashes_of(
    network: QuantisedNetwork, provenance: Mapping[str, Any], graph: Mapping[str, Any]
) -> dict[str, str]:
    """sha256 of each of :data:`PARTS`, hexadecimal; graph: nested dicts as a NIR file holds it."""
    plain = {
        "contract": network.contract.metadata(),
        "report": dict(network.report),
        "provenance": dict(provenance),
    }
    # keys and tuples as a file gives them back
    texts = {
        part: json.dumps(json.loads(json.dumps(value)), sort_keys=True).encode()
        for part, value in plain.items()
    }
    return {
        "integers": hash_integers(network),
        "graph": hash_tree(graph),
        **{part: hashlib.sha256(text).hexdigest() for part, text in texts.items()},
    }


def hash_tree(tree: Mapping[str, Any]) -> str:
    """sha256 over nested dicts of arrays, numbers and strings, hexadecimal; keys in any order."""
    digest = hashlib.sha256()

    def add(value: Any) -> None:
        if isinstance(value, Mapping):
            digest.update(b"{")
            for key in sorted(value):
                digest.update(f"{key}:".encode())
                add(value[key])
            digest.update(b"}")
            return
        array = np.asarray(value)
        if array.dtype.kind in "OSU":
            texts = [item.decode() if isinstance(item, bytes) else str(item) for item in array.reshape(-1)]
            digest.update(f"text{array.shape}{json.dumps(texts)}".encode())
        else:
            digest.update(f"{array.dtype.newbyteorder('<').str}{array.shape}".encode())
            digest.update(np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<")).tobytes())

    add(tree)
    return digest.hexdigest()


def hash_integers(network: QuantisedNetwork) -> str:
    """sha256 over every integer and the wiring of the network, hexadecimal."""
    digest = hashlib.sha256()
    description = describe_network(network)
    description.pop("report")
    digest.update(json.dumps(description, sort_keys=True).encode())
    for population in network.populations:
        for name in POPULATION_ARRAYS:
            digest.update(np.ascontiguousarray(getattr(population, name), dtype=np.int64).tobytes())
    for projection in network.projections:
        for name, values in sorted(arrays_of(projection.connection).items()):
            digest.update(name.encode() + str(values.shape).encode())
            digest.update(np.ascontiguousarray(values, dtype=np.int64).tobytes())
    return digest.hexdigest()


def describe_network(network: QuantisedNetwork) -> dict[str, Any]:
    """Everything of a network but its arrays, as plain containers for JSON."""
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
    """All but arrays, and the reset, which the contract states for all populations."""
    names = [f.name for f in fields(value) if f.name != "reset"]
    return {name: v for name in names if not isinstance(v := getattr(value, name), np.ndarray)}


def _projection_scalars(projection: QuantisedProjection) -> dict[str, Any]:
    connection = projection.connection
    kind = type(connection).__name__.lower()
    scalars = {f.name: getattr(projection, f.name) for f in fields(projection) if f.name != "connection"}
    geometry = {
        f.name: v for f in fields(connection) if not isinstance(v := getattr(connection, f.name), np.ndarray)
    }
    return {**scalars, "connection": {"kind": kind, **geometry}}


def arrays_of(connection: Connection) -> dict[str, Any]:
    """The arrays of a connection, by field."""
    return {f.name: v for f in fields(connection) if isinstance(v := getattr(connection, f.name), np.ndarray)}
