"""Small quantised networks with chosen features, and the integer reference, written a second time."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from snn_deploy.convert.artifact import Artifact
from snn_deploy.convert.connections import Connection, Dense, synapses
from snn_deploy.convert.contract import Contract
from snn_deploy.convert.network import Input, Output
from snn_deploy.convert.quantised import QuantisedNetwork, QuantisedPopulation, QuantisedProjection


def population(name: str, neurons: int, rng: np.random.Generator, **changes: Any) -> QuantisedPopulation:
    """A population with random biases and initial state, unless ``changes`` say otherwise."""
    values: dict[str, Any] = {
        "name": name,
        "node": name,
        "index": np.arange(neurons),
        "du": int(rng.integers(200, 1500)),
        "dv": int(rng.integers(50, 600)),
        "vth": int(rng.integers(300, 900)),
        "bias_mant": rng.integers(-400, 1200, neurons),
        "bias_exp": rng.integers(-2, 3, neurons),
        "u0": np.zeros(neurons, dtype=np.int64),
        "v0": np.zeros(neurons, dtype=np.int64),
    }
    return QuantisedPopulation(**{**values, **changes})


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


def dense(neurons_out: int, neurons_in: int, rng: np.random.Generator) -> Dense:
    """Even weights, as a mixed-sign 8-bit plane holds them."""
    return Dense(2 * rng.integers(-60, 70, (neurons_out, neurons_in)))


def artifact(
    inputs: Mapping[str, tuple[int, ...]],
    populations: list[QuantisedPopulation],
    projections: list[QuantisedProjection],
    outputs: tuple[str, ...],
) -> Artifact:
    """An artifact around the network; its graph is not used by integer backends."""
    nodes: dict[str, tuple[int, ...]] = {}
    for one in populations:
        nodes[one.node] = (nodes.get(one.node, (0,))[0] + one.neurons,)
    network = QuantisedNetwork(
        contract=Contract(1e-3),
        profile="test",
        inputs=tuple(Input(name, shape) for name, shape in inputs.items()),
        populations=tuple(populations),
        projections=tuple(projections),
        outputs=tuple(Output(name, name) for name in outputs),
        nodes=nodes,
    )
    return Artifact(network, graph=None)  # type: ignore[arg-type]


def spikes(samples: int, steps: int, neurons: int, rng: np.random.Generator, rate: float = 0.3) -> Any:
    return (rng.random((samples, steps, neurons)) < rate).astype(np.uint8)


def reference(
    network: QuantisedNetwork, inputs: Mapping[str, Any], voltages: dict[str, Any] | None = None
) -> dict[str, Any]:
    """All spikes, population -> (samples, steps, neurons), straight from the equations, in plain ints.

    voltages: filled with v after each step, likewise, where it is given.
    """
    samples, steps = next(iter(inputs.values())).shape[:2]
    out = {p.name: np.zeros((samples, steps, p.neurons), dtype=np.uint8) for p in network.populations}
    everything = {**inputs, **out}
    if voltages is not None:
        voltages |= {name: np.zeros(raster.shape, dtype=np.int64) for name, raster in out.items()}
    order = _order(network)
    for sample in range(samples):
        u = {p.name: [int(x) for x in p.u0] for p in network.populations}
        v = {p.name: [int(x) for x in p.v0] for p in network.populations}
        for t in range(steps):
            for p in order:
                a = np.zeros(p.neurons, dtype=np.int64)
                for edge in network.projections:
                    if edge.target == p.name and t >= edge.delay:
                        s = everything[edge.source][sample, t - edge.delay].astype(np.int64)
                        total = synapses(edge.connection).astype(np.int64) @ s
                        a += np.array([_shift(int(x), edge.weight_exp) for x in total])
                for i in range(p.neurons):
                    x = _trunc(u[p.name][i] * (4095 - p.du)) + int(a[i]) * 64
                    if x > 1 << 23:
                        x -= 1 << 24
                    elif x <= -(1 << 23):
                        x += 1 << 24
                    u[p.name][i] = x
                    y = _trunc(v[p.name][i] * (4096 - p.dv)) + x
                    y += _shift(int(p.bias_mant[i]), int(p.bias_exp[i]))
                    y = max(-(2**23 - 1), min(2**23 - 1, y))
                    fired = y > p.vth * 64
                    v[p.name][i] = 0 if fired else y
                    out[p.name][sample, t, i] = fired
                if voltages is not None:
                    voltages[p.name][sample, t] = v[p.name]
    return out


def _order(network: QuantisedNetwork) -> list[QuantisedPopulation]:
    """Populations so that every projection without delay runs forward."""
    done: list[QuantisedPopulation] = []
    waiting = list(network.populations)
    while waiting:
        names = {p.name for p in waiting}
        ready = [
            p
            for p in waiting
            if not any(e.target == p.name and e.delay == 0 and e.source in names for e in network.projections)
        ]
        done += ready
        waiting = [p for p in waiting if p not in ready]
    return done


def _shift(x: int, exponent: int) -> int:
    return x << exponent if exponent >= 0 else x >> -exponent


def _trunc(product: int) -> int:
    return product // 4096 if product >= 0 else -(-product // 4096)
