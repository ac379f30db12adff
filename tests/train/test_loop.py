import logging

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from snn_deploy.errors import UsageError  # noqa: E402
from snn_deploy.train import loop  # noqa: E402
from snn_deploy.train.encoders import describe  # noqa: E402
from snn_deploy.train.examples import Examples  # noqa: E402
from snn_deploy.train.objectives import NtXent  # noqa: E402
from snn_deploy.train.recipe import Recipe  # noqa: E402

RECIPE = Recipe(hidden=48, pairs=24, steps=16, temperature=0.2, rate_epochs=60, epochs=15, batch=20)


def views(rng):
    """40 pairs: two fixed random codes of each, the first under noise."""
    fixed = np.random.default_rng(9).choice([0.02, 0.6], (2, 40, 30))
    noisy = np.clip(fixed[0] + rng.normal(0, 0.05, fixed[0].shape), 0, 1)
    return Examples({"left": noisy.astype(np.float32), "right": fixed[1].astype(np.float32)})


def trained(encoder, seed=0, **changes):
    recipe = RECIPE.changed(changes)
    config = describe(encoder, {"left": 30, "right": 30}, recipe, task="test", seed=seed)
    trained = loop.fit(config, views, NtXent(recipe.temperature), recipe, seed)
    return trained.module, trained.history


@pytest.mark.parametrize("encoder", ["lif", "recurrent"])
def test_training_lowers_the_loss_and_every_layer_fires(encoder):
    _, history = trained(encoder)
    assert [epoch.stage for epoch in history] == ["rates"] * 60 + ["spikes"] * 15
    assert history[-1].loss < 0.7 * history[0].loss
    assert history[-1].loss < 0.7 * np.log(20)  # chance within a batch of 20
    for layers in history[-1].rates.values():
        assert len(layers) == 2
        assert all(0.005 < rate < 0.4 for rate in layers)


def test_spikes_alone_lower_the_loss_too():
    _, history = trained("recurrent", rate_epochs=0, epochs=12, learning_rate=5e-3)
    assert {epoch.stage for epoch in history} == {"spikes"}
    assert history[-1].loss < 0.9 * history[0].loss


def test_the_recurrent_weights_are_trained_and_stay_free_of_autapses():
    before, _ = trained("recurrent", rate_epochs=0, epochs=0)
    after, _ = trained("recurrent", rate_epochs=0, epochs=1)
    start, end = (m.tower("left")[0].recurrent_weights.detach() for m in (before, after))
    assert not torch.equal(start, end)
    assert torch.count_nonzero(end.diagonal()) == 0


def test_the_seed_decides_every_weight():
    state = torch.random.get_rng_state()
    first, second, other = trained("lif")[0], trained("lif")[0], trained("lif", seed=1)[0]
    for name, value in first.state_dict().items():
        assert torch.equal(value, second.state_dict()[name]), name
        assert not torch.equal(value, other.state_dict()[name]), name
    assert torch.equal(state, torch.random.get_rng_state())


def test_progress_sees_every_epoch():
    seen = []
    config = describe("lif", {"left": 30, "right": 30}, RECIPE, task="test", seed=0)
    found = loop.fit(config, views, NtXent(0.2), RECIPE, 0, progress=seen.append)
    assert seen == found.history
    assert found.best_epoch == RECIPE.epochs


def test_a_silent_layer_is_named(caplog):
    with caplog.at_level(logging.WARNING):
        # Time constants so long that nothing reaches threshold within 12 steps.
        trained("lif", rate_epochs=0, epochs=1, tau_syn_inv=900.0, tau_mem_inv=0.5)
    assert "towers.left: no neuron of layer 0 fired in epoch 1" in caplog.text


def test_one_tower_or_one_pair_is_refused():
    config = describe("lif", {"left": 30}, RECIPE, task="test", seed=0)

    def left(rng):
        return Examples({"left": views(rng).inputs["left"]})

    with pytest.raises(UsageError, match="two towers"):
        loop.fit(config, left, NtXent(0.2), RECIPE, 0)
    with pytest.raises(UsageError, match="found left, right; allowed left"):
        loop.fit(config, views, NtXent(0.2), RECIPE, 0)
    config = describe("lif", {"left": 30, "right": 30}, RECIPE, task="test", seed=0)
    with pytest.raises(UsageError, match="at least two pairs"):
        loop.fit(config, lambda rng: views(rng).rows(np.arange(1)), NtXent(0.2), RECIPE, 0)


def test_the_epoch_with_the_highest_score_is_kept():
    scores = iter([0.1, 0.8, 0.3])
    states = []

    def validate(module):
        assert not module.training
        states.append({name: value.clone() for name, value in module.state_dict().items()})
        torch.rand(3)  # what validation draws does not change training
        return next(scores)

    recipe = RECIPE.changed({"rate_epochs": 0, "epochs": 3})
    config = describe("lif", {"left": 30, "right": 30}, recipe, task="test", seed=0)
    kept = loop.fit(config, views, NtXent(0.2), recipe, 0, validate=validate)
    assert kept.best_epoch == 2
    assert [epoch.score for epoch in kept.history] == [0.1, 0.8, 0.3]
    found = kept.module.state_dict()
    assert all(torch.equal(found[name], value) for name, value in states[1].items())
    assert not all(torch.equal(found[name], value) for name, value in states[2].items())
    plain = loop.fit(config, views, NtXent(0.2), recipe, 0).module.state_dict()
    assert all(torch.equal(plain[name], value) for name, value in states[2].items())


def test_a_spike_budget_brings_spikes_down():
    free, bound = (
        trained("lif", rate_epochs=0, epochs=12, learning_rate=5e-3, **changes)[1][-1]
        for changes in ({}, {"spike_budget": 30.0, "budget_scale": 10.0})
    )
    for name, spikes in bound.spikes.items():
        neurons_by_layer = (48, 48)
        again = 16 * sum(r * n for r, n in zip(bound.rates[name], neurons_by_layer, strict=True))
        assert spikes == pytest.approx(again)
        assert 0 < spikes < free.spikes[name]
    assert sum(bound.spikes.values()) < 0.75 * sum(free.spikes.values())


def test_a_frozen_tower_keeps_the_weights_that_training_starts_from():
    recipe = RECIPE.changed({"rate_epochs": 2, "epochs": 2})
    config = describe("lif", {"left": 30, "right": 30}, recipe, task="test", seed=0)
    given, _ = trained("lif", seed=5, rate_epochs=3, epochs=0)
    start = {name: value for name, value in given.state_dict().items() if not name.startswith("constants")}
    drawn = loop.fit(config, views, NtXent(0.2), recipe.changed({"rate_epochs": 0, "epochs": 0}), 0).module
    found = loop.fit(config, views, NtXent(0.2), recipe, 0, start=start, frozen=["left"])
    after = found.module.state_dict()
    for name, value in start.items():
        assert not torch.equal(value, drawn.state_dict()[name]), name  # another start than the seed's own
        assert torch.equal(after[name], value) is name.startswith("towers.left"), name
    assert all(parameter.requires_grad for parameter in found.module.parameters())
    assert all(rate > 0 for layers in found.history[-1].rates.values() for rate in layers)


def test_weights_that_are_not_given_to_start_from_are_drawn_by_the_seed():
    recipe = RECIPE.changed({"rate_epochs": 0, "epochs": 0})
    config = describe("lif", {"left": 30, "right": 30}, recipe, task="test", seed=0)
    plain = loop.fit(config, views, NtXent(0.2), recipe, 0).module.state_dict()
    name = "towers.left.0.weight"
    start = {name: torch.full_like(plain[name], 0.25)}
    found = loop.fit(config, views, NtXent(0.2), recipe, 0, start=start).module.state_dict()
    for other, value in found.items():
        assert torch.equal(value, start[name] if other == name else plain[other]), other
