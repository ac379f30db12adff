"""An ANN of a spiking network's shape, and the spikes that begin from it."""

import dataclasses

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402

from snn_deploy.convert.frontends.norse import import_norse  # noqa: E402
from snn_deploy.errors import UsageError  # noqa: E402
from snn_deploy.train import checkpoint  # noqa: E402
from snn_deploy.train.ann import activations, begin_spikes, freeze_norms  # noqa: E402
from snn_deploy.train.coding import direct_code  # noqa: E402
from snn_deploy.train.encoders import convolutional, describe, feed_forward  # noqa: E402
from snn_deploy.train.evaluation import outputs_of  # noqa: E402
from snn_deploy.train.examples import Examples  # noqa: E402
from snn_deploy.train.loop import fit  # noqa: E402
from snn_deploy.train.objectives import CrossEntropyOfCounts, WeightedSum, readers  # noqa: E402
from snn_deploy.train.recipe import Recipe  # noqa: E402
from snn_deploy.train.unroll import unroll  # noqa: E402

RECIPE = Recipe(
    start="ann",
    steps=1,
    rate_epochs=6,
    epochs=5,
    batch=16,
    rate_learning_rate=0.01,
    learning_rate=0.005,
    tau_syn_inv=1000,
    tau_mem_inv=1000,
    rate_penalty=0,
)
SHAPE = (2, 8, 8)


def config(recipe=RECIPE):
    layers = convolutional(SHAPE, [(6, 3, 2), (8, 3, 2)], recipe)
    constants = {"head_weight": [3, 32], "head_bias": [3]}
    return describe(
        {"x": layers}, {"x": SHAPE}, recipe, task="", seed=0, readout="counts", constants=constants
    )


def views(rng):
    labels = np.arange(96) % 3
    patterns = np.random.default_rng(7).random((3, *SHAPE))
    noisy = patterns[labels] + rng.normal(0, 0.2, (96, *SHAPE))
    return Examples({"x": np.clip(noisy, 0, 1).astype(np.float32)}, {"label": labels})


def trained(path=None, recipe=RECIPE, **options):
    objective = CrossEntropyOfCounts(head="head")
    return fit(config(recipe), views, objective, recipe, 3, coding=direct_code, checkpoint=path, **options)


def accuracy(scores, labels):
    return float((np.asarray(scores).argmax(1) == labels).mean())


def through_head(module, values):
    constants = dict(module.constants.named_buffers())
    return values @ constants["head_weight"].detach().numpy().T + constants["head_bias"].detach().numpy()


def random_tower(seed):
    """Two layers with batch norm whose statistics and gains are anything."""
    torch.manual_seed(seed)
    module = nn.Sequential(*trained_layers(seed))
    for part in module:
        if isinstance(part, nn.BatchNorm2d):
            for array in (part.weight, part.running_var):
                nn.init.uniform_(array, 0.5, 2)
            for array in (part.bias, part.running_mean):
                nn.init.normal_(array)
    return module.eval()


def trained_layers(seed):
    norse = import_norse()
    p = norse.LIFParameters(tau_syn_inv=torch.tensor(1000.0), tau_mem_inv=torch.tensor(1000.0))
    bias = bool(seed % 2)
    return [
        nn.Conv2d(2, 5, 3, 2, 1, bias=bias),
        nn.BatchNorm2d(5),
        norse.LIFCell(p=p),
        nn.Conv2d(5, 7, 3, 1, 1, bias=not bias),
        *([nn.BatchNorm2d(7)] if seed % 3 else []),
        norse.LIFCell(p=p),
        nn.Flatten(),
    ]


@pytest.mark.parametrize("seed", range(6))
def test_a_neuron_fires_where_its_unit_passes_half_of_lambda(seed):
    tower = random_tower(seed)
    values = torch.rand(40, *SHAPE)
    with torch.no_grad():
        before = activations(tower, values)
        scales = [0.5 * torch.quantile(layer.flatten(), 0.995, interpolation="lower") for layer in before]
        stands_for = begin_spikes(tower, values)
        spikes = unroll(tower, values[None])
        first = spikes[0][0].flatten(1)
        expected = (before[0] > scales[0] / 2).float()
        assert 0.02 < expected.mean() < 0.9
        assert (first == expected).float().mean() > 0.999  # sums in another order may part at a threshold
        # the second layer reads spikes that stand for lambda
        again = random_tower(seed)
        shown = (first * scales[0]).reshape(spikes[0][0].shape)
        second = activations(nn.Sequential(*list(again)[3:]), shown)[0]
        clear = (second - scales[1] / 2).abs() > 1e-4 * scales[1]
        assert torch.equal(spikes[1][0].flatten(1)[clear], (second > scales[1] / 2).float()[clear])
        assert 0.005 < spikes[1].mean() < 0.95
    assert stands_for == pytest.approx(float(scales[1]), rel=1e-6)


def test_silent_units_are_named():
    tower = random_tower(1)
    with torch.no_grad():
        tower[1].bias.fill_(-1e6)
    with pytest.raises(UsageError, match=r"layer 2: the units of this layer of the ANN are silent"):
        begin_spikes(tower, torch.rand(4, *SHAPE))


def test_recurrent_neurons_have_no_ann():
    recipe = RECIPE.changed({"hidden": 8, "pairs": 2})
    layers = feed_forward((4,), [8, 4], recipe, recurrent=True)
    described = describe({"x": layers}, {"x": 4}, recipe, task="", seed=0)
    rows = Examples({"x": np.random.default_rng(0).random((8, 4), np.float32)}, {"label": np.arange(8) % 2})
    with pytest.raises(UsageError, match="recurrent neurons do not begin from an ANN"):
        fit(described, lambda rng: rows, CrossEntropyOfCounts(), recipe, 0, coding=direct_code)


def test_norms_keep_their_statistics_while_spikes_train():
    module = trained().module
    freeze_norms(module.train())
    norms = [part for part in module.modules() if isinstance(part, nn.BatchNorm2d)]
    assert norms
    for norm in norms:
        assert not norm.training
        assert torch.equal(norm.running_mean, torch.zeros_like(norm.running_mean))


def test_the_ann_is_kept_and_the_spikes_learn_on():
    found = trained()
    held_out = views(np.random.default_rng(99))
    labels = held_out.targets["label"]
    by_ann = through_head(found.ann, outputs_of(found.ann, "x", held_out.inputs["x"]))
    assert accuracy(by_ann, labels) > 0.8
    with torch.no_grad():
        spikes = unroll(found.module.tower("x"), torch.from_numpy(held_out.inputs["x"])[None])
    assert 0.02 < spikes[-1].mean() < 0.9
    assert accuracy(through_head(found.module, spikes[-1][0].flatten(1).numpy()), labels) > 0.8
    stages = [epoch.stage for epoch in found.history]
    assert stages == ["rates"] * 6 + ["spikes"] * 5
    assert [bool(epoch.spikes) for epoch in found.history] == [False] * 6 + [True] * 5


def test_frozen_heads_change_in_the_first_stage_alone():
    found = trained(frozen_heads=("head",), recipe=RECIPE.changed({"learning_rate": 0.05}))
    ann, module = (dict(m.constants.named_buffers()) for m in (found.ann, found.module))
    ratio = module["head_weight"] / ann["head_weight"]
    assert torch.allclose(ratio, ratio.flatten()[0].expand_as(ratio))  # scaled by what a spike stands for
    assert torch.equal(module["head_bias"], ann["head_bias"])
    assert ratio.flatten()[0] != 1


@pytest.mark.parametrize("killed_after", [3, 17, 36, 40, 61])
def test_a_killed_run_goes_on_bit_for_bit(tmp_path, monkeypatch, killed_after):
    whole = trained()
    monkeypatch.setattr(checkpoint, "SECONDS", 0.0)
    write, calls = checkpoint.Checkpoint.write, []

    def crash(self, run):
        write(self, run)
        calls.append(run.position.batch)
        if len(calls) == killed_after:
            raise KeyboardInterrupt

    monkeypatch.setattr(checkpoint.Checkpoint, "write", crash)
    with pytest.raises(KeyboardInterrupt):
        trained(tmp_path / "state")
    monkeypatch.setattr(checkpoint.Checkpoint, "write", write)
    resumed = trained(tmp_path / "state")
    for first, second in ((whole.module, resumed.module), (whole.ann, resumed.ann)):
        states = first.state_dict(), second.state_dict()
        assert states[0].keys() == states[1].keys()
        assert all(torch.equal(value, states[1][name]) for name, value in states[0].items())


def test_readers_are_the_maps_that_read_a_tower():
    one = CrossEntropyOfCounts(head="head")
    assert readers(one, "x") == ["head"]
    assert readers(dataclasses.replace(one, input="y"), "x") == []
    assert readers(CrossEntropyOfCounts(), "x") == []
    other = CrossEntropyOfCounts(head="other", input="x")
    assert readers(WeightedSum(((1.0, one), (0.5, other))), "x") == ["head", "other"]
