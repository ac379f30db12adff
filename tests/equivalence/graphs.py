"""Random graphs: parameters drawn so that neurons of every model fire at rates between 1 and 60 %."""

from __future__ import annotations

from itertools import pairwise

import nir
import numpy as np

DT = 1e-3


class Draw:
    """Seeded parameters. ``gain`` scales the drive of a neuron of ``fan_in`` inputs at 15 % density."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)

    def uniform(self, low, high, shape):
        return self.rng.uniform(low, high, shape)

    def weight(self, out, fan_in, gain=1.0):
        return self.rng.normal(0.25, 1.0, (out, fan_in)) * gain / np.sqrt(fan_in)

    def spikes(self, samples, steps, shape, rate=0.15):
        return (self.rng.random((samples, steps, *shape)) < rate).astype(np.uint8)

    def threshold_and_reset(self, shape):
        reset = self.uniform(-0.4, 0.2, shape)
        return reset + self.uniform(0.5, 1.3, shape), reset

    def lif(self, *shape, tau=None):
        threshold, reset = self.threshold_and_reset(shape)
        return nir.LIF(
            tau=np.full(shape, tau) if tau else self.uniform(2e-3, 20e-3, shape),
            r=self.uniform(8.0, 16.0, shape),
            v_leak=self.uniform(-0.3, 0.3, shape),
            v_threshold=threshold,
            v_reset=reset,
        )

    def cuba_lif(self, *shape):
        threshold, reset = self.threshold_and_reset(shape)
        return nir.CubaLIF(
            tau_syn=self.uniform(1e-3, 10e-3, shape),
            tau_mem=self.uniform(2e-3, 30e-3, shape),
            r=self.uniform(2.0, 6.0, shape),
            v_leak=self.uniform(-0.3, 0.3, shape),
            v_threshold=threshold,
            v_reset=reset,
            w_in=self.uniform(1.0, 4.0, shape),
        )

    def integrate_and_fire(self, *shape):
        threshold, reset = self.threshold_and_reset(shape)
        return nir.IF(r=self.uniform(0.5, 2.0, shape), v_threshold=threshold, v_reset=reset)

    def neuron(self, *shape):
        return (self.lif, self.cuba_lif, self.integrate_and_fire)[self.rng.integers(3)](*shape)

    def affine(self, out, fan_in, gain=1.0):
        return nir.Affine(self.weight(out, fan_in, gain), self.uniform(-0.05, 0.1, out))

    def linear(self, out, fan_in, gain=1.0):
        return nir.Linear(self.weight(out, fan_in, gain))


def graph(nodes, edges, metadata=None):
    return nir.NIRGraph(nodes, edges, metadata=metadata or {}, type_check=False)


def chain(*nodes, shape, out=None):
    """Input -> nodes -> Output, named n0, n1, ..."""
    names = [f"n{i}" for i in range(len(nodes))]
    last = nodes[-1]
    size = out if out is not None else np.array(last.r.shape)
    everything = {
        "input": nir.Input(np.array(shape)),
        **dict(zip(names, nodes, strict=True)),
        "output": nir.Output(np.array(size)),
    }
    path = ["input", *names, "output"]
    return graph(everything, list(pairwise(path)))
