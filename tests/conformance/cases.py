"""One small graph for each NIR primitive and each graph shape: every backend runs all of them.

To add a primitive is to add its function in ``convert`` and its case here.
"""

from __future__ import annotations

from dataclasses import dataclass

import nir
import numpy as np

from snn_deploy.network.contract import Contract
from tests.equivalence.graphs import DT, Draw, chain, graph


@dataclass(frozen=True)
class Case:
    """graph: with its contract in the metadata. feedback: edges that carry the step before."""

    graph: nir.NIRGraph
    feedback: tuple[tuple[str, str], ...] = ()

    def inputs(self, samples: int = 2, steps: int = 40, rate: float = 0.3) -> dict[str, np.ndarray]:
        """Seeded input, (samples, steps, *shape) by name."""
        draw = Draw(99)
        found = {}
        for name, node in self.graph.nodes.items():
            if isinstance(node, nir.Input):
                shape = tuple(int(n) for n in node.input_type["input"])
                spikes = draw.spikes(samples, steps, shape, rate)
                if node.metadata.get("message_bits"):
                    spikes = (spikes * draw.rng.integers(-8, 8, spikes.shape)).astype(np.int32)
                found[name] = spikes
        return found


def _flat(*shape):
    return nir.Flatten({"input": np.array(shape)}, 0, -1)


def _recurrent(draw):
    return graph(
        {
            "input": nir.Input(np.array([8])), "fc": draw.affine(10, 8), "lif": draw.cuba_lif(10),
            "rec": draw.affine(10, 10, 0.5), "output": nir.Output(np.array([10])),
        },
        [("input", "fc"), ("fc", "lif"), ("lif", "rec"), ("rec", "lif"), ("lif", "output")],
    )  # fmt: skip


def _nested(draw):
    inner = graph(
        {
            "input": nir.Input(np.array([8])), "w": draw.affine(8, 8), "lif": draw.lif(8),
            "rec": draw.linear(8, 8, 0.5), "output": nir.Output(np.array([8])),
        },
        [("input", "w"), ("w", "lif"), ("lif", "rec"), ("rec", "lif"), ("lif", "output")],
    )  # fmt: skip
    return graph(
        {"input": nir.Input(np.array([8])), "sub": inner, "output": nir.Output(np.array([8]))},
        [("input", "sub"), ("sub", "output")],
    )


def _feedback(draw):
    return graph(
        {
            "input": nir.Input(np.array([8])), "fc": draw.affine(10, 8), "one": draw.lif(10),
            "up": draw.linear(6, 10), "two": draw.cuba_lif(6), "wait": nir.Delay(np.full(6, 2 * DT)),
            "down": draw.affine(10, 6, 0.8), "output": nir.Output(np.array([6])),
        },
        [
            ("input", "fc"), ("fc", "one"), ("one", "up"), ("up", "two"), ("two", "wait"),
            ("wait", "down"), ("down", "one"), ("two", "output"),
        ],
    )  # fmt: skip


def _skip(draw):
    return graph(
        {
            "a": nir.Input(np.array([8])), "b": nir.Input(np.array([5])), "wa": draw.affine(10, 8),
            "wb": draw.affine(10, 5), "one": draw.lif(10), "up": draw.affine(7, 10), "two": draw.cuba_lif(7),
            "skip": draw.linear(7, 8), "x": nir.Output(np.array([10])), "y": nir.Output(np.array([7])),
        },
        [
            ("a", "wa"), ("b", "wb"), ("wa", "one"), ("wb", "one"), ("one", "up"), ("up", "two"),
            ("a", "skip"), ("skip", "two"), ("one", "x"), ("two", "y"),
        ],
    )  # fmt: skip


def _graded(draw):
    net = chain(draw.affine(10, 8, 0.3), draw.lif(10), shape=[8])
    net.nodes["input"].metadata = {"message_bits": 6}
    return net


def _parameters(draw, *names, n=6):
    seconds = {"tau": (5e-3, 2e-2), "tau_mem": (5e-3, 2e-2), "tau_syn": (2e-3, 9e-3)}
    ranges = {**seconds, "v_leak": (-0.3, 0.3)}
    return {name: draw.uniform(*ranges.get(name, (0.5, 1.5)), n) for name in names}


_MAKE = {
    "LIF": lambda d: chain(d.affine(10, 8), d.lif(10), d.linear(6, 10), d.lif(6), shape=[8]),
    "CubaLIF": lambda d: chain(d.affine(10, 8), d.cuba_lif(10), d.linear(6, 10), d.cuba_lif(6), shape=[8]),
    "IF": lambda d: chain(d.affine(10, 8), d.integrate_and_fire(10), shape=[8]),
    "LI": lambda d: chain(
        d.affine(10, 8), d.lif(10), d.affine(6, 10), nir.LI(**_parameters(d, "tau", "r", "v_leak")), shape=[8]
    ),
    "CubaLI": lambda d: chain(
        d.affine(10, 8), d.lif(10), d.affine(6, 10),
        nir.CubaLI(**_parameters(d, "tau_syn", "tau_mem", "r", "v_leak", "w_in")), shape=[8],
    ),
    "I": lambda d: chain(
        d.affine(10, 8), d.lif(10), d.linear(6, 10), nir.I(**_parameters(d, "r")), shape=[8]
    ),
    "Affine": lambda d: chain(d.affine(9, 8), d.affine(10, 9), d.cuba_lif(10), shape=[8]),
    "Linear": lambda d: chain(d.linear(10, 8), d.lif(10), shape=[8]),
    "Scale": lambda d: chain(nir.Scale(d.uniform(0.5, 1.5, 8)), d.linear(10, 8), d.lif(10), shape=[8]),
    "Conv1d": lambda d: chain(
        nir.Conv1d(12, d.rng.normal(0.3, 0.5, (3, 2, 3)), 1, 1, 1, 1, d.uniform(0, 0.1, 3)),
        d.lif(3, 12), shape=[2, 12],
    ),
    "Conv2d": lambda d: chain(
        nir.Conv2d((6, 6), d.rng.normal(0.2, 0.4, (3, 2, 3, 3)), 2, 1, 1, 1, d.uniform(0, 0.1, 3)),
        d.lif(3, 3, 3), _flat(3, 3, 3), d.linear(5, 27), d.cuba_lif(5), shape=[2, 6, 6],
    ),
    "SumPool2d": lambda d: chain(
        nir.SumPool2d(np.array([2, 2]), np.array([2, 2]), np.array([0, 0])), d.lif(2, 3, 3), shape=[2, 6, 6]
    ),
    "AvgPool2d": lambda d: chain(
        nir.AvgPool2d(np.array([2, 2]), np.array([2, 2]), np.array([0, 0])), nir.Scale(np.array(3.0)),
        d.lif(2, 3, 3), shape=[2, 6, 6],
    ),
    "Flatten": lambda d: chain(_flat(2, 2, 2), d.linear(10, 8), d.lif(10), shape=[2, 2, 2]),
    "Delay": lambda d: chain(
        nir.Delay(np.arange(8) * DT), d.affine(10, 8), d.lif(10), nir.Delay(np.array(3 * DT)),
        d.linear(6, 10), d.lif(6), shape=[8],
    ),
    "a delay through a relay": lambda d: chain(
        d.affine(4, 8), d.lif(4, tau=0.01), nir.Delay(np.array(66 * DT)), d.linear(3, 4, 2.0),
        d.lif(3, tau=0.01), shape=[8],
    ),
    "recurrence": _recurrent,
    "NIRGraph": _nested,
    "feedback over two layers": _feedback,
    "branches, skips, two inputs, two outputs": _skip,
    "graded input": _graded,
}  # fmt: skip
_FEEDBACK = {
    "recurrence": (("rec", "lif"),),
    "NIRGraph": (("sub.rec", "sub.lif"),),
    "feedback over two layers": (("down", "one"),),
}
NAMES = tuple(_MAKE)


def case(name: str) -> Case:
    """The case of that name, always the same."""
    net = _MAKE[name](Draw(NAMES.index(name)))
    net.metadata = Contract(DT).metadata()
    return Case(net, _FEEDBACK.get(name, ()))
