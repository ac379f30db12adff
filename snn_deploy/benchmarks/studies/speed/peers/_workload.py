"""The network, weights and input that every peer runs, and how its speed is taken."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from snn_deploy.timing import best_seconds

Floats = NDArray[np.float32]

#: Samples, and halvings of the gain's logarithm, that set a layer's rate.
_TUNING_SAMPLES, _HALVINGS, _GAINS = 8, 14, (1e-2, 1e3)


@dataclass(frozen=True)
class Layer:
    """``neurons``, or ``convolution`` (channels, kernel, stride); ``rate``: spikes a step it shall fire."""

    neurons: int
    convolution: tuple[int, int, int] | None
    rate: float
    recurrent: bool


@dataclass(frozen=True, eq=False)
class Weights:
    """One layer's float weights: ``forward`` (neurons, inputs) or (channels, inputs, kernel, kernel);
    ``recurrent`` (neurons, neurons) or None; ``source`` and ``shape``: of its input and of its neurons."""

    forward: Floats
    recurrent: Floats | None
    source: tuple[int, ...]
    shape: tuple[int, ...]


@dataclass(frozen=True)
class Spec:
    """What is run: ``shape`` of one step's input, Bernoulli spikes at ``rate``, over ``steps`` time steps.

    alpha and beta: the parts of current and membrane voltage that a step keeps. batches: samples a call.
    seconds: measuring time of a batch. compiled: whether a slow compiler (torch.compile) is tried too.
    """

    shape: tuple[int, ...]
    layers: tuple[Layer, ...]
    steps: int
    rate: float
    alpha: float
    beta: float
    batches: tuple[int, ...]
    seconds: float
    compiled: bool = True

    @staticmethod
    def read(document: Mapping[str, Any]) -> Spec:
        """The specification that a JSON object says."""
        layers = tuple(Layer(**layer) for layer in document["layers"])
        return Spec(**{**document, "layers": layers})

    def spikes(self, samples: int, seed: int = 1) -> Floats:
        """Input, float32 0/1 of shape (steps, samples, *shape)."""
        shape = (self.steps, samples, *self.shape)
        drawn = np.random.default_rng(seed).random(shape, dtype=np.float32) < self.rate
        return drawn.astype(np.float32)

    def weights(self, seed: int = 0) -> list[Weights]:
        """Normal weights, slightly positive so that layers can fire; the same for every peer."""
        rng = np.random.default_rng(seed)
        shape, drawn = tuple(self.shape), []
        for layer in self.layers:
            source = shape
            if layer.convolution is None:
                size: tuple[int, ...] = (layer.neurons, int(np.prod(shape)))
                shape = (layer.neurons,)
            else:
                channels, kernel, stride = layer.convolution
                size = (channels, shape[0], kernel, kernel)
                shape = (channels, *((n - kernel) // stride + 1 for n in shape[1:]))
            recurrent = _normal(rng, (layer.neurons, layer.neurons), 0.0) if layer.recurrent else None
            drawn.append(Weights(_normal(rng, size, 0.1), recurrent, source, shape))
        return drawn


def _normal(rng: np.random.Generator, size: tuple[int, ...], mean: float) -> Floats:
    """Normal (mean, 1) over the root of the fan-in."""
    return np.asarray(rng.normal(mean, 1, size) / np.sqrt(np.prod(size[1:])), np.float32)


def tuned(
    spec: Spec, rates: Callable[[Sequence[float], Floats], Sequence[float]]
) -> tuple[list[float], list[float]]:
    """Gains of the layers' forward weights at which they fire as asked, and the rates reached.

    rates: (gains, spikes) -> spikes a neuron and step of each layer; a layer's rate grows with its gain.
    """
    spikes = spec.spikes(_TUNING_SAMPLES)
    gains = [1.0] * len(spec.layers)
    for i, layer in enumerate(spec.layers):
        low, high = _GAINS
        for _ in range(_HALVINGS):
            gains[i] = float(np.sqrt(low * high))
            low, high = (gains[i], high) if rates(gains, spikes)[i] < layer.rate else (low, gains[i])
    return gains, [float(rate) for rate in rates(gains, spikes)]


def speeds(spec: Spec, prepare: Callable[[Floats], Callable[[], Any]]) -> dict[str, float]:
    """Samples a second by batch, of the process's CPU time, so that other processes cannot slow it.

    prepare: spikes (steps, samples, *shape) -> the run that is timed.
    """

    def samples_per_second(batch: int) -> float:
        return batch / best_seconds(prepare(spec.spikes(batch)), spec.seconds, time.process_time)

    return {str(batch): samples_per_second(batch) for batch in spec.batches}


#: A row of the report: its name, and the function that measures it.
Row = tuple[str, Callable[[], dict[str, float]]]


def report(rows: Iterator[Row] | Sequence[Row], rates: Sequence[float], **more: Any) -> dict[str, Any]:
    """The answer of a peer: the speeds of its rows, and the reason where one cannot run."""
    found: dict[str, dict[str, float]] = {}
    missing: dict[str, str] = {}
    for name, measure in rows:
        try:
            found[name] = measure()
        except Exception as error:  # a peer that cannot run is reported, not fatal
            missing[name] = " ".join(f"{type(error).__name__}: {error}".split())[:200]
    return {"samples_per_second": found, "rates": list(rates), "missing": missing, **more}


def serve(measure: Callable[[Spec], dict[str, Any]]) -> None:
    """Answer the specification on standard input; on one core, so that no library can take a second."""
    if hasattr(os, "sched_setaffinity"):
        # the last core: interrupts tend to come to the first
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    answer = measure(Spec.read(json.load(sys.stdin)))
    sys.stdout.write(json.dumps(answer))
