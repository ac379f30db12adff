import pytest

torch = pytest.importorskip("torch")

from snn_deploy.convert.frontends.norse.description.config import Config  # noqa: E402
from snn_deploy.convert.frontends.norse.description.modules import build  # noqa: E402
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
