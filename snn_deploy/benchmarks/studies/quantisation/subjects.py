"""The networks that quantisation is measured on, and their inputs. Calibration and test never share any."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from snn_deploy.benchmarks.studies.quantisation.targets import FEED_FORWARD, HEAVY, RECURRENT, SLOW
from snn_deploy.convert.pipeline import prepare
from snn_deploy.network.arrays import AnyArray, FloatArray, IntArray, SpikeArray
from snn_deploy.network.contract import Contract
from snn_deploy.network.discrete import DiscreteNetwork

if TYPE_CHECKING:
    import nir

_DT = 1e-3
_CALIBRATION = 160
#: Spread of a class's rates from sample to sample: gamma with this shape.
_SAMPLE_SHAPE = 4.0
#: The heavy-tailed networks: widths, the rate that each layer is set to before training, and the accuracy
#: at which training ends.
_WIDTHS, _RATE, _ACCURACY = (256, 256, 128, 512), 0.15, 0.95


@dataclass(frozen=True, eq=False)
class Subject:
    """One network with its inputs, rasters (samples, steps, inputs) and class labels.

    classes: how many, 0 where the network solves no task. fitting: for read-outs, seen by neither
    calibration nor test; None where the network classifies itself.
    """

    name: str
    seed: int
    graph: nir.NIRGraph
    network: DiscreteNetwork
    calibration: SpikeArray
    test: SpikeArray
    labels: IntArray
    classes: int
    fitting: tuple[SpikeArray, IntArray] | None = None

    @property
    def input(self) -> str:
        return self.network.inputs[0].name

    @property
    def nodes(self) -> list[str]:
        """All nodes with neurons, in order."""
        return [p.name for p in self.network.populations]

    @property
    def hidden(self) -> list[str]:
        """Nodes that are no output, in order."""
        outputs = {output.node for output in self.network.outputs}
        return [name for name in self.nodes if name not in outputs]

    @property
    def output(self) -> str:
        return self.network.outputs[0].node


def trained(seed: int, samples: int, *, recurrent: bool) -> Subject:
    """40-64-10, feed-forward or recurrent, trained on 2,000 patterns of 10 classes."""
    from snn_deploy.benchmarks.studies.quantisation.classifier import train_classifier

    draw = _classes(seed, classes=10, inputs=40, shape=2.0)
    spikes, labels = draw(np.random.default_rng([seed, 0]), 2000)
    graph = train_classifier(spikes, labels, hidden=64, recurrent=recurrent, epochs=10, seed=seed)
    name = RECURRENT if recurrent else FEED_FORWARD
    return _subject(name, seed, graph, draw, samples=samples, classes=10)


def heavy_tailed(
    seed: int, samples: int, *, name: str = HEAVY, freedom: float = 3, recurrence: float = 1 / 7
) -> Subject:
    """256-256rec-128-512, Student-t weights of so many degrees of freedom; ridge regression reads it out.

    One rule, set before any result: weights of every layer from one distribution, a gain a layer that makes
    it fire in 15 % of all steps, then training on 1,200 patterns of 20 classes until a linear read-out is
    more than 95 % right. recurrence: spread of recurrent weights against those of the inputs; 1 / 7 is how
    our own recurrent encoders begin (snn_deploy/train/loop.py), 1 how Norse's cells do.
    """
    from snn_deploy.benchmarks.studies.quantisation.classifier import train_chain

    generator = np.random.default_rng([seed, 9])

    def weights(rows: int, columns: int) -> FloatArray:
        return np.asarray(generator.standard_t(freedom, (rows, columns)) / np.sqrt(columns))

    layers = [weights(rows, columns) for columns, rows in pairwise(_WIDTHS)]
    recurrent = recurrence * weights(_WIDTHS[1], _WIDTHS[1])
    np.fill_diagonal(recurrent, 0)
    draw = _classes(seed, classes=20, inputs=_WIDTHS[0], shape=1.0)
    spikes, labels = draw(np.random.default_rng([seed, 0]), 1200)
    graph = train_chain(spikes, labels, layers, recurrent, rate=_RATE, accuracy=_ACCURACY, seed=seed)
    fitting = draw(np.random.default_rng([seed, 3]), 600)
    return _subject(name, seed, graph, draw, samples=samples, classes=20, fitting=fitting)


def slow(seed: int, samples: int) -> Subject:
    """40-64-32 with tau_mem = .3 s at dt = 1 ms (13.65 units of a decay register), firing every 30 steps."""
    generator = np.random.default_rng([seed, 9])

    def weights(rows: int, columns: int, mean: float) -> FloatArray:
        return np.asarray(mean * (1 + generator.normal(size=(rows, columns))))

    graph = _chain([weights(64, 40, 0.5), weights(32, 64, 0.95)], tau_mem=0.3)
    draw = _classes(seed, classes=10, inputs=40, shape=2.0, steps=300)
    return _subject(SLOW, seed, graph, draw, samples=samples)


Draw = Callable[[np.random.Generator, int], tuple[SpikeArray, IntArray]]


def _classes(seed: int, *, classes: int, inputs: int, shape: float, steps: int = 40) -> Draw:
    """Poisson patterns: a class is a vector of rates around .1, a sample varies each of them."""
    prototypes = np.random.default_rng([seed, 8]).gamma(shape, 0.1 / shape, (classes, inputs)).clip(0, 0.8)

    def draw(generator: np.random.Generator, samples: int) -> tuple[SpikeArray, IntArray]:
        labels = generator.integers(classes, size=samples)
        spread = generator.gamma(_SAMPLE_SHAPE, 1 / _SAMPLE_SHAPE, (samples, inputs))
        rates = (prototypes[labels] * spread).clip(0, 0.9)
        spikes = generator.random((samples, steps, inputs), dtype=np.float32) < rates[:, None]
        return spikes.astype(np.uint8), labels

    return draw


def _subject(
    name: str,
    seed: int,
    graph: nir.NIRGraph,
    draw: Draw,
    *,
    samples: int,
    classes: int = 0,
    fitting: tuple[SpikeArray, IntArray] | None = None,
) -> Subject:
    calibration, _ = draw(np.random.default_rng([seed, 1]), _CALIBRATION)
    test, labels = draw(np.random.default_rng([seed, 2]), samples)
    prepared = prepare(graph, Contract.resolve(graph.metadata))
    return Subject(name, seed, prepared.graph, prepared.network, calibration, test, labels, classes, fitting)


def _chain(weights: list[FloatArray], tau_mem: float) -> nir.NIRGraph:
    """A chain of CUBA neurons, tau_syn 5 ms, threshold 1."""
    import nir

    nodes: dict[str, nir.NIRNode] = {"input": nir.Input(np.array([weights[0].shape[1]]))}
    edges, last = [], "input"
    for k, weight in enumerate(weights):
        nodes[f"w{k}"], nodes[f"lif{k}"] = nir.Linear(weight), _neurons(len(weight), tau_mem)
        edges += [(last, f"w{k}"), (f"w{k}", f"lif{k}")]
        last = f"lif{k}"
    nodes["output"] = nir.Output(np.array([len(weights[-1])]))
    return nir.NIRGraph(nodes, [*edges, (last, "output")], metadata=Contract(dt=_DT).metadata())


def _neurons(width: int, tau_mem: float) -> nir.CubaLIF:
    import nir

    ones: AnyArray = np.ones(width)
    tau_syn = 5 * _DT
    return nir.CubaLIF(
        tau_syn=tau_syn * ones,
        tau_mem=tau_mem * ones,
        r=ones,
        v_leak=0 * ones,
        v_threshold=ones,
        v_reset=0 * ones,
        w_in=tau_syn / _DT * ones,
    )
