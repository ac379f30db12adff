"""The encoder, its bridge, and the neurons behind it."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from snn_deploy.train.cpc import CpcTraining, encoder_arrays, train_cpc  # noqa: E402
from snn_deploy.train.host import bridge_spikes  # noqa: E402
from snn_deploy.train.recipe import Recipe  # noqa: E402

RECIPE = Recipe(steps=16, tau_syn_inv=1000.0, tau_mem_inv=200.0)
SMALL = CpcTraining(latent=8, hidden=12, epochs=6, batch=16, learning_rate=0.01)


def windows(n, seed):
    """Half with a burst of a tone."""
    rng = np.random.default_rng(seed)
    strain = rng.normal(size=(n, 512))
    labels = np.arange(n) % 2
    strain[labels == 1, 200:320] += 3 * np.sin(np.arange(120) * 0.6)
    return strain.astype(np.float32), labels


def test_encoder_bridge_and_neurons_learn_together():
    strain, labels = windows(96, 0)
    asked, right = windows(80, 1)
    found = train_cpc(strain, labels, SMALL, RECIPE, 0)
    assert (found.scores(asked).argmax(1) == right).mean() > 0.85
    assert min(found.spikes) > 1
    again = train_cpc(strain, labels, SMALL, RECIPE, 0)
    np.testing.assert_array_equal(found.scores(asked), again.scores(asked))


@pytest.mark.parametrize("contrast", [0.0, 0.5])
def test_the_host_fires_the_bridge_of_the_network(contrast):
    strain, labels = windows(64, 2)
    network = train_cpc(
        strain, labels, CpcTraining(8, 12, epochs=8, batch=16, contrast=contrast), RECIPE, 1
    ).network
    asked = windows(30, 3)[0]
    found = bridge_spikes(asked, encoder_arrays(network))
    with torch.no_grad():
        latents = network.norm(network.latents(torch.from_numpy(asked)))
    wanted = (latents > 1).permute(0, 2, 1).numpy()
    clear = (latents - 1).abs().permute(0, 2, 1).numpy() > 1e-4  # sums in another order part at the threshold
    np.testing.assert_array_equal(found[clear], wanted[clear])
    assert clear.mean() > 0.99
    assert 0.01 < found.mean() < 0.6 and len(np.unique(found.sum((1, 2)))) > 5


def test_unit_norm_silences_the_bridge_and_batch_norm_wakes_it(caplog):
    strain, labels = windows(64, 4)
    silent, woken = (
        train_cpc(strain, labels, CpcTraining(8, 12, epochs=2, unit_norm=True, norm=norm), RECIPE, 0)
        for norm in (False, True)
    )
    assert silent.spikes[0] == 0
    (warning,) = caplog.messages
    assert "bridge sent no spikes" in warning and "batch norm" in warning
    assert silent.loss == pytest.approx(np.log(2), abs=0.05)
    assert woken.spikes[0] > 1


def test_a_budget_brings_spikes_down():
    strain, labels = windows(96, 5)
    free, held = (
        train_cpc(strain, labels, CpcTraining(8, 12, epochs=8, budget=budget), RECIPE, 0)
        for budget in (None, 5.0)
    )
    assert sum(held.spikes) < 0.8 * sum(free.spikes)
