import copy

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from snn_deploy.convert.frontends.norse.description.config import Config  # noqa: E402
from snn_deploy.convert.frontends.norse.description.modules import build  # noqa: E402
from snn_deploy.train.encoders import batch_norm, convolution, linear  # noqa: E402
from snn_deploy.train.unroll import unroll  # noqa: E402

DYNAMICS = [
    {},
    {"tau_syn_inv": 500.0, "tau_mem_inv": 250.0},
    {"tau_syn_inv": 1000.0, "v_leak": 0.2, "v_reset": -0.3, "v_th": 0.7},
]


def tower(first, dynamics):
    if first == "LIFCell":
        head = [
            {"type": "Linear", "in": 30, "out": 40, "bias": True},
            {"type": "LIFCell", "size": 40, **dynamics},
        ]
    else:
        head = [{"type": "LIFRecurrentCell", "in": 30, "size": 40, **dynamics}]
    tail = [{"type": "Linear", "in": 40, "out": 20}, {"type": "LIFCell", "size": 20, **dynamics}]
    config = Config.model_validate({"inputs": {"a": 30}, "towers": {"a": head + tail}})
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        module = build(config)
    with torch.no_grad():
        for parameter in module.parameters():
            # Multiples of 1/64: their sums are exact in any order, so that spikes can be equal.
            parameter.copy_((parameter * 8 * 64).round() / 64)
    return module


@pytest.mark.parametrize("first", ["LIFCell", "LIFRecurrentCell"])
@pytest.mark.parametrize("dynamics", DYNAMICS)
def test_spikes_are_those_of_the_norse_modules(first, dynamics):
    module = tower(first, dynamics)
    spikes = (torch.rand(25, 16, 30, generator=torch.Generator().manual_seed(1)) < 0.3).float()
    with torch.no_grad():
        expected = module("a", spikes)
        layers = unroll(module.tower("a"), spikes)
    assert torch.equal(layers[-1], expected)
    for layer in layers:
        assert 0.01 < layer.mean().item() < 0.9
    assert expected.sum((0, 2)).unique().numel() > 3


@pytest.mark.parametrize("first", ["LIFCell", "LIFRecurrentCell"])
def test_gradient_is_that_of_the_equations_written_again(first):
    """The backward pass against autograd through a plain loop, whose spike is a SuperSpike surrogate."""
    slope, a_m, a_s = 5.0, 0.25, 0.5
    module = tower(first, {"tau_syn_inv": 500.0, "tau_mem_inv": 250.0}).double()
    spikes = (torch.rand(12, 6, 30, generator=torch.Generator().manual_seed(2)) < 0.3).double()
    target = torch.rand(20, generator=torch.Generator().manual_seed(3), dtype=torch.float64)

    def fire(distance):
        # Value: the step. Gradient: that of d / (1 + slope |d|), which is 1 / (1 + slope |d|)^2.
        soft = distance / (1 + slope * distance.abs())
        return (distance > 0).double() + (soft - soft.detach())

    def neurons(currents, recurrent=None):
        v = i = z = torch.zeros_like(currents[0])
        out = []
        for current in currents:
            i = i + current + (0 if recurrent is None else z @ recurrent.t())
            v = v + a_m * (i - v)
            i = i - a_s * i
            z = fire(v - 1)
            v = (1 - z.detach()) * v
            out.append(z)
        return torch.stack(out)

    weights = dict(module.tower("a").named_parameters())
    if first == "LIFCell":
        hidden = neurons(spikes @ weights["0.weight"].t() + weights["0.bias"])
        last = weights["2.weight"]
    else:
        hidden = neurons(spikes @ weights["0.input_weights"].t(), weights["0.recurrent_weights"])
        last = weights["1.weight"]
    expected = neurons(hidden @ last.t())
    names = list(weights)
    by_autograd = torch.autograd.grad((expected.sum(0) * target).sum(), [weights[n] for n in names])
    found = unroll(module.tower("a"), spikes, slope)[-1]
    by_hand = torch.autograd.grad((found.sum(0) * target).sum(), [weights[n] for n in names])
    assert torch.equal(found, expected.detach())
    for name, hand, auto in zip(names, by_hand, by_autograd, strict=True):
        if name.endswith("recurrent_weights"):
            assert torch.count_nonzero(hand.diagonal()) == 0
            auto.fill_diagonal_(0)
        assert auto.abs().max() > 0.1
        # Tolerance: float32 decays (dt times the stored float32 time constants) inside float64 sums.
        assert torch.allclose(hand, auto, rtol=1e-5, atol=1e-6), name


SHAPES = ["vector", "recurrent", "image", "sequence"]
RANDOM = {"tau_syn_inv": 500.0, "tau_mem_inv": 250.0}


def normed(kind, seed, dynamics):
    """A tower with batch norm on the current of each layer, and the shape of its input; sizes are drawn."""
    rng = np.random.default_rng(seed)
    hidden, channels = int(rng.integers(5, 30)), int(rng.integers(2, 6))
    shape = {"image": (2, 7, 6), "sequence": (3, 11)}.get(kind, (int(rng.integers(6, 20)),))
    if len(shape) > 1:
        layer, behind = convolution(shape, channels, 3, 2)
        size = int(np.prod(behind))
        tower = [
            layer,
            batch_norm(behind),
            {"type": "LIFCell", "size": size, **dynamics},
            {"type": "Flatten"},
        ]
    else:
        size = hidden
        neurons = "RecurrentLIFCell" if kind == "recurrent" else "LIFBoxCell"
        own = {k: v for k, v in dynamics.items() if neurons != "LIFBoxCell" or k != "tau_syn_inv"}
        tower = [linear(shape[0], size), batch_norm((size,)), {"type": neurons, "size": size, **own}]
    last = int(rng.integers(4, 9))
    tower += [linear(size, last), batch_norm((last,)), {"type": "LIFCell", "size": last, **dynamics}]
    config = Config.model_validate(
        {"inputs": {"a": int(np.prod(shape))}, "input_shapes": {"a": list(shape)}, "towers": {"a": tower}}
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        module = build(config)
        with torch.no_grad():
            for part in module.modules():
                if isinstance(part, (torch.nn.BatchNorm1d, torch.nn.BatchNorm2d)):
                    part.weight.uniform_(0.5, 3.0)
                    part.bias.uniform_(0.0, 2.0)
        spikes = (torch.rand(9, 6, *shape) < 0.4).float()
    return module, spikes


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("kind", SHAPES)
def test_after_training_norm_norse_fires_the_same_spikes(kind, seed):
    """Running statistics learned by the fused pass, then Norse's own steps against unroll and fused again."""
    module, spikes = normed(kind, seed, RANDOM)
    with torch.no_grad():
        for _ in range(20):
            unroll(module.tower("a"), spikes)
        module.eval()
        expected = module("a", spikes)
        found = unroll(module.tower("a"), spikes)[-1]
    assert torch.equal(found, expected)
    assert expected.sum((0, 1)).unique().numel() > 2


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("kind", SHAPES)
def test_gradients_with_batch_norm_are_those_of_autograd(kind, seed):
    module, spikes = normed(kind, seed, RANDOM)
    module, spikes = module.double(), spikes.double()
    plain = copy.deepcopy(module)
    expected = by_autograd(plain.tower("a"), spikes)
    found = unroll(module.tower("a"), spikes, 5.0)[-1]
    assert torch.equal(found, expected.detach())
    assert found.sum((0, 1)).unique().numel() > 2
    target = torch.rand(found.shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    (expected * target).sum().backward()
    (found * target).sum().backward()
    weights = dict(plain.named_parameters())
    for name, weight in module.named_parameters():
        auto = weights[name].grad
        if name.endswith("recurrent_weights"):  # a copied parameter has no hook
            assert torch.count_nonzero(weight.grad.diagonal()) == 0
            auto.fill_diagonal_(0)
        assert auto.abs().max() > 0, name
        assert torch.allclose(weight.grad, auto, rtol=1e-9, atol=1e-9), name
    for name, value in module.named_buffers():
        assert torch.allclose(value, dict(plain.named_buffers())[name], rtol=1e-9), name


def by_autograd(tower, raster):
    """The last layer's spikes by torch's own batch norm and a plain loop that autograd differentiates."""

    def fire(distance):
        soft = distance / (1 + 5.0 * distance.abs())
        return (distance > 0).double() + (soft - soft.detach())

    for layer in tower:
        if not hasattr(layer, "p"):
            raster = layer(raster.flatten(0, 1)).unflatten(0, raster.shape[:2])
            continue
        weights = getattr(layer, "recurrent_weights", None)
        a_m, v = layer.dt * layer.p.tau_mem_inv, torch.zeros_like(raster[0])
        a_s = layer.dt * layer.p.tau_syn_inv if hasattr(layer.p, "tau_syn_inv") else 1.0
        i, z, out = torch.zeros_like(v), torch.zeros_like(v), []
        for current in raster:
            i = i + current + (0 if weights is None else z @ weights.t())
            v = v + a_m * (i - v)
            i = i - a_s * i
            z = fire(v - 1)
            v = (1 - z.detach()) * v
            out.append(z)
        raster = torch.stack(out)
    return raster


def test_an_input_that_repeats_is_computed_once_and_fires_the_same():
    module, spikes = normed("image", 5, RANDOM)
    module.eval()
    repeated = spikes[0].expand(9, *spikes[0].shape)
    with torch.no_grad():
        found = unroll(module.tower("a"), repeated)
        expected = unroll(module.tower("a"), repeated.contiguous())
    assert all(torch.equal(a, b) for a, b in zip(found, expected, strict=True))
    assert 0 < found[-1].mean() < 1


def test_dropped_spikes_are_lost_at_the_share_asked_for():
    module, spikes = normed("vector", 1, RANDOM)
    with torch.no_grad(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        whole = unroll(module.tower("a"), spikes)[0]
        kept = unroll(module.tower("a"), spikes, drop=0.5)[0]
    n = whole.sum().item()
    assert torch.all(kept <= whole)
    assert abs(kept.sum().item() - n / 2) < 5 * (n / 4) ** 0.5  # five standard deviations
