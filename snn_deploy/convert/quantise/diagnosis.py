"""Diagnosis: what each layer's integers do to its spikes, alone and with all before it, and why.

Alone, a layer receives the float network's spikes, so that its own rounding is all that differs.
Cumulatively it receives the integer network's. At the first divergence the membranes of both neurons
have been reset at the same steps, so that their difference is a sum of linear contributions, and the
largest one in the direction of the divergence names the cause.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from snn_deploy.convert.quantise import Quantiser
from snn_deploy.convert.quantise.gate import count_error, counts
from snn_deploy.convert.quantise.subnetwork import run_nodes
from snn_deploy.engine.fixed import retrace
from snn_deploy.engine.fixed.numpy_kernel import FixedNeurons
from snn_deploy.engine.stepping import Spikes, State
from snn_deploy.network.arrays import FloatArray
from snn_deploy.network.connections import synapses
from snn_deploy.network.contract import ResetMode
from snn_deploy.network.discrete import DiscreteNetwork, DiscretePopulation
from snn_deploy.network.integers import DECAY_UNITY, STATE_SHIFT, decay, kept_u, kept_v
from snn_deploy.network.quantised import QuantisedNetwork, QuantisedPopulation

Cause = Literal["rounding", "saturation", "wrap", "decay", "bias", "inherited"]


class WatchedNeurons(FixedNeurons):
    """FixedNeurons that remember how large u became before it could wrap."""

    def __init__(self, population: QuantisedPopulation) -> None:
        super().__init__(population)
        self._kept = kept_u(population.du)
        self.largest_u = float(np.abs(population.u0).max(initial=0))

    def step(self, state: State, drive: NDArray[Any]) -> NDArray[np.bool_]:
        arriving = decay(state[0].astype(np.int64), self._kept) + (drive.astype(np.int64) << STATE_SHIFT)
        self.largest_u = max(self.largest_u, float(np.abs(arriving).max(initial=0)))
        return super().step(state, drive)


@dataclass(frozen=True)
class Divergence:
    """The earliest step at which a layer's spikes differ from the float network's."""

    sample: int
    step: int
    neuron: int
    cause: Cause


def diagnose(
    quantiser: Quantiser, network: QuantisedNetwork, exact: Mapping[str, Spikes]
) -> list[dict[str, Any]]:
    """One entry a node. exact: rasters of the float network on some samples, inputs included.

    alone, cumulative: count_error, count_correlation, spike_jaccard, first_divergence.
    observed_u: largest |u| of the cumulative run, to be held against 2^23, where Lava wraps silently.
    """
    watched: dict[str, WatchedNeurons] = {}

    def watch(population: QuantisedPopulation) -> WatchedNeurons:
        watched[population.name] = WatchedNeurons(population)
        return watched[population.name]

    found = []
    inputs = {node.name: exact[node.name] for node in network.inputs}
    whole = {**inputs, **run_nodes(network, list(network.nodes), inputs, watch)}
    for node in network.nodes:
        alone = run_nodes(network, {node}, exact)[node]
        largest = max(w.largest_u for name, w in watched.items() if quantiser.members(name)[0] == node)
        found.append(
            {
                "node": node,
                "observed_u": largest,
                "alone": _compare(quantiser, network, node, {**exact, node: alone}, exact),
                "cumulative": _compare(quantiser, network, node, whole, exact),
            }
        )
    return found


def _compare(
    quantiser: Quantiser,
    network: QuantisedNetwork,
    node: str,
    integer: Mapping[str, Spikes],
    exact: Mapping[str, Spikes],
) -> dict[str, Any]:
    mine, expected = integer[node], exact[node]
    together = int(np.count_nonzero(mine & expected))
    either = int(np.count_nonzero(mine | expected))
    first = first_divergence(quantiser, network, node, integer, exact)
    return {
        "count_error": count_error(expected, mine),
        "count_correlation": correlation(counts(expected), counts(mine)),
        "spike_jaccard": together / either if either else 1.0,
        "first_divergence": None if first is None else vars(first),
    }


def correlation(a: NDArray[Any], b: NDArray[Any]) -> float | None:
    """Pearson correlation over all samples and neurons; None where one of them is constant."""
    x, y = (values.astype(np.float64).reshape(-1) - values.mean() for values in (a, b))
    norm = float(np.sqrt((x @ x) * (y @ y)))
    return float(x @ y) / norm if norm > 0 else None


def first_divergence(
    quantiser: Quantiser,
    network: QuantisedNetwork,
    node: str,
    integer: Mapping[str, Spikes],
    exact: Mapping[str, Spikes],
) -> Divergence | None:
    """The earliest differing spike of a node, and its cause; None where all spikes agree."""
    different = integer[node] != exact[node]
    if not np.any(different):
        return None
    step = int(np.argmax(np.any(different, axis=(0, 2))))
    sample, neuron = (int(k) for k in np.argwhere(different[:, step])[0])
    for edge in quantiser.float_network.projections:
        if edge.target == node:
            last = max(0, step - edge.delay + 1)  # nothing has arrived before the delay
            if not np.array_equal(integer[edge.source][sample, :last], exact[edge.source][sample, :last]):
                return Divergence(sample, step, neuron, "inherited")
    one = {name: raster[sample : sample + 1, : step + 1] for name, raster in exact.items()}
    return Divergence(sample, step, neuron, _cause(quantiser, network, node, neuron, one))


def _cause(
    quantiser: Quantiser, network: QuantisedNetwork, node: str, neuron: int, exact: Mapping[str, Spikes]
) -> Cause:
    """Why the neuron's last step differs, on the spikes of one sample up to that step."""
    population, place = retrace.place_of(network, node, neuron)
    float_population = next(p for p in quantiser.float_network.populations if p.name == node)
    spikes = exact[node][0, :, neuron]
    membrane = partial(_membrane, reset=population.reset)
    integer_drive = retrace.drive(network, population, place, exact)
    if retrace.wraps(population, place, integer_drive):
        return "wrap"
    layer_bias = quantiser.exact_bias(population)[place]
    unit = population.unit
    drive = _float_drive(quantiser.float_network, node, neuron, exact)
    correction = quantiser.correction(population.name)
    gain, offset = float(correction.gain[place]), float(correction.offset[place])
    one = membrane(_decays(float_population, neuron), drive, spikes, _start(float_population, neuron))
    rounded = (1 - kept_u(population.du) / DECAY_UNITY, 1 - kept_v(population.dv) / DECAY_UNITY)
    bias, *state = _start(float_population, neuron, gain)
    start = (bias + offset, state[0], state[1])
    decayed = membrane(rounded, gain * drive, spikes, start)
    corrected = (layer_bias / unit, start[1], start[2])
    weighted = membrane(rounded, integer_drive / population.scale, spikes, corrected)
    biased = membrane(
        rounded, integer_drive / population.scale, spikes, (float(population.bias[place]) / unit, *start[1:])
    )
    stepped, clipped = retrace.membrane(population, place, integer_drive, spikes)
    if clipped:
        return "saturation"
    direction = np.sign(stepped / unit - one)
    parts: dict[Cause, float] = {
        "decay": direction * (decayed - one),
        "bias": direction * (biased - weighted),
        "rounding": direction * (weighted - decayed + stepped / unit - biased),
    }
    return max(parts, key=lambda name: parts[name])


def _decays(population: DiscretePopulation, neuron: int) -> tuple[float, float]:
    return float(population.du[neuron]), float(population.dv[neuron])


def _start(population: DiscretePopulation, neuron: int, gain: float = 1.0) -> tuple[float, float, float]:
    """(bias, u0, v0) of one neuron; the gain of rounded decays applies to what drives it."""
    return (
        gain * float(population.bias[neuron]),
        gain * float(population.u0[neuron]),
        float(population.v0[neuron]),
    )


def _membrane(
    decays: tuple[float, float],
    drive: FloatArray,
    spikes: Spikes,
    start: tuple[float, float, float],
    reset: ResetMode,
) -> float:
    """v before the last step's reset, reset wherever ``spikes`` says so before it."""
    bias, u, v = start
    potential = v
    for arriving, fired in zip(drive, spikes, strict=True):
        u = (1 - decays[0]) * u + float(arriving)
        potential = (1 - decays[1]) * v + u + bias
        v = potential if not fired else potential - 1.0 if reset == "subtract" else 0.0
    return potential


def _float_drive(network: DiscreteNetwork, node: str, neuron: int, exact: Mapping[str, Spikes]) -> FloatArray:
    """Summed weighted input of one neuron and each step, in units of the threshold."""
    steps = exact[node].shape[1]
    total = np.zeros(steps)
    for edge in network.projections:
        if edge.target == node:
            row = np.asarray(synapses(edge.connection)[neuron].todense()).reshape(-1)
            late = min(edge.delay, steps)
            total[late:] += exact[edge.source][0, : steps - late] @ row
    return total
