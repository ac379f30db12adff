"""A ``.net`` file as a NIR graph, in units of the threshold mantissa: for the float reference.

Its floats are the file's integers. What NIR has no form for is near: a state without decay gets the longest
time constant, and a bias, which the chip adds to v, enters as a constant current with the same final effect.
"""

from __future__ import annotations

from typing import Any

import nir
import numpy as np

from snn_deploy.convert.frontends.lavadl.layers import Model, NetLayer
from snn_deploy.network.connections import Connection, Conv2d, map_weights, synapses
from snn_deploy.network.contract import Contract
from snn_deploy.network.integers import DECAY_UNITY

#: Steps of the time constant of a state that does not decay.
_ENDLESS = float(1 << 24)


def nir_graph(model: Model, contract: Contract) -> nir.NIRGraph:
    """The graph; names are those of the integer network's nodes."""
    graph = _Graph(contract)
    graph.nodes["input"] = nir.Input(np.array(model.input_shape))
    if model.layers[0].message_bits:
        graph.nodes["input"].metadata = {"message_bits": model.layers[0].message_bits}
    source, shape = "input", model.input_shape
    for layer in model.layers:
        graph.layer(layer, source, shape)
        source, shape = layer.name, layer.shape
    graph.nodes["output"] = nir.Output(np.array(shape))
    graph.edges.append((source, "output"))
    return nir.NIRGraph(graph.nodes, graph.edges, metadata=contract.metadata(), type_check=False)


class _Graph:
    def __init__(self, contract: Contract) -> None:
        self.dt = contract.dt
        self.nodes: dict[str, Any] = {}
        self.edges: list[tuple[str, str]] = []

    def layer(self, layer: NetLayer, source: str, shape: tuple[int, ...]) -> None:
        """Add a layer's synapses and neurons behind ``source``."""
        self.nodes[layer.name] = self._neurons(layer)
        if not isinstance(layer.connection, Conv2d) and len(shape) > 1 and layer.kind != "input":
            source = self._behind(
                source, f"{layer.name}_flat", nir.Flatten({"input": np.array(shape)}, 0, -1)
            )
        self._weights(layer, source)
        if layer.recurrent is not None:
            back = nir.Linear(layer.recurrent.weight.astype(np.float64))
            self.edges.append((self._behind(layer.name, f"{layer.name}_recurrent", back), layer.name))

    def _behind(self, source: str, name: str, node: Any) -> str:
        self.nodes[name] = node
        self.edges.append((source, name))
        return name

    def _weights(self, layer: NetLayer, source: str) -> None:
        """The paths from ``source`` to the layer: one, or one for the bias and one for each delay."""
        name, neurons = f"{layer.name}_weight", layer.name
        bias = layer.bias * (max(layer.neuron.i_decay, 1) / DECAY_UNITY)
        if layer.delay is None:
            self.edges.append((self._behind(source, name, _map(layer, layer.connection, bias)), neurons))
            return
        if bias.any():
            nothing = map_weights(layer.connection, np.zeros_like)
            self.edges.append(
                (self._behind(source, f"{layer.name}_bias", _map(layer, nothing, bias)), neurons)
            )
        if layer.delay.shape[1] == 1:
            last = self._behind(source, name, _map(layer, layer.connection, np.zeros_like(bias)))
            steps = np.broadcast_to(layer.delay[:, 0], bias.shape).reshape(layer.shape)
            self.edges.append(
                (self._behind(last, f"{layer.name}_delay", nir.Delay(steps * self.dt)), neurons)
            )
            return
        whole = synapses(layer.connection).toarray()
        for delay in np.unique(layer.delay):
            late = self._behind(
                source, f"{layer.name}_delay{delay}", nir.Delay(np.full(whole.shape[1], delay * self.dt))
            )
            part = nir.Linear(np.where(layer.delay == delay, whole, 0).astype(np.float64))
            self.edges.append((self._behind(late, f"{name}{delay}", part), neurons))

    def _neurons(self, layer: NetLayer) -> Any:
        """Decays of d / 4096 a step; gains of 1, as weights and bias are in threshold mantissas."""
        steps = [
            DECAY_UNITY / decay if decay else _ENDLESS
            for decay in (layer.neuron.i_decay, layer.neuron.v_decay)
        ]
        each = np.ones(layer.shape)
        cuba = {
            "tau_syn": steps[0] * self.dt * each,
            "tau_mem": steps[1] * self.dt * each,
            "r": steps[1] * each,
            "v_leak": 0 * each,
            "w_in": steps[0] * each / layer.share,
        }
        if not layer.neuron.spiking:
            return nir.CubaLI(**cuba)
        return nir.CubaLIF(**cuba, v_threshold=layer.neuron.vth * each, v_reset=0 * each)


def _map(layer: NetLayer, connection: Connection, bias: Any) -> Any:
    """The NIR node of a connection; ``bias`` has one value a neuron."""
    if isinstance(connection, Conv2d):
        return _conv(connection, bias)
    if layer.kind == "input" and len(layer.shape) == 3:
        channels, height, width = layer.shape
        kernel = synapses(connection).data.reshape(layer.shape)[:, :1, :1, None]
        return _conv(Conv2d(kernel, (channels, height, width), (1, 1), (0, 0), (1, 1), channels), bias)
    matrix = synapses(connection).toarray().astype(np.float64)
    return nir.Affine(matrix, bias) if np.any(bias) else nir.Linear(matrix)


def _conv(connection: Conv2d, bias: Any) -> Any:
    return nir.Conv2d(
        input_shape=connection.input_shape[1:],
        weight=connection.weight.astype(np.float64),
        stride=connection.stride,
        padding=connection.padding,
        dilation=connection.dilation,
        groups=connection.groups,
        bias=np.asarray(bias, dtype=np.float64).reshape(connection.output_shape)[:, 0, 0],
    )
