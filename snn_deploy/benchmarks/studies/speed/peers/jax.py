"""JAX: spyx's CuBaLIF, and the same network by hand; jit around lax.scan, on one thread.

By hand, with alpha and beta the parts that a step keeps, x the input current and R recurrent weights:
i[t] = alpha i[t-1] + x[t] + R z[t-1] ;  v' = beta v[t-1] + i[t] ;  z[t] = [v' > 1] ;
v[t] = 0 where z[t], else v'.
spyx's neuron (spyx.nn, RCuBaLIF where a layer is recurrent) takes the threshold off v instead.

Either may scan over time with all layers in a step, or layer by layer with one product for all steps: both
are measured, and the faster counts.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from typing import Any

# Read by XLA when it starts, at the first computation.
os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
os.environ["JAX_PLATFORMS"] = "cpu"

import jax
import jax.numpy as jnp

from snn_deploy.benchmarks.studies.speed.peers._workload import (
    Floats,
    Layer,
    Row,
    Spec,
    Weights,
    report,
    serve,
    speeds,
    tuned,
)


@dataclass(frozen=True)
class Neurons:
    """One layer of neurons: ``begin`` (samples) -> state; ``step`` (state, current) -> (state, spikes).

    shape: of the spikes of one sample."""

    shape: tuple[int, ...]
    begin: Callable[[int], Any]
    step: Callable[[Any, Any], tuple[Any, Any]]


def by_hand(spec: Spec, drawn: Weights) -> Neurons:
    """The equation above."""

    def begin(samples: int) -> Any:
        zeros = jnp.zeros((samples, *drawn.shape))
        return zeros, zeros, zeros

    def step(state: Any, current: Any) -> tuple[Any, Any]:
        v, i, z = state
        if drawn.recurrent is not None:
            current = current + z @ drawn.recurrent.T
        i = spec.alpha * i + current
        v = spec.beta * v + i
        z = (v > 1).astype(jnp.float32)
        return (jnp.where(z > 0, 0.0, v), i, z), z

    return Neurons(drawn.shape, begin, step)


def by_spyx(spec: Spec, drawn: Weights) -> Neurons:
    """spyx's neuron, a Haiku module, as a function of its state."""
    import haiku
    from spyx import nn

    kind = nn.CuBaLIF if drawn.recurrent is None else nn.RCuBaLIF

    def call(current: Any, state: Any) -> Any:
        return kind(drawn.shape, alpha=spec.alpha, beta=spec.beta)(current, state)

    called = haiku.without_apply_rng(haiku.transform(call))
    # spyx's own state, (samples, *shape) with v and i one after the other along the last axis
    width = (*drawn.shape[:-1], 2 * drawn.shape[-1])
    parameters = called.init(jax.random.PRNGKey(0), jnp.zeros((1, *drawn.shape)), jnp.zeros((1, *width)))
    if drawn.recurrent is not None:
        ((name, own),) = parameters.items()
        parameters = {name: {**own, "w": jnp.asarray(drawn.recurrent.T)}}

    def step(state: Any, current: Any) -> tuple[Any, Any]:
        fired, state = called.apply(parameters, current, state)
        return state, fired

    return Neurons(drawn.shape, lambda samples: jnp.zeros((samples, *width)), step)


def connect(layer: Layer, weights: Any, spikes: Any) -> Any:
    """Input currents of a layer; spikes: (samples, *shape); weights as :func:`forward_weights` gives them."""
    if layer.convolution is None:
        return spikes.reshape(len(spikes), -1) @ weights
    stride = (layer.convolution[2],) * 2
    return jax.lax.conv_general_dilated(
        spikes, weights, stride, "VALID", dimension_numbers=("NCHW", "OIHW", "NCHW")
    )


@dataclass(frozen=True)
class Network:
    """A network as functions of its forward weights and its input (steps, samples, *shape)."""

    layers: tuple[Layer, ...]
    neurons: tuple[Neurons, ...]

    def by_steps(self, weights: Sequence[Any], spikes: Any) -> Any:
        """The last layer's spikes summed over time; one scan, all layers in a step."""
        samples = spikes.shape[1]

        def step(carried: Any, fired: Any) -> tuple[Any, None]:
            states, count = carried
            moved = []
            for layer, neurons, matrix, state in zip(self.layers, self.neurons, weights, states, strict=True):
                changed, fired = neurons.step(state, connect(layer, matrix, fired))
                moved.append(changed)
            return (moved, count + fired), None

        states = [neurons.begin(samples) for neurons in self.neurons]
        count = jnp.zeros((samples, *self.neurons[-1].shape))
        return jax.lax.scan(step, (states, count), spikes)[0][1]

    def rasters(self, weights: Sequence[Any], spikes: Any) -> list[Any]:
        """Spikes of every layer, (steps, samples, *shape); a product over all steps and a scan a layer."""
        found = []
        for layer, neurons, matrix in zip(self.layers, self.neurons, weights, strict=True):
            currents = connect(layer, matrix, spikes.reshape(-1, *spikes.shape[2:]))
            currents = currents.reshape(*spikes.shape[:2], *neurons.shape)
            _, spikes = jax.lax.scan(neurons.step, neurons.begin(spikes.shape[1]), currents)
            found.append(spikes)
        return found

    def by_layers(self, weights: Sequence[Any], spikes: Any) -> Any:
        """The last layer's spikes summed over time, layer by layer."""
        return self.rasters(weights, spikes)[-1].sum(0)

    def rates(self, weights: Sequence[Any], spikes: Any) -> list[Any]:
        """Spikes a neuron and step of every layer."""
        return [raster.mean() for raster in self.rasters(weights, spikes)]


def measure(spec: Spec) -> dict[str, Any]:
    """Both neurons' speeds by batch, and how each batch was scanned."""
    # The caller computes itself: work that another thread does would not be pinned to this one's core.
    jax.config.update("jax_cpu_enable_async_dispatch", False)
    drawn = spec.weights()
    ways: dict[str, dict[str, str]] = {}
    reached: dict[str, list[float]] = {}

    def row(name: str, kind: Callable[[Spec, Weights], Neurons]) -> dict[str, float]:
        network = Network(spec.layers, tuple(kind(spec, weights) for weights in drawn))
        rates = jax.jit(network.rates)
        gains, reached[name] = tuned(spec, lambda gains, spikes: rates(forward_weights(drawn, gains), spikes))
        weights = forward_weights(drawn, gains)

        def speed(scan: Callable[..., Any]) -> dict[str, float]:
            compiled = jax.jit(scan)

            def prepare(spikes: Floats) -> Callable[[], Any]:
                on_device = jnp.asarray(spikes)
                return lambda: compiled(weights, on_device).block_until_ready()

            return speeds(spec, prepare)

        found = {"steps": speed(network.by_steps), "layers": speed(network.by_layers)}
        ways[name] = {batch: max(found, key=lambda way: found[way][batch]) for batch in found["steps"]}
        return {batch: found[way][batch] for batch, way in ways[name].items()}

    def rows() -> Iterator[Row]:
        yield "JAX by hand", partial(row, "JAX by hand", by_hand)
        yield "JAX spyx", partial(row, "JAX spyx", by_spyx)

    answer = report(rows(), [], versions={name: version(name) for name in ("jax", "jaxlib")}, scans=ways)
    if "JAX spyx" in answer["samples_per_second"]:
        answer["versions"]["spyx"] = version("spyx")
    return {**answer, "rates": reached}


def forward_weights(drawn: Sequence[Weights], gains: Sequence[float]) -> list[Any]:
    """Each layer's forward weights times its gain; matrices as (inputs, neurons), which XLA multiplies up to
    twice as fast as the transpose."""
    return [
        jnp.asarray(gain * (weights.forward.T.copy() if weights.forward.ndim == 2 else weights.forward))
        for weights, gain in zip(drawn, gains, strict=True)
    ]


if __name__ == "__main__":
    serve(measure)
