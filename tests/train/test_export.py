"""What the fused layer trains is what is exported: the float engine fires the spikes of the unroll."""

from __future__ import annotations

import copy

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from snn_deploy.convert.frontends.modules.walk import from_torch  # noqa: E402
from snn_deploy.convert.pipeline import prepare  # noqa: E402
from snn_deploy.engine import float as float_engine  # noqa: E402
from snn_deploy.network.contract import Contract  # noqa: E402
from snn_deploy.train.encoders import convolutional, describe, feed_forward  # noqa: E402
from snn_deploy.train.examples import Examples  # noqa: E402
from snn_deploy.train.loop import fit  # noqa: E402
from snn_deploy.train.objectives import CrossEntropyOfCounts  # noqa: E402
from snn_deploy.train.recipe import Recipe  # noqa: E402
from snn_deploy.train.unroll import unroll  # noqa: E402

RECIPE = Recipe(steps=20, rate_epochs=0, epochs=4, batch=16, learning_rate=0.02, rate_high=0.3)
NORMS = (torch.nn.BatchNorm1d, torch.nn.BatchNorm2d)
TOWERS = {
    "feed-forward": ((14,), lambda: feed_forward((14,), [20, 12], RECIPE, norm=True)),
    "recurrent": ((14,), lambda: feed_forward((14,), [20, 12], RECIPE, norm=True, recurrent=True)),
    "image": ((2, 7, 6), lambda: convolutional((2, 7, 6), [(4, 3, 2), (3, 3, 1)], RECIPE)),
    "sequence": ((3, 11), lambda: convolutional((3, 11), [(4, 3, 2), (3, 3, 1)], RECIPE)),
}


def trained(kind, seed):
    """A tower whose batch statistics come from training steps, and rasters that it has not seen."""
    shape, make = TOWERS[kind]
    rng = np.random.default_rng(seed)
    means = rng.choice([0.1, 0.7], (3, *shape))

    def views(rng):
        labels = np.arange(48) % 3
        noisy = np.clip(means[labels] + rng.normal(0, 0.1, (48, *shape)), 0, 1)
        return Examples({"a": noisy.astype(np.float32)}, {"label": labels})

    config = describe({"a": make()}, {"a": shape}, RECIPE, task="t", seed=seed, readout="counts")
    module = fit(config, views, CrossEntropyOfCounts(), RECIPE, seed, device="cpu").module
    raster = (rng.random((10, RECIPE.steps, *shape)) < means[np.arange(10) % 3][:, None]).astype(np.uint8)
    return module, shape, raster


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("kind", TOWERS)
def test_the_float_engine_fires_the_spikes_of_the_unroll(kind, seed):
    module, shape, raster = trained(kind, seed)
    norms = [part for part in module.modules() if isinstance(part, NORMS)]
    assert len(norms) == 2
    for norm in norms:  # nothing that exports as the identity
        assert norm.running_mean.abs().max() > 1e-3
        assert (norm.running_var - 1).abs().max() > 0.05
        assert (norm.weight - 1).abs().max() > 1e-3
    graph = from_torch(module.towers, {"a": shape})
    network = prepare(graph, Contract.resolve(graph.metadata)).network
    run = float_engine.run(network, {"a": raster.reshape(*raster.shape[:2], -1)})
    spiking = [population.name for population in network.populations if population.spiking]
    # In float64 as the engine: the same weights and statistics, so that no sum is rounded to another side.
    tower = copy.deepcopy(module).double().eval().tower("a")
    with torch.no_grad():
        layers = unroll(tower, torch.from_numpy(raster).transpose(0, 1).double())
    assert len(spiking) == len(layers) == 2
    for name, layer in zip(spiking, layers, strict=True):
        wanted = layer.flatten(2).transpose(0, 1).numpy()
        np.testing.assert_array_equal(run.rasters[name].reshape(wanted.shape), wanted)
        assert 0.002 < wanted.mean() < 0.9
        assert len(np.unique(wanted.sum(axis=(0, 1)))) > 2  # neurons differ
        assert len(np.unique(wanted.sum(axis=(1, 2)))) > 2  # and samples
