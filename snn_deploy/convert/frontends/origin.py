"""Whose exporter wrote a graph that does not say its time step, by the marks that it left in time constants.

Exporters turn the decays of a step into seconds with a time step of their own and do not write which. One
function a mark; each takes the parameters of all neurons and answers for all of them, or not at all.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import nir
import numpy as np
from numpy.typing import NDArray

from snn_deploy.network.contract import Contract

_log = logging.getLogger(__name__)

#: How near a float32 lies to what it stands for, with room for the arithmetic of an exporter.
_NEAR = 1e-5
#: Decays as people choose them are multiples of this.
_ROUND = 0.005
#: Time steps as people choose them.
_STEPS = [m * 10.0**k for k in range(-6, 1) for m in (1.0, 2.0, 5.0)]
#: Time constants above and below these are no seconds of a neuron: steps, and seconds times a time step.
_STEPS_NOT_SECONDS, _TIMES_DT = 1.0, 1e-4
#: Decays with which a neuron remembers next to nothing, or everything for a thousand steps.
_FORGETS, _KEEPS = 0.5, 1e-3


@dataclass(frozen=True)
class Origin:
    """whose: exporter, as a sentence's subject. dt: seconds a step. decay: as in the contract."""

    whose: str
    dt: float
    decay: str = "euler"
    advice: str = ""

    def __str__(self) -> str:
        if self.advice:
            return f"{self.whose}: {self.advice}"
        decay = "" if self.decay == "euler" else f" --decay {self.decay}"
        return f"{self.whose} for a time step of {self.dt:g} s: pass --dt {self.dt:g}{decay}."


@dataclass(frozen=True, eq=False)
class _Neurons:
    """taus: time constants, one each. gains: (tau, gain) where gain multiplies what decays with tau.

    integrators: r of neurons without a leak.
    """

    taus: NDArray[np.float64]
    gains: NDArray[np.float64]
    integrators: NDArray[np.float64]


MARKS: list[Callable[[_Neurons], Origin | None]] = []


def mark(function: Callable[[_Neurons], Origin | None]) -> Callable[[_Neurons], Origin | None]:
    """Register a mark; the first that answers counts."""
    MARKS.append(function)
    return function


def origin(graph: nir.NIRGraph) -> Origin | None:
    """Who wrote the graph, None where no mark tells."""
    neurons = _neurons(graph)
    return next((found for found in (function(neurons) for function in MARKS) if found is not None), None)


def doubt(graph: nir.NIRGraph, contract: Contract) -> None:
    """Log a warning where a time step that the graph does not state gives decays that look wrong."""
    if "dt" in (graph.metadata or {}):
        return
    found = origin(graph)
    if found is not None and not found.advice and not np.isclose(found.dt, contract.dt, rtol=1e-3):
        _log.warning("dt = %g s is given, but %s", contract.dt, found)
        return
    decays = contract.dt / _neurons(graph).taus
    for wrong, what in ((decays > _FORGETS, "forgets its membrane"), (decays < _KEEPS, "keeps its membrane")):
        if decays.size and np.all(wrong):
            _log.warning(
                "with dt = %g s every neuron %s: each step takes %.3g to %.3g of its state. Is it the time "
                "step of the training?",
                contract.dt,
                what,
                decays.min(),
                decays.max(),
            )


@mark
def gain_of_tau_over_dt(neurons: _Neurons) -> Origin | None:
    """r = tau / dt, or w_in, so that the input is added unscaled: tau / r is dt throughout."""
    taus, gains = neurons.gains.T
    scaled = ~np.isclose(gains, 1.0, rtol=_NEAR)
    steps = np.unique(_digits(taus[scaled] / gains[scaled]))
    if steps.size != 1 or not np.any(np.isclose(steps, _STEPS, rtol=_NEAR, atol=0)):
        return None
    alone = np.unique(_digits(taus[scaled])).size == 1
    if np.any(gains[scaled] < 1) or (alone and not _is_round(1 - 1 / gains[scaled])):
        return None
    return Origin(
        "its gains r = tau / dt are those that the exporters of snnTorch 1.0.0 (always with 1e-4 s) and "
        "SpikingJelly 2.0.0 write",
        float(steps[0]),
    )


@mark
def gain_of_one_over_dt(neurons: _Neurons) -> Origin | None:
    """r = 1 / dt in integrators that add their input."""
    steps = np.unique(_digits(1 / neurons.integrators[neurons.integrators > 0]))
    if steps.size != 1 or steps[0] > 1e-2 or not np.any(np.isclose(steps, _STEPS, rtol=_NEAR, atol=0)):
        return None
    return Origin("its integrators' r = 1 / dt is what SpikingJelly 2.0.0's exporter writes", float(steps[0]))


@mark
def logarithm_of_round_decays(neurons: _Neurons) -> Origin | None:
    """tau = -dt / ln(beta) of round betas, at one dt only."""
    if not neurons.taus.size:
        return None
    fits = [dt for dt in _STEPS if _is_round(np.exp(-dt / neurons.taus))]
    if len(fits) != 1:
        return None
    return Origin(
        "its time constants are -dt / ln(beta) of round decays beta, as exporters of snnTorch's write",
        fits[0],
        "exponential",
    )


@mark
def time_constants_in_steps(neurons: _Neurons) -> Origin | None:
    """tau in steps."""
    if not neurons.taus.size or neurons.taus.min() < _STEPS_NOT_SECONDS:
        return None
    return Origin(
        "its time constants count steps, as Sinabs 3.1.3's exporter writes them", 1.0, "exponential"
    )


@mark
def time_constants_times_dt(neurons: _Neurons) -> Origin | None:
    """dt tau in the place of tau."""
    if not neurons.taus.size or neurons.taus.max() >= _TIMES_DT:
        return None
    return Origin(
        "its time constants are all below 0.1 ms, as Norse 1.1.0's to_nir writes them, which multiplies them "
        "by dt",
        1e-3,
        advice="call it with dt=1.0, or hand the module itself to snn_deploy.from_torch.",
    )


def _neurons(graph: nir.NIRGraph) -> _Neurons:
    taus, gains, integrators = [], [], []
    for node in _nodes(graph):
        for tau, gain in (("tau", "r"), ("tau_mem", "r"), ("tau_syn", "w_in")):
            if hasattr(node, tau):
                pair = np.broadcast_arrays(*(_array(getattr(node, name)) for name in (tau, gain)))
                taus.append(pair[0].reshape(-1))
                gains.append(np.stack([one.reshape(-1) for one in pair], 1))
        if isinstance(node, nir.IF | nir.I):
            integrators.append(_array(node.r).reshape(-1))
    nothing = np.zeros(0)
    positive = np.concatenate([nothing, *taus])
    return _Neurons(
        positive[positive > 0],
        np.concatenate([np.zeros((0, 2)), *gains]),
        np.concatenate([nothing, *integrators]),
    )


def _nodes(graph: nir.NIRGraph) -> Iterator[nir.NIRNode]:
    for node in graph.nodes.values():
        if isinstance(node, nir.NIRGraph):
            yield from _nodes(node)
        else:
            yield node


def _array(value: object) -> NDArray[np.float64]:
    array = np.asarray(value)
    return array.astype(np.float64) if array.dtype.kind in "biuf" else np.zeros(0)


def _digits(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """The values to the digits that float32 keeps, so that equal ones are equal."""
    scale = 10.0 ** np.floor(np.log10(np.maximum(np.abs(values), 1e-300)))
    return np.asarray(np.round(values / scale, 4) * scale)


def _is_round(betas: NDArray[np.float64]) -> bool:
    """Whether every decay is one that people choose."""
    counts = betas / _ROUND
    near = np.abs(counts - np.round(counts)) < 2 * _NEAR / _ROUND * np.maximum(1 - betas, 1e-3)
    return bool(np.all((betas > 0) & (betas < 1) & (np.round(counts) > 0) & near))
