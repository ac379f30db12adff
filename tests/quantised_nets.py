"""Quantised networks for tests, piece by piece, and the integer equations written a second time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np
from scipy.sparse import random_array

from snn_deploy.network.connections import Connection, Conv2d, Dense, Sparse
from snn_deploy.network.contract import Contract
from snn_deploy.network.network import Input, Output
from snn_deploy.network.quantised import QuantisedNetwork, QuantisedPopulation, QuantisedProjection

Rng = np.random.Generator
Resets = Mapping[str, tuple[int, int]]


def population(name: str, neurons: int, rng: Rng, **changes: Any) -> QuantisedPopulation:
    """A population with biases, initial state and decays from everywhere in their ranges."""
    values: dict[str, Any] = {
        "name": name,
        "node": name,
        "index": np.arange(neurons),
        "du": int(rng.choice([-1, 0, 100, int(rng.integers(-1, 4096)), 4095])),
        "dv": int(rng.choice([0, 1, 100, int(rng.integers(0, 4097)), 4096])),
        "vth": int(rng.choice([0, 1, 40, int(rng.integers(1, 3000)), int(rng.integers(1, 131072))])),
        "bias_mant": rng.integers(-4096, 4096, neurons) * (rng.random(neurons) < 0.5),
        "bias_exp": rng.integers(-7, 8, neurons),
        "u0": rng.integers(-(1 << 23) + 1, 1 << 23, neurons) * (rng.random() < 0.5),
        "v0": rng.integers(-(1 << 23) + 1, 1 << 23, neurons) * (rng.random() < 0.5),
    }
    return QuantisedPopulation(**{**values, **changes})


def moderate(neurons: int, rng: Rng) -> dict[str, Any]:
    """Values of a population that neither stays silent nor fires in every step, with no initial state."""
    return {
        "du": int(rng.integers(200, 1500)),
        "dv": int(rng.integers(50, 600)),
        "vth": int(rng.integers(300, 900)),
        "bias_mant": rng.integers(-400, 1200, neurons),
        "bias_exp": rng.integers(-2, 3, neurons),
        "u0": np.zeros(neurons, dtype=np.int64),
        "v0": np.zeros(neurons, dtype=np.int64),
    }


def projection(
    source: str, target: str, connection: Connection, delay: int = 0, **changes: Any
) -> QuantisedProjection:
    """A mixed-sign 8-bit projection with exponent 0."""
    values: dict[str, Any] = {
        "name": f"{source}->{target}",
        "source": source,
        "target": target,
        "connection": connection,
        "weight_exp": 0,
        "weight_bits": 8,
        "sign": "mixed",
        "delay": delay,
    }
    return QuantisedProjection(**{**values, **changes})


def dense(neurons_out: int, neurons_in: int, rng: Rng, bits: int = 8) -> Dense:
    """Weights on the mixed-sign grid of that many bits."""
    step = 1 << (9 - bits)
    return Dense(rng.integers(-256 // step, 255 // step + 1, (neurons_out, neurons_in)) * step)


def sparse(neurons_out: int, neurons_in: int, rng: Rng, density: float) -> Sparse:
    matrix = random_array((neurons_out, neurons_in), density=density, format="csr", rng=rng)
    return Sparse(
        2 * rng.integers(-128, 128, matrix.nnz),
        matrix.indices.astype(np.int64),
        matrix.indptr.astype(np.int64),
        (neurons_out, neurons_in),
    )


def conv(shape: tuple[int, int, int], channels: int, rng: Rng, **geometry: Any) -> Conv2d:
    """A convolution over (channels, height, width)."""
    groups = geometry.get("groups", 1)
    kernel = geometry.get("kernel", (3, 3))
    return Conv2d(
        2 * rng.integers(-128, 128, (channels, shape[0] // groups, *kernel)),
        shape,
        geometry.get("stride", (1, 1)),
        geometry.get("padding", (1, 1)),
        geometry.get("dilation", (1, 1)),
        groups,
    )


def network(
    inputs: Mapping[str, tuple[int, ...]],
    populations: list[QuantisedPopulation],
    projections: list[QuantisedProjection],
    outputs: tuple[str, ...] | None = None,
    message_bits: Mapping[str, int] | None = None,
) -> QuantisedNetwork:
    bits = message_bits or {}
    nodes: dict[str, tuple[int, ...]] = {}
    for one in populations:
        nodes[one.node] = (nodes.get(one.node, (0,))[0] + one.neurons,)
    (reset,) = {one.reset for one in populations}
    return QuantisedNetwork(
        contract=Contract(1e-3, reset=reset),
        profile="test",
        inputs=tuple(Input(name, shape, bits.get(name, 0)) for name, shape in inputs.items()),
        populations=tuple(populations),
        projections=tuple(projections),
        outputs=tuple(Output(name, name) for name in outputs or (populations[-1].name,)),
        nodes=nodes,
    )


def spikes(samples: int, steps: int, neurons: int, rng: Rng, rate: float = 0.3) -> Any:
    return (rng.random((samples, steps, neurons)) < rate).astype(np.uint8)


def matrix(connection: Connection) -> Any:
    """W as int64 (neurons out, neurons in), convolutions by their definition."""
    if isinstance(connection, Dense):
        return connection.weight.astype(np.int64)
    if isinstance(connection, Sparse):
        out = np.zeros(connection.shape, dtype=np.int64)
        for row in range(connection.shape[0]):
            for k in range(int(connection.indptr[row]), int(connection.indptr[row + 1])):
                out[row, connection.indices[k]] += connection.data[k]
        return out
    channels, height, width = connection.output_shape
    _, in_height, in_width = connection.input_shape
    out = np.zeros((channels, height, width, *connection.input_shape), dtype=np.int64)
    per_out, per_in = channels // connection.groups, connection.weight.shape[1]
    for (o, i, ky, kx), weight in np.ndenumerate(connection.weight):
        for y in range(height):
            for x in range(width):
                row = y * connection.stride[0] - connection.padding[0] + ky * connection.dilation[0]
                column = x * connection.stride[1] - connection.padding[1] + kx * connection.dilation[1]
                if 0 <= row < in_height and 0 <= column < in_width:
                    out[o, y, x, o // per_out * per_in + i, row, column] += weight
    return out.reshape(channels * height * width, -1)


def reference(
    net: QuantisedNetwork,
    inputs: Mapping[str, Any],
    resets: Resets | None = None,
    events: Counter[str] | None = None,
    lost: dict[str, Counter[str]] | None = None,
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Spikes and v of all populations, (samples, steps, neurons), in int64, step by step.

    events: where given, counts how often u wrapped and v was clipped, at either end. lost: likewise for each
    population its wraps and saturations, without the v that were clipped above, fired and became 0.
    """
    seen: Counter[str] = Counter() if events is None else events
    lost = {} if lost is None else lost
    lost.update({p.name: Counter(wraps=0, saturations=0) for p in net.populations})
    samples, steps = next(iter(inputs.values())).shape[:2]
    fired = {p.name: np.zeros((samples, steps, p.neurons), dtype=np.uint8) for p in net.populations}
    voltage = {p.name: np.zeros((samples, steps, p.neurons), dtype=np.int64) for p in net.populations}
    source = {**inputs, **fired}
    weight = [matrix(edge.connection) for edge in net.projections]
    u = {p.name: np.tile(p.u0, (samples, 1)) for p in net.populations}
    v = {p.name: np.tile(p.v0, (samples, 1)) for p in net.populations}
    order = _order(net)
    for t in range(steps):
        for p in order:
            a = np.zeros((samples, p.neurons), dtype=np.int64)
            for edge, w in zip(net.projections, weight, strict=True):
                if edge.target == p.name and t >= edge.delay:
                    total = _int32(source[edge.source][:, t - edge.delay].astype(np.int64) @ w.T)
                    e = edge.weight_exp
                    a += total * 2**e if e >= 0 else np.floor_divide(total, 2**-e)
            interval, offset = (resets or {}).get(p.name, (0, 0))
            if interval and (t + 1) % interval == offset % interval:
                u[p.name], v[p.name] = np.zeros_like(a), np.zeros_like(a)
            x = _decayed(u[p.name], 4096 - (p.du + 1)) + a * 64
            lost[p.name]["wraps"] += int((~((x > -(2**23)) & (x <= 2**23))).sum())
            x = _int32(x)
            above, below = x > 2**23, x <= -(2**23)
            x = np.where(above, x - 2**24, np.where(below, x + 2**24, x))
            bias = np.where(
                p.bias_exp >= 0,
                p.bias_mant * 2.0 ** np.abs(p.bias_exp),
                np.floor(p.bias_mant / 2.0 ** np.abs(p.bias_exp)),
            ).astype(np.int64)
            y = _decayed(v[p.name], 4096 - p.dv) + x + bias
            subtracts = p.reset == "subtract"
            highest = 2**23 - 1 if subtracts or p.vth * 64 >= 2**23 - 1 else 2**31 - 1
            lost[p.name]["saturations"] += int(((y < -(2**23) + 1) | (y > highest)).sum())
            y = _int32(y)
            seen["u wraps down"] += int(above.sum())
            seen["u wraps up"] += int(below.sum())
            seen["v clips above"] += int((y > 2**23 - 1).sum())
            seen["v clips below"] += int((y < -(2**23) + 1).sum())
            y = np.clip(y, -(2**23) + 1, 2**23 - 1)
            spike = y > p.vth * 64
            y[spike] = y[spike] - p.vth * 64 if subtracts else 0
            u[p.name], v[p.name] = x, y
            fired[p.name][:, t], voltage[p.name][:, t] = spike, y
    return fired, voltage


def _int32(x: Any) -> Any:
    """Lava's u and v are int32: sums beyond it turn around at 2^32."""
    return (x + 2**31) % 2**32 - 2**31


def _decayed(x: Any, keep: int) -> Any:
    return np.sign(x) * (np.abs(x) * keep // 4096)


def _order(net: QuantisedNetwork) -> list[QuantisedPopulation]:
    """Populations so that every projection without delay runs forward."""
    done: list[QuantisedPopulation] = []
    waiting = list(net.populations)
    while waiting:
        names = {p.name for p in waiting}
        blocked = {e.target for e in net.projections if e.delay == 0 and e.source in names}
        done += [p for p in waiting if p.name not in blocked]
        waiting = [p for p in waiting if p.name in blocked]
    return done


def activity(net: QuantisedNetwork, spiking: Mapping[str, Any]) -> dict[str, dict[str, int]]:
    """Events of each population, counted one synapse at a time from all spikes (inputs included)."""
    samples, steps = next(iter(spiking.values())).shape[:2]
    rows = {
        p.name: {
            "spikes": int(spiking[p.name].sum()),
            "neuron_updates": p.neurons * samples * steps,
            "input_events": 0,
            "synops": 0,
            "synops_stored": 0,
        }
        for p in net.populations
    }
    for edge in net.projections:
        arrived = (spiking[edge.source][:, : max(steps - edge.delay, 0)] != 0).sum(axis=(0, 1))
        ones = _stored(edge.connection)
        row = rows[edge.target]
        row["input_events"] += int(arrived.sum())
        row["synops"] += int((arrived * (matrix(edge.connection) != 0)).sum())
        row["synops_stored"] += int((arrived * ones).sum())
    return rows


def _stored(connection: Connection) -> Any:
    """1 where a synapse is stored, zeros of weight included."""
    if isinstance(connection, Dense):
        return np.ones(connection.weight.shape, dtype=np.int64)
    if isinstance(connection, Sparse):
        return matrix(Sparse(np.ones_like(connection.data), *list(vars(connection).values())[1:]))
    return matrix(Conv2d(np.ones_like(connection.weight), *list(vars(connection).values())[1:]))
