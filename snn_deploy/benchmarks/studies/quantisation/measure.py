"""What is measured on one quantised network: one value a held-out sample for every metric."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from snn_deploy.benchmarks.studies.quantisation.subjects import Subject
from snn_deploy.convert.quantise.gate import counts
from snn_deploy.convert.quantise.subnetwork import run_nodes
from snn_deploy.engine import float as float_engine
from snn_deploy.engine.stepping import Spikes
from snn_deploy.network.arrays import AnyArray, FloatArray, IntArray
from snn_deploy.network.connections import fan_out, map_weights
from snn_deploy.network.quantised import QuantisedNetwork

_STORED, _TOP = 300, 10
PERTURBATION = 1e-3
"""Standard deviation of a relative weight error, in :func:`sensitivity`."""
_RIDGE = 10.0

Rasters = Mapping[str, Spikes]


def exact_rasters(subject: Subject) -> Rasters:
    """The float network on the test inputs, all nodes."""
    return float_engine.run(subject.network, {subject.input: subject.test}).rasters


def integer_rasters(subject: Subject, network: QuantisedNetwork) -> Rasters:
    """The integer network on the test inputs, all nodes."""
    inputs = {subject.input: subject.test}
    return {**inputs, **run_nodes(network, list(network.nodes), inputs)}


def spike_metrics(subject: Subject, exact: Rasters, integer: Rasters) -> dict[str, FloatArray]:
    """Errors against the float network, one value a sample.

    Count errors and biases are in units of the layer's mean count, so that their mean over samples is
    the mean |count error| of a neuron over its mean count.
    """
    last, output = subject.hidden[-1], subject.output
    return {
        "hidden count error": _count_error(exact[last], integer[last]),
        "output count error": _count_error(exact[output], integer[output]),
        "hidden spike Jaccard": _jaccard(exact, integer, subject.hidden),
        "last hidden layer's Jaccard": _jaccard(exact, integer, [last]),
        "count bias": _count_bias(exact, integer, [*subject.hidden, output]),
    }


def sensitivity(subject: Subject, exact: Rasters) -> dict[str, FloatArray]:
    """:func:`spike_metrics` of the float network with every weight off by .1 % at random.

    It says how much of an integer network's count error the network itself makes of any weight error.
    """
    generator = np.random.default_rng(subject.seed)

    def off(values: AnyArray) -> FloatArray:
        return np.asarray(values * (1 + PERTURBATION * generator.standard_normal(values.shape)))

    edges = tuple(
        replace(edge, connection=map_weights(edge.connection, off)) for edge in subject.network.projections
    )
    perturbed = replace(subject.network, projections=edges)
    return spike_metrics(subject, exact, float_engine.run(perturbed, {subject.input: subject.test}).rasters)


def task_metrics(subject: Subject, exact: Rasters, integer: Rasters) -> dict[str, FloatArray]:
    """Accuracy of both networks and what integers lose, one value a sample.

    The class is the output with the most spikes, or a ridge regression's on the float network's counts.
    """
    rates = [counts(rasters[subject.output]) for rasters in (exact, integer)]
    if subject.fitting is None:
        guesses = [rate.argmax(axis=1) for rate in rates]
    else:
        read = _reader(subject)
        guesses = [(_with_constant(rate) @ read).argmax(axis=1) for rate in rates]
    right = [np.asarray(guess == subject.labels, dtype=np.float64) for guess in guesses]
    return {"accuracy, float": right[0], "accuracy, integers": right[1], "task loss": right[0] - right[1]}


def retrieval_metrics(subject: Subject, exact: Rasters, integer: Rasters) -> dict[str, FloatArray]:
    """Count vectors as retrieval keys: one value a query, over the first 300 vectors as the store.

    top-10 overlap: of integer queries in the float store with the float network's own ranking.
    """
    vectors, rounded = (_unit(counts(rasters[subject.output])) for rasters in (exact, integer))
    store, asked, queries = vectors[:_STORED], vectors[_STORED:], rounded[_STORED:]
    wanted, found = (np.argsort(-(q @ store.T), axis=1, kind="stable")[:, :_TOP] for q in (asked, queries))
    shared = [len(np.intersect1d(a, b)) / _TOP for a, b in zip(wanted, found, strict=True)]
    return {
        "cosine with float": np.asarray(np.einsum("nd,nd->n", asked, queries)),
        "top-10 overlap": np.asarray(shared),
    }


def event_ratios(
    exact: Rasters, network: QuantisedNetwork, single: QuantisedNetwork
) -> dict[str, FloatArray]:
    """Synaptic operations and axon messages of the float spikes, against those of
    ``single``, one 8-bit plane a source."""
    synops, messages = _events(exact, network)
    single_synops, single_messages = _events(exact, single)
    return {
        "synaptic operations": synops / single_synops.mean(),
        "axon messages": messages / single_messages.mean(),
    }


def _events(exact: Rasters, network: QuantisedNetwork) -> tuple[FloatArray, FloatArray]:
    place = {p.name: (p.node, p.index) for p in network.populations}
    synops = messages = np.zeros(len(next(iter(exact.values()))))
    for plane in network.projections:
        node, index = place.get(plane.source, (plane.source, slice(None)))
        arriving = counts(exact[node])[:, index]
        targets = fan_out(plane.connection, stored=False)
        synops = synops + arriving @ targets
        messages = messages + arriving @ (targets > 0)
    return synops, messages


def _count_error(exact: Spikes, integer: Spikes) -> FloatArray:
    expected = counts(exact)
    return np.asarray(np.abs(counts(integer) - expected).mean(axis=1) / expected.mean())


def _count_bias(exact: Rasters, integer: Rasters, nodes: list[str]) -> FloatArray:
    expected = np.concatenate([counts(exact[node]) for node in nodes], axis=1)
    found = np.concatenate([counts(integer[node]) for node in nodes], axis=1)
    return np.asarray((found - expected).mean(axis=1) / expected.mean())


def _jaccard(exact: Rasters, integer: Rasters, nodes: list[str]) -> FloatArray:
    both = sum(counts(exact[node] & integer[node]).sum(axis=1) for node in nodes)
    either = sum(counts(exact[node] | integer[node]).sum(axis=1) for node in nodes)
    return np.asarray(np.where(either == 0, 1.0, both / np.maximum(either, 1)))


def _reader(subject: Subject) -> FloatArray:
    """Ridge regression of one-hot classes on the float network's output counts."""
    spikes, labels = subject.fitting or (subject.test, subject.labels)
    rasters = float_engine.run(subject.network, {subject.input: spikes}).rasters
    features = _with_constant(counts(rasters[subject.output]))
    wanted = np.eye(int(labels.max()) + 1)[labels]
    gram = features.T @ features + _RIDGE * np.eye(features.shape[1])
    return np.asarray(np.linalg.solve(gram, features.T @ wanted))


def _with_constant(rates: IntArray) -> FloatArray:
    return np.concatenate([rates, np.ones((len(rates), 1))], axis=1)


def _unit(values: AnyArray) -> FloatArray:
    norms = np.linalg.norm(values, axis=1, keepdims=True)
    return np.asarray(values / np.maximum(norms, 1e-12))
