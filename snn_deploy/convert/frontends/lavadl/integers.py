"""A ``.net`` file as a QuantisedNetwork: its integers as they are, laid out in planes that Loihi holds.

netx gives a layer one Dense. With mixed signs that holds even weights in -256 .. 254, or any in -128 .. 127
at an exponent of -1; what fits neither is split by sign, which adds up to the same sum.
"""

from __future__ import annotations

from collections.abc import Iterator
from types import MappingProxyType

import numpy as np

from snn_deploy.convert.frontends.lavadl.layers import BIAS_EXP, Model, NetLayer
from snn_deploy.network.arrays import IntArray, frozen
from snn_deploy.network.connections import Connection, Sparse, map_weights, synapses, weights
from snn_deploy.network.contract import Contract
from snn_deploy.network.network import Input, Output
from snn_deploy.network.quantised import (
    QuantisedNetwork,
    QuantisedPopulation,
    QuantisedProjection,
    SignMode,
)


def integer_network(model: Model, contract: Contract, profile: str) -> QuantisedNetwork:
    """The integer network of a file; u and v start at 0, as in netx."""
    populations = [_population(layer) for layer in model.layers]
    projections: list[QuantisedProjection] = []
    source, bits = "input", model.layers[0].message_bits
    for layer in model.layers:
        for delay, connection in _by_delay(layer):
            name = f"{source}->{layer.name}" + (f"+{delay}" if layer.delay is not None else "")
            projections += _planes(name, source, layer.name, connection, delay=delay, bits=bits)
        if layer.recurrent is not None:
            name = f"{layer.name}->{layer.name}"
            projections += _planes(name, layer.name, layer.name, layer.recurrent, delay=1, bits=0)
        source, bits = layer.name, 0
    return QuantisedNetwork(
        contract=contract,
        profile=profile,
        inputs=(Input("input", model.input_shape, model.layers[0].message_bits),),
        populations=tuple(populations),
        projections=tuple(projections),
        outputs=(Output("output", source),),
        nodes=MappingProxyType({layer.name: layer.shape for layer in model.layers}),
        report=MappingProxyType({"bits": 8, "integers": "as the .net file states them"}),
    )


def _population(layer: NetLayer) -> QuantisedPopulation:
    neurons = int(np.prod(layer.shape))
    nothing = frozen(np.zeros(neurons), np.int64)
    return QuantisedPopulation(
        name=layer.name,
        node=layer.name,
        index=frozen(np.arange(neurons), np.int64),
        du=layer.neuron.i_decay - 1,
        dv=layer.neuron.v_decay,
        vth=layer.neuron.vth,
        bias_mant=layer.bias,
        bias_exp=frozen(np.full(neurons, BIAS_EXP), np.int64),
        u0=nothing,
        v0=nothing,
        scale=float(layer.share),
        spiking=layer.neuron.spiking,
    )


def _by_delay(layer: NetLayer) -> Iterator[tuple[int, Connection]]:
    """The layer's connection, split into the synapses of each delay."""
    if layer.delay is None:
        yield 0, layer.connection
    elif layer.delay.size == 1:
        yield int(layer.delay[0, 0]), layer.connection
    else:
        entries = synapses(layer.connection).tocoo()
        delays = np.broadcast_to(layer.delay, entries.shape)[entries.row, entries.col]
        for delay in np.unique(delays):
            chosen = delays == delay
            yield (
                int(delay),
                _sparse(entries.row[chosen], entries.col[chosen], entries.data[chosen], entries.shape),
            )


def _sparse(rows: IntArray, columns: IntArray, values: IntArray, shape: tuple[int, int]) -> Sparse:
    order = np.lexsort((columns, rows))
    pointers = np.concatenate([[0], np.cumsum(np.bincount(rows, minlength=shape[0]))])
    return Sparse(
        frozen(values[order], np.int64),
        frozen(columns[order], np.int64),
        frozen(pointers, np.int64),
        (int(shape[0]), int(shape[1])),
    )


def _planes(
    name: str, source: str, target: str, connection: Connection, *, delay: int, bits: int
) -> list[QuantisedProjection]:
    planes = [(sign, exponent, plane) for sign, exponent, plane in _split(connection)]
    return [
        QuantisedProjection(
            name=name if len(planes) == 1 else f"{name}[{sign[:3]}]",
            source=source,
            target=target,
            connection=plane,
            weight_exp=exponent,
            weight_bits=8,
            sign=sign,
            delay=delay,
            message_bits=bits,
        )
        for sign, exponent, plane in planes
    ]


def _split(connection: Connection) -> list[tuple[SignMode, int, Connection]]:
    """(sign, exponent, plane) whose shifted sums add up to the connection's."""
    values = weights(connection)
    low, high = int(values.min(initial=0)), int(values.max(initial=0))
    if low >= 0:
        return [("excitatory", 0, connection)]
    if high <= 0 and low > -256:
        return [("inhibitory", 0, connection)]
    if not np.any(values & 1):
        return [("mixed", 0, connection)]
    if low >= -128 and high <= 127:
        return [("mixed", -1, map_weights(connection, lambda w: frozen(2 * w, np.int64)))]
    return [
        ("excitatory", 0, map_weights(connection, lambda w: frozen(np.maximum(w, 0), np.int64))),
        ("inhibitory", 0, map_weights(connection, lambda w: frozen(np.minimum(w, 0), np.int64))),
    ]
