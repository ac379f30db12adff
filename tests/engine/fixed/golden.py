"""Golden traces: small networks and what stock Lava gave for them once, as JSON that a person can read."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from snn_deploy.network.connections import Connection, Conv2d, Dense, Sparse
from snn_deploy.network.quantised import QuantisedNetwork, QuantisedPopulation, QuantisedProjection
from snn_deploy.network.schedule import depths
from tests import quantised_nets as nets

FILE = Path(__file__).parent / "golden_lava_0_10_0.json"


@dataclass(frozen=True, eq=False)
class Case:
    """A network, its input (samples, steps, neurons), and LIFReset as population -> (interval, offset)."""

    name: str
    network: QuantisedNetwork
    inputs: Mapping[str, Any]
    resets: Mapping[str, tuple[int, int]]


def cases() -> list[Case]:
    """The networks that the traces are made of, from a fixed seed."""
    rng = np.random.default_rng(2026)
    return [
        _case("biases integrate in the lead-in", _layers(rng), rng),
        _case("LIFReset at each layer's offset", _layers(rng), rng, reset=True),
        _case("LIFReset leaves the recurrent buffer", _layers(rng, recurrent=True), rng, reset=True),
        _case("exponents of both signs, excitatory and inhibitory planes", _planes(rng), rng),
        _case("u wraps, v saturates, no decay", _extremes(rng), rng),
        _case("delays, from the input and around a cycle", _delays(rng), rng),
        _case("sparse weights, stored zeros", _sparse(rng), rng),
        _case("graded input", _graded(rng), rng),
        _case("initial states", _initial(rng), rng),
        _case("convolutions, grouped and pooling, LIFReset", _convolutions(rng), rng, reset=True),
        _case("LIFReset leaves delayed spikes, long ones and recurrent ones", _late(rng), rng, reset=True),
        _case("sums beyond int32", _beyond(rng), rng, reach=(1 << 23) - 1),
    ]


def _case(name: str, network: QuantisedNetwork, rng: nets.Rng, reset: bool = False, reach: int = 90) -> Case:
    inputs: dict[str, Any] = {}
    for node in network.inputs:
        size = (3, 20, int(np.prod(node.shape)))
        if node.message_bits:
            inputs[node.name] = (rng.integers(-reach, reach + 1, size) * (rng.random(size) < 0.3)).astype(
                np.int32
            )
        else:
            inputs[node.name] = (rng.random(size) < 0.3).astype(np.uint8)
    depth = depths(network)
    resets = {p.name: (20, depth[p.name] + 1) for p in network.populations} if reset else {}
    return Case(name, network, inputs, resets)


def _neurons(name: str, rng: nets.Rng, neurons: int = 8, **changes: Any) -> QuantisedPopulation:
    values: dict[str, Any] = {
        "du": int(rng.integers(200, 1500)),
        "dv": int(rng.integers(50, 600)),
        "vth": int(rng.integers(300, 900)),
        "bias_mant": rng.integers(-400, 1500, neurons),
        "bias_exp": rng.integers(-2, 3, neurons),
        "u0": np.zeros(neurons, dtype=np.int64),
        "v0": np.zeros(neurons, dtype=np.int64),
    }
    return nets.population(name, neurons, rng, **{**values, **changes})


def _layers(rng: nets.Rng, recurrent: bool = False) -> QuantisedNetwork:
    populations = [_neurons(name, rng) for name in ("a", "b", "c")]
    edges = [nets.projection(*pair, nets.dense(8, 8, rng)) for pair in (("x", "a"), ("a", "b"), ("b", "c"))]
    if recurrent:
        edges += [nets.projection(p, p, nets.dense(8, 8, rng), delay=1) for p in ("a", "b")]
    return nets.network({"x": (8,)}, populations, edges)


def _planes(rng: nets.Rng) -> QuantisedNetwork:
    excitatory, inhibitory = Dense(rng.integers(0, 256, (8, 8))), Dense(-rng.integers(0, 200, (8, 8)))
    edges = [
        nets.projection("x", "a", nets.dense(8, 8, rng, 4), weight_bits=4, weight_exp=-5, name="coarse"),
        nets.projection("x", "a", excitatory, sign="excitatory", weight_exp=1, name="excitatory"),
        nets.projection("x", "a", inhibitory, sign="inhibitory", weight_exp=-1, name="inhibitory"),
        nets.projection("a", "b", nets.dense(8, 8, rng), weight_exp=-7),
        nets.projection("a", "b", nets.dense(8, 8, rng), weight_exp=3, name="fine"),
    ]
    return nets.network({"x": (8,)}, [_neurons("a", rng), _neurons("b", rng)], edges)


def _extremes(rng: nets.Rng) -> QuantisedNetwork:
    """a << 6 passes 2^23 in one step; du = -1 and dv = 0 keep everything, du = 4095 and dv = 4096 nothing."""
    heavy = Dense(2 * rng.integers(-40, 127, (8, 40)))
    populations = [
        _neurons("a", rng, du=-1, dv=0, vth=131071),
        _neurons("b", rng, du=4095, dv=4096, vth=60000),
        _neurons("c", rng, du=100, dv=3, vth=100000),
    ]
    edges = [
        nets.projection("x", p.name, heavy, weight_exp=e) for p, e in zip(populations, (5, 7, 6), strict=True)
    ]
    return nets.network({"x": (40,)}, populations, edges)


def _delays(rng: nets.Rng) -> QuantisedNetwork:
    edges = [
        nets.projection("x", "a", nets.dense(8, 8, rng), delay=3),
        nets.projection("a", "b", nets.dense(8, 8, rng)),
        nets.projection("b", "a", nets.dense(8, 8, rng), delay=4),
        nets.projection("x", "b", nets.dense(8, 8, rng), name="skip"),
    ]
    return nets.network({"x": (8,)}, [_neurons("a", rng), _neurons("b", rng)], edges)


def _sparse(rng: nets.Rng) -> QuantisedNetwork:
    connection = nets.sparse(8, 8, rng, 0.4)
    connection.data[::4] = 0
    edges = [nets.projection("x", "a", connection, weight_exp=1)]
    return nets.network({"x": (8,)}, [_neurons("a", rng)], edges)


def _graded(rng: nets.Rng) -> QuantisedNetwork:
    edges = [
        nets.projection("x", "a", nets.dense(8, 8, rng), weight_exp=-4, message_bits=8),
        nets.projection("a", "b", nets.dense(8, 8, rng)),
    ]
    populations = [_neurons("a", rng), _neurons("b", rng)]
    return nets.network({"x": (8,)}, populations, edges, message_bits={"x": 8})


def _initial(rng: nets.Rng) -> QuantisedNetwork:
    populations = [
        _neurons(name, rng, u0=rng.integers(-9000, 9000, 8), v0=rng.integers(-90000, 90000, 8))
        for name in ("a", "b")
    ]
    edges = [
        nets.projection("x", "a", nets.dense(8, 8, rng)),
        nets.projection("a", "b", nets.dense(8, 8, rng)),
    ]
    return nets.network({"x": (8,)}, populations, edges)


def _convolutions(rng: nets.Rng) -> QuantisedNetwork:
    """Kernels that a flip would change; strides, padding and dilation that differ by axis."""
    first = nets.conv(
        (2, 5, 4), 4, rng, kernel=(3, 2), stride=(2, 1), padding=(1, 0), dilation=(1, 2), groups=2
    )
    pool = Conv2d(np.full((4, 1, 1, 2), 66), first.output_shape, (1, 2), (0, 0), (1, 1), 4)
    second = nets.conv(pool.output_shape, 5, rng, kernel=(2, 1), padding=(0, 1))
    sizes = [int(np.prod(one.output_shape)) for one in (first, pool, second)]
    populations = [_neurons(name, rng, size) for name, size in zip("abc", sizes, strict=True)]
    edges = [
        nets.projection(*pair, one)
        for pair, one in zip((("x", "a"), ("a", "b"), ("b", "c")), (first, pool, second), strict=True)
    ]
    return nets.network({"x": (2, 5, 4)}, populations, edges)


def _late(rng: nets.Rng) -> QuantisedNetwork:
    """Delays of dense and sparse weights; those of 23 and 4 steps end in the sample after the next reset."""
    edges = [
        nets.projection("x", "a", nets.dense(8, 8, rng), delay=2),
        nets.projection("x", "a", nets.sparse(8, 8, rng, 0.5), delay=23, name="long"),
        nets.projection("a", "a", nets.dense(8, 8, rng), delay=4),
        nets.projection("a", "b", nets.sparse(8, 8, rng, 0.5), delay=3),
        nets.projection("b", "b", nets.sparse(8, 8, rng, 0.6), delay=1),
        nets.projection("x", "b", nets.dense(8, 8, rng), name="skip", weight_exp=-1),
        nets.projection("b", "a", nets.dense(8, 8, rng), delay=5, weight_exp=-2),
    ]
    return nets.network({"x": (8,)}, [_neurons("a", rng), _neurons("b", rng)], edges)


def _beyond(rng: nets.Rng) -> QuantisedNetwork:
    """Graded input whose a << 6 passes 2^31 (a), and whose sums do before they are shifted right (b).

    Lava holds both in int32, which turn around at 2^32.
    """
    slow = {"dv": 3, "vth": 90000}
    populations = [_neurons("a", rng, du=-1, **slow), _neurons("b", rng, du=3000, **slow)]
    edges = [
        nets.projection("x", "a", nets.dense(8, 30, rng), weight_exp=7, message_bits=24),
        nets.projection("x", "b", nets.dense(8, 30, rng), weight_exp=-7, message_bits=24),
    ]
    return nets.network({"x": (30,)}, populations, edges, message_bits={"x": 24})


def rows(raster: Any) -> list[str]:
    """A raster (steps, neurons) as strings of 0 and 1."""
    return ["".join(map(str, row)) for row in np.asarray(raster).astype(int).tolist()]


def describe(case: Case) -> dict[str, Any]:
    """A case as plain JSON: every integer of it."""
    return {
        "name": case.name,
        "inputs": [
            {
                "name": node.name,
                "message_bits": node.message_bits,
                "raster": case.inputs[node.name].tolist()
                if node.message_bits
                else [rows(sample) for sample in case.inputs[node.name]],
            }
            for node in case.network.inputs
        ],
        "populations": [_plain(p) for p in case.network.populations],
        "projections": [
            {**_plain(e), "connection": {"kind": type(e.connection).__name__, **_plain(e.connection)}}
            for e in case.network.projections
        ],
        "resets": {name: list(reset) for name, reset in case.resets.items()},
    }


def _plain(value: Any) -> dict[str, Any]:
    plain = {}
    for f in fields(value):
        held = getattr(value, f.name)
        plain[f.name] = held.tolist() if isinstance(held, np.ndarray) else held
    return {key: held for key, held in plain.items() if not isinstance(held, Dense | Sparse | Conv2d)}


def load() -> tuple[dict[str, Any], list[tuple[Case, dict[str, Any]]]]:
    """(provenance, cases with Lava's trace: population -> uint8 (Lava steps, neurons))."""
    content = json.loads(FILE.read_text(encoding="utf-8"))
    return content["provenance"], [(_read(entry), _trace(entry["lava"])) for entry in content["cases"]]


def _trace(lava: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: np.array([[int(c) for c in row] for row in lines], dtype=np.uint8)
        for name, lines in lava.items()
    }


def _read(entry: Mapping[str, Any]) -> Case:
    inputs, shapes, bits = {}, {}, {}
    for node in entry["inputs"]:
        graded = node["message_bits"] > 0
        values = node["raster"] if graded else [[[int(c) for c in row] for row in s] for s in node["raster"]]
        inputs[node["name"]] = np.array(values, dtype=np.int32 if graded else np.uint8)
        shapes[node["name"]] = inputs[node["name"]].shape[2:]
        bits[node["name"]] = node["message_bits"]
    populations = [
        QuantisedPopulation(**{k: np.array(v) if isinstance(v, list) else v for k, v in p.items()})
        for p in entry["populations"]
    ]
    projections = [
        QuantisedProjection(**{**e, "connection": _connection(e["connection"])}) for e in entry["projections"]
    ]
    network = nets.network(shapes, populations, projections, message_bits=bits)
    return Case(entry["name"], network, inputs, {k: (v[0], v[1]) for k, v in entry["resets"].items()})


def _connection(stored: Mapping[str, Any]) -> Connection:
    kinds: dict[str, type[Connection]] = {"Dense": Dense, "Sparse": Sparse, "Conv2d": Conv2d}
    geometry = ("shape", "input_shape", "stride", "padding", "dilation")
    values = {
        key: tuple(held) if key in geometry else np.array(held) if isinstance(held, list) else held
        for key, held in stored.items()
        if key != "kind"
    }
    return kinds[stored["kind"]](**values)
