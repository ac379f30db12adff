"""Small NIR graphs that several rooms' tests convert."""

from __future__ import annotations

from itertools import pairwise

import nir
import numpy as np


def cuba_lif(neurons: int, taus: int = 1) -> nir.CubaLIF:
    """Neurons with ``taus`` different membrane time constants, so as many populations."""
    one = np.ones(neurons)
    tau = 0.01 * (1 + np.arange(neurons) % taus)
    return nir.CubaLIF(
        tau_syn=0.005 * one, tau_mem=tau, r=one, v_leak=0 * one, v_threshold=one, v_reset=0 * one, w_in=one
    )


def two_layers(
    sizes: tuple[int, int, int], seed: int = 0, taus: int = 1, recurrent: bool = False
) -> nir.NIRGraph:
    """in -> a -> b with normal weights; ``recurrent``: a also feeds itself, by weights of heavy tails.

    With ``recurrent`` two fifths of the first weights are zero.
    """
    rng = np.random.default_rng(seed)
    kept = rng.random((sizes[1], sizes[0])) < 0.6 if recurrent else 1.0
    nodes = {
        "in": nir.Input({"input": np.array([sizes[0]])}),
        "w1": nir.Linear(rng.normal(0, 2.5, (sizes[1], sizes[0])) * kept),
        "a": cuba_lif(sizes[1], taus),
        "w2": nir.Linear(rng.normal(0, 2.5, (sizes[2], sizes[1]))),
        "b": cuba_lif(sizes[2]),
        "out": nir.Output({"output": np.array([sizes[2]])}),
    }
    edges = list(pairwise(nodes))
    if recurrent:
        nodes["r"] = nir.Linear(rng.standard_t(2, (sizes[1], sizes[1])) * 0.2)
        edges += [("a", "r"), ("r", "a")]
    return nir.NIRGraph(nodes, edges)
