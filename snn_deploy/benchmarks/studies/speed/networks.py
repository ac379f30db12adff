"""The networks of ``bench speed``: random integers, thresholds set so that layers fire at given rates."""

from __future__ import annotations

from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from snn_deploy.network.connections import Connection, Conv2d, Dense
from snn_deploy.network.contract import Contract
from snn_deploy.network.network import Input, Output
from snn_deploy.network.quantised import QuantisedNetwork, QuantisedPopulation, QuantisedProjection
from snn_deploy.train.recipe import Recipe

#: One time step, in seconds.
DT = 1e-3


@dataclass(frozen=True)
class Layer:
    """One layer: neurons, or (channels, kernel, stride) of a convolution; the rate it shall fire at."""

    neurons: int = 0
    convolution: tuple[int, int, int] | None = None
    rate: float = 0.15
    recurrent: bool = False


@dataclass(frozen=True)
class Benchmark:
    """One network: its input shape and layers, and the samples a call that are measured.

    input_rate: spikes a step of each Bernoulli input. tau_syn_inv and tau_mem_inv: in 1/s, by default
    those of Norse's LIFParameters. about: where the figures come from.
    """

    name: str
    shape: tuple[int, ...]
    layers: tuple[Layer, ...]
    batches: tuple[int, ...] = (1, 32, 256)
    steps: int = 60
    input_rate: float = 0.1
    tau_syn_inv: float = 200.0
    tau_mem_inv: float = 100.0
    about: str = "random weights, Bernoulli input"


_RATES = (0.11, 0.14, 0.17)
_SIZES = (256, 128, 512)
_EMOJI = Recipe()
BENCHMARKS = (
    Benchmark("feed-forward", (256,), tuple(Layer(n, rate=r) for n, r in zip(_SIZES, _RATES, strict=True))),
    Benchmark(
        "recurrent",
        (256,),
        tuple(Layer(n, rate=r, recurrent=n == 256) for n, r in zip(_SIZES, _RATES, strict=True)),
    ),
    Benchmark(
        "convolutional",
        (2, 34, 34),
        (
            Layer(convolution=(16, 5, 2), rate=0.10),
            Layer(convolution=(32, 3, 2), rate=0.12),
            Layer(256, rate=0.14),
            Layer(10, rate=0.15),
        ),
        (1, 32, 128),
    ),
    Benchmark(
        "emoji encoder",
        (16 * 16 * 3,),
        (Layer(_EMOJI.hidden, rate=0.078), Layer(2 * _EMOJI.pairs, rate=0.022)),
        steps=_EMOJI.steps,
        input_rate=0.22,
        tau_syn_inv=_EMOJI.tau_syn_inv,
        tau_mem_inv=_EMOJI.tau_mem_inv,
        about=(
            "the image tower that `bench emoji-captions` trains, at the rates that its unseen drawings "
            "gave with seed 0 (input 22.0 %, layers 7.8 and 2.2 %); random weights in one "
            "plane, Bernoulli input"
        ),
    ),
)


def spikes(benchmark: Benchmark, samples: int, seed: int = 0, rate: float | None = None) -> NDArray[np.uint8]:
    """Bernoulli input at ``rate``, by default the benchmark's: uint8 (samples, steps, neurons)."""
    shape = (samples, benchmark.steps, int(np.prod(benchmark.shape)))
    drawn = np.random.default_rng(seed).random(shape, dtype=np.float32)
    return (drawn < (benchmark.input_rate if rate is None else rate)).astype(np.uint8)


def build(benchmark: Benchmark, seed: int = 0) -> QuantisedNetwork:
    """Return the integer network, each layer's threshold found by bisection on its rate."""
    rng = np.random.default_rng(seed)
    populations: list[QuantisedPopulation] = []
    projections: list[QuantisedProjection] = []
    source, shape = "input", benchmark.shape
    drive = spikes(benchmark, 8, seed + 1)
    for i, layer in enumerate(benchmark.layers):
        connection = _connection(layer, shape, rng)
        shape = connection.output_shape if isinstance(connection, Conv2d) else (layer.neurons,)
        name = f"layer{i + 1}"
        populations.append(_population(benchmark, name, int(np.prod(shape)), rng))
        projections.append(_projection(f"{source}-{name}", source, name, connection, 0))
        if layer.recurrent:
            weights = _weights(rng, (layer.neurons, layer.neurons), mean=0.0)
            projections.append(_projection(f"{name}-{name}", name, name, Dense(weights), 1))
        populations[-1] = _tuned(benchmark, populations, projections, layer.rate, drive)
        source = name
    return _network(benchmark, populations, projections)


def _connection(layer: Layer, shape: tuple[int, ...], rng: np.random.Generator) -> Connection:
    if layer.convolution is None:
        return Dense(_weights(rng, (layer.neurons, int(np.prod(shape)))))
    channels, kernel, stride = layer.convolution
    channels_in, height, width = shape
    weights = _weights(rng, (channels, channels_in, kernel, kernel))
    return Conv2d(weights, (channels_in, height, width), (stride, stride), (0, 0), (1, 1), 1)


def _weights(rng: np.random.Generator, shape: tuple[int, ...], mean: float = 3.0) -> NDArray[Any]:
    """Even integers, as a mixed-sign 8-bit plane holds them; slightly positive, so that layers can fire."""
    drawn = np.clip(np.rint(rng.normal(mean, 40, shape)), -127, 127)
    return np.asarray(2 * drawn.astype(np.int64))


def _population(
    benchmark: Benchmark, name: str, neurons: int, rng: np.random.Generator
) -> QuantisedPopulation:
    """Loihi keeps (4095 - du) / 4096 of u and (4096 - dv) / 4096 of v in a step."""
    du = round(4096 * DT * benchmark.tau_syn_inv) - 1
    dv = round(4096 * DT * benchmark.tau_mem_inv)
    zeros = np.zeros(neurons, dtype=np.int64)
    bias = rng.integers(-60, 60, neurons)
    return QuantisedPopulation(
        name, name, np.arange(neurons), du, dv, 1000, bias, np.full(neurons, 4), zeros, zeros
    )


def _projection(
    name: str, source: str, target: str, connection: Connection, delay: int
) -> QuantisedProjection:
    return QuantisedProjection(name, source, target, connection, 0, 8, "mixed", delay)


def _network(
    benchmark: Benchmark, populations: list[QuantisedPopulation], projections: list[QuantisedProjection]
) -> QuantisedNetwork:
    return QuantisedNetwork(
        contract=Contract(DT),
        profile="loihi2",
        inputs=(Input("input", benchmark.shape),),
        populations=tuple(populations),
        projections=tuple(projections),
        outputs=(Output("output", populations[-1].name),),
        nodes=MappingProxyType({p.name: (p.neurons,) for p in populations}),
    )


def _tuned(
    benchmark: Benchmark,
    populations: list[QuantisedPopulation],
    projections: list[QuantisedProjection],
    rate: float,
    drive: NDArray[np.uint8],
) -> QuantisedPopulation:
    from snn_deploy.engine.fixed import kernel

    name = kernel.choose().name
    low, high = 1, (1 << 17) - 1
    while high - low > max(1, low // 200):
        tried = replace(populations[-1], vth=(low + high) // 2)
        network = _network(benchmark, [*populations[:-1], tried], projections)
        chunk = kernel.prepare(network, name).run({"input": drive})
        fired = chunk.spikes[tried.name].sum() / (drive.shape[0] * benchmark.steps * tried.neurons)
        low, high = (tried.vth, high) if fired > rate else (low, tried.vth)
    return replace(populations[-1], vth=high)


def neuron_steps(benchmark: Benchmark, network: QuantisedNetwork) -> int:
    """Neuron updates of one sample."""
    return benchmark.steps * sum(population.neurons for population in network.populations)
