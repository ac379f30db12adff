"""The networks that quantisation is measured on, and their inputs. Calibration and test never share any."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from snn_deploy.convert.arrays import AnyArray, FloatArray, IntArray, SpikeArray
from snn_deploy.convert.contract import Contract
from snn_deploy.convert.discrete import DiscreteNetwork
from snn_deploy.convert.pipeline import prepare

if TYPE_CHECKING:
    import nir

_DT = 1e-3
_CALIBRATION = 160
#: Spread of a class's rates from sample to sample: gamma with this shape.
_SAMPLE_SHAPE = 4.0


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
    from snn_deploy.train.classifier import train_classifier

    draw = _classes(seed, classes=10, inputs=40, shape=2.0)
    spikes, labels = draw(np.random.default_rng([seed, 0]), 2000)
    graph = train_classifier(spikes, labels, hidden=64, recurrent=recurrent, epochs=10, seed=seed)
    name = "recurrent 40-64-10" if recurrent else "feed-forward 40-64-10"
    return _subject(name, seed, graph, draw, samples=samples, classes=10)


def heavy_tailed(seed: int, samples: int) -> Subject:
    """256-256rec-128-512, Student-t weights (4 degrees of freedom), classes read out by ridge regression."""
    generator = np.random.default_rng([seed, 9])

    def weights(rows: int, columns: int, gain: float) -> FloatArray:
        return np.asarray(gain * generator.standard_t(4, (rows, columns)) / np.sqrt(columns))

    # gains that keep the rates of all three layers near .1 to .2
    graph = _chain(
        [weights(256, 256, 3.5), weights(128, 256, 5.0), weights(512, 128, 6.0)],
        recurrent=weights(256, 256, 0.6),
        tau_mem=0.01,
    )
    draw = _classes(seed, classes=20, inputs=256, shape=1.0)
    fitting = draw(np.random.default_rng([seed, 3]), 600)
    return _subject(
        "heavy-tailed 256-256rec-128-512", seed, graph, draw, samples=samples, classes=20, fitting=fitting
    )


def slow(seed: int, samples: int) -> Subject:
    """40-64-32 with tau_mem = .3 s at dt = 1 ms (13.65 units of a decay register), firing every 30 steps."""
    generator = np.random.default_rng([seed, 9])

    def weights(rows: int, columns: int, mean: float) -> FloatArray:
        return np.asarray(mean * (1 + generator.normal(size=(rows, columns))))

    graph = _chain([weights(64, 40, 0.5), weights(32, 64, 0.95)], recurrent=None, tau_mem=0.3)
    draw = _classes(seed, classes=10, inputs=40, shape=2.0, steps=300)
    return _subject("tau_mem = 300 dt, 40-64-32", seed, graph, draw, samples=samples)


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


def _chain(weights: list[FloatArray], recurrent: FloatArray | None, tau_mem: float) -> nir.NIRGraph:
    """A chain of CUBA neurons, tau_syn 5 ms, threshold 1; the first layer may be recurrent."""
    import nir

    nodes: dict[str, nir.NIRNode] = {"input": nir.Input(np.array([weights[0].shape[1]]))}
    edges, last = [], "input"
    for k, weight in enumerate(weights):
        nodes[f"w{k}"], nodes[f"lif{k}"] = nir.Linear(weight), _neurons(len(weight), tau_mem)
        edges += [(last, f"w{k}"), (f"w{k}", f"lif{k}")]
        last = f"lif{k}"
    if recurrent is not None:
        nodes["w_rec"] = nir.Linear(recurrent)
        edges += [("lif0", "w_rec"), ("w_rec", "lif0")]
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
