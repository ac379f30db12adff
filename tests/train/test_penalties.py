import numpy as np
import pytest

torch = pytest.importorskip("torch")

from snn_deploy.train.penalties import penalty  # noqa: E402
from snn_deploy.train.recipe import Recipe  # noqa: E402


@pytest.mark.parametrize("seed", range(3))
def test_equals_the_formula_written_again(seed):
    rng = np.random.default_rng(seed)
    steps, samples = 7, 5
    shapes = {"a": [(4,), (2, 3, 3)], "b": [(6,)]}
    spikes = {
        name: [(rng.random((steps, samples, *shape)) < 0.2).astype(np.float64) for shape in layers]
        for name, layers in shapes.items()
    }
    recipe = Recipe(steps=steps, rate_penalty=0.3, rate_low=0.1, rate_high=0.25, spike_budget=15.0)
    total, over = 0.0, 0
    for layers in spikes.values():
        for raster in layers:
            rates = raster.reshape(steps * samples, -1).mean(0)
            total += 0.3 * np.mean(np.maximum(rates - 0.25, 0) ** 2 + 25 * np.maximum(0.1 - rates, 0) ** 2)
        per_example = sum(raster.sum() for raster in layers) / samples
        over += per_example > 15
        total += max(per_example - 15, 0) / 100
    found = penalty({name: [torch.from_numpy(r) for r in v] for name, v in spikes.items()}, recipe)
    assert found.item() == pytest.approx(total, rel=1e-6)
    assert 0 < over < 2  # one tower within its budget, one beyond
