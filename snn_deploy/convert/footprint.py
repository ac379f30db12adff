"""Describe a quantised network to the fit check: sizes, nonzero patterns, ranges of integers."""

from __future__ import annotations

import numpy as np

from snn_deploy.hw_profiles.description import Layer, NetworkDescription, Source, SynapseGroup
from snn_deploy.network.arrays import IntArray
from snn_deploy.network.connections import Conv2d, Dense, size, synapses, weights
from snn_deploy.network.integers import UNREACHABLE_VTH
from snn_deploy.network.quantised import QuantisedNetwork, QuantisedPopulation, QuantisedProjection
from snn_deploy.network.schedule import depths, lava_delay


def describe(network: QuantisedNetwork) -> NetworkDescription:
    """The network as a chip has to hold it: one layer a population, one synapse group a projection.

    Layers come in the order of their depth behind the input. A delay is what a synapse must add to the
    one step that every connection costs. Raises ModelNotSupported for a cycle shorter than its delays need.
    """
    depth = depths(network)
    populations = sorted(network.populations, key=lambda population: depth[population.name])
    return NetworkDescription(
        sources=tuple(
            Source(node.name, int(np.prod(node.shape)), node.message_bits) for node in network.inputs
        ),
        layers=tuple(_layer(population, network) for population in populations),
        groups=tuple(_group(edge, lava_delay(edge, depth)) for edge in network.projections),
        outputs=tuple(output.node for output in network.outputs),
    )


def _layer(population: QuantisedPopulation, network: QuantisedNetwork) -> Layer:
    shape = network.nodes.get(population.node, ())
    return Layer(
        name=population.name,
        neurons=population.neurons,
        node=population.node,
        channels=shape[0] if len(shape) == 3 else 0,
        decay_u=population.du,
        decay_v=population.dv,
        # a read-out never fires: of a chip it needs the highest threshold
        threshold=min(population.vth, UNREACHABLE_VTH - 1),
        bias_mantissa=_range(population.bias_mant),
        bias_exp=_range(population.bias_exp),
        subtracts=population.spiking and population.reset == "subtract",
    )


def _group(edge: QuantisedProjection, delay: int) -> SynapseGroup:
    connection = edge.connection
    targets, sources = size(connection)
    values = weights(connection)
    stored = values.size
    indptr: IntArray | None = None
    indices: IntArray | None = None
    if isinstance(connection, Dense):
        negative = np.minimum(values, 0).sum(axis=1)
        positive = np.maximum(values, 0).sum(axis=1)
        if not values.all():
            indptr, indices = _pattern(values != 0)
    else:
        matrix = synapses(connection).astype(np.int64)
        matrix.eliminate_zeros()
        negative = np.asarray(matrix.minimum(0).sum(axis=1)).ravel()
        positive = np.asarray(matrix.maximum(0).sum(axis=1)).ravel()
        indptr, indices = matrix.indptr.astype(np.int64), matrix.indices.astype(np.int64)
    return SynapseGroup(
        name=edge.name,
        source=edge.source,
        target=edge.target,
        sources=sources,
        targets=targets,
        indptr=indptr,
        indices=indices,
        dense=isinstance(connection, Dense),
        convolution=isinstance(connection, Conv2d),
        parameters=stored,
        weight_bits=edge.weight_bits,
        weight_exp=edge.weight_exp,
        sign=edge.sign,
        weights=_range(values),
        delay=delay,
        drive=np.stack([negative, positive]) * 2.0**edge.weight_exp,
    )


def _pattern(nonzero: np.ndarray[tuple[int, ...], np.dtype[np.bool_]]) -> tuple[IntArray, IntArray]:
    """Compressed rows of a boolean matrix: (indptr, indices)."""
    columns = np.nonzero(nonzero)[1].astype(np.int64)
    ends = np.cumsum(np.count_nonzero(nonzero, axis=1), dtype=np.int64)
    return np.concatenate([np.zeros(1, dtype=np.int64), ends]), columns


def _range(values: IntArray) -> tuple[int, int]:
    return (int(values.min()), int(values.max())) if values.size else (0, 0)
