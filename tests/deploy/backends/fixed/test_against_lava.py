"""The engine against stock Lava 0.10.0 fixed_pt itself: every spike of every population, on seeded networks.

The default sample covers at least 10^7 neuron-steps, the slow one 10^8.
"""

from __future__ import annotations

import numpy as np
import pytest

from snn_deploy.convert.quantised import QuantisedNetwork
from snn_deploy.deploy.backends.fixed import kernel
from snn_deploy.deploy.backends.fixed.bounds import bounds
from snn_deploy.deploy.backends.lava.guard import Limits
from snn_deploy.deploy.backends.lava.interpreter import find_interpreter
from snn_deploy.deploy.backends.lava.run import run_network
from tests import quantised_nets as nets

pytestmark = pytest.mark.skipif(bool(find_interpreter().problem), reason=find_interpreter().problem or "lava")

SAMPLES = 32


def compare(
    net: QuantisedNetwork, neuron_steps: int, rng: np.random.Generator, rate: float
) -> tuple[int, int]:
    """Run both over that many neuron-steps; return (neuron-steps, spikes); every kernel must agree."""
    neurons = sum(p.neurons for p in net.populations)
    steps = -(-neuron_steps // (SAMPLES * neurons))
    inputs = {i.name: nets.spikes(SAMPLES, steps, int(np.prod(i.shape)), rng, rate) for i in net.inputs}
    names = [p.name for p in net.populations]
    theirs = run_network("lava", net, inputs, record=names, limits=Limits(), strategy="block", batch=SAMPLES)
    for name in kernel.names():
        ours = kernel.prepare(net, name).run(inputs, rasters=names)
        for p in names:
            np.testing.assert_array_equal(ours.rasters[p], theirs.spikes[p], err_msg=f"{name}: {p}")
    return neurons * SAMPLES * steps, theirs.total_spikes


def sample(seed: int, networks: int, neuron_steps: int) -> None:
    """Compare random networks until ``neuron_steps`` are covered, and show that the sample says something."""
    rng = np.random.default_rng(seed)
    covered, fractions, wraps, clips, calm = 0, [], 0, 0, 0
    for i in range(networks):
        net = nets.random_network(rng, largest=120, delays=False)
        steps, fired = compare(net, neuron_steps // networks, rng, float(rng.choice([0.02, 0.1, 0.3, 1.0])))
        covered += steps
        fractions.append(fired / steps)
        for reach in bounds(net, 1000).values():
            wraps, clips = wraps + reach.wraps, clips + reach.clips
            calm += not reach.wraps
        assert i < networks
    assert covered >= neuron_steps
    assert sum(0.01 < fraction < 0.99 for fraction in fractions) >= networks / 2
    assert len({round(fraction, 3) for fraction in fractions}) > 1
    assert min(wraps, clips, calm) > 0


def test_ten_million_neuron_steps() -> None:
    sample(21, 5, 10**7)


@pytest.mark.slow
def test_a_hundred_million_neuron_steps() -> None:
    sample(22, 40, 10**8)


def test_a_convolutional_network() -> None:
    rng = np.random.default_rng(23)
    first = nets.conv((2, 12, 12), 16, rng, stride=(2, 2), kernel=(5, 5), padding=(2, 2))
    second = nets.conv(first.output_shape, 8, rng, stride=(2, 2))
    sizes = {"a": int(np.prod(first.output_shape)), "b": int(np.prod(second.output_shape)), "c": 10}
    populations = [nets.population(k, n, rng, du=1500, dv=300, vth=900) for k, n in sizes.items()]
    edges = [
        nets.projection("x", "a", first),
        nets.projection("a", "b", second),
        nets.projection("b", "c", nets.dense(10, sizes["b"], rng)),
    ]
    net = nets.network({"x": (2, 12, 12)}, populations, edges)
    steps, fired = compare(net, 10**6, rng, 0.1)
    assert 0.01 < fired / steps < 0.9
