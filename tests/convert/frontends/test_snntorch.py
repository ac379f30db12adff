"""snnTorch's cells as they come give snnTorch's spikes; settings that Loihi has nothing for are refused."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")
snn = pytest.importorskip("snntorch")

from snn_deploy import from_torch  # noqa: E402
from snn_deploy.convert.pipeline import prepare  # noqa: E402
from snn_deploy.engine import float as float_engine  # noqa: E402
from snn_deploy.errors import ModelNotSupported  # noqa: E402
from snn_deploy.network.contract import Contract  # noqa: E402

ZERO = {"reset_mechanism": "zero"}
NOW = {**ZERO, "reset_delay": False}
#: name -> a cell of n neurons, exact.
CELLS = {
    "Leaky": lambda n, **k: snn.Leaky(beta=torch.linspace(0.5, 0.95, n), **k),
    "Leaky without a leak": lambda n, **k: snn.Leaky(beta=1.0, threshold=1.5, **k),
    "Leaky, zero": lambda n, **k: snn.Leaky(beta=0.9, **ZERO, **k),
    "Leaky, zero at once": lambda n, **k: snn.Leaky(beta=0.9, **NOW, **k),
    "Synaptic": lambda n, **k: snn.Synaptic(alpha=0.5, beta=0.8, threshold=2.0, **k),
    "Synaptic, zero at once": lambda n, **k: snn.Synaptic(alpha=0.5, beta=0.8, threshold=2.0, **NOW, **k),
    "RLeaky": lambda n, **k: snn.RLeaky(beta=0.8, linear_features=n, **k),
    "RLeaky, zero at once": lambda n, **k: snn.RLeaky(beta=0.8, linear_features=n, **NOW, **k),
    "RSynaptic": lambda n, **k: snn.RSynaptic(alpha=0.4, beta=0.7, all_to_all=False, V=-0.4, **k),
    "Lapicque": lambda n, **k: snn.Lapicque(R=2.0, C=3.0, time_step=0.5, threshold=0.2, **k),
}
REFUSALS = {
    "subtracts a second time": lambda n: snn.Leaky(beta=0.9, reset_delay=False),
    "Synaptic clears the input": lambda n: snn.Synaptic(alpha=0.5, beta=0.8, **ZERO),
    "RLeaky clears the input": lambda n: snn.RLeaky(beta=0.8, linear_features=n, **ZERO),
    "RSynaptic clears the input": lambda n: snn.RSynaptic(alpha=0.5, beta=0.8, linear_features=n, **NOW),
    "Lapicque clears the input": lambda n: snn.Lapicque(beta=0.8, **ZERO),
    "found Leaky with graded_spikes_factor": lambda n: snn.Leaky(beta=0.8, graded_spikes_factor=2.0),
    "found Leaky with state_quant": lambda n: snn.Leaky(beta=0.8, state_quant=lambda v: v),
    "the spike function is no step": lambda n: snn.Leaky(beta=0.8, spike_grad=torch.sigmoid),
    "beta = 0, reset_mechanism 'subtract'": lambda n: snn.Leaky(beta=0.0),
    "cannot be a Alpha: its input jumps": lambda n: snn.Alpha(alpha=0.9, beta=0.8),
}


def net(cell):
    torch.manual_seed(3)
    chain = torch.nn.Sequential(
        torch.nn.Linear(8, 12), cell(12, init_hidden=True), torch.nn.Linear(12, 7), cell(7, init_hidden=True)
    )
    with torch.no_grad():
        chain[0].weight.add_(0.15)
        chain[2].weight.add_(0.25)
    return chain


@pytest.mark.parametrize("name", CELLS)
def test_every_spike_is_snntorchs(name):
    raster = (np.random.default_rng(1).random((2, 80, 8)) < 0.4).astype(np.uint8)
    graph = from_torch(net(CELLS[name]), 8, dt=1e-3)
    assert graph.metadata["framework"] == "snntorch"
    assert graph.metadata["reset"] == ("zero" if "zero" in name else "subtract")
    own = prepare(graph, Contract.resolve(graph.metadata)).network
    sent = float_engine.run(own, {"input": raster}).rasters[own.outputs[0].node]
    module = net(CELLS[name])
    with torch.no_grad():
        steps = [module(step) for step in torch.from_numpy(raster.astype(np.float32)).unbind(1)]
    wanted = torch.stack(steps, 1).numpy()
    assert 0.01 < wanted.mean() < 0.98 and np.ptp(wanted.sum(axis=(0, 1))) > 0
    np.testing.assert_array_equal(sent, wanted)


@pytest.mark.parametrize("message", REFUSALS)
def test_settings_that_are_refused(message):
    chain = torch.nn.Sequential(torch.nn.Linear(8, 6), REFUSALS[message](6))
    with pytest.raises(ModelNotSupported) as caught:
        from_torch(chain, 8)
    assert message in str(caught.value) and "input.1" in str(caught.value)


def test_without_a_reset_a_cell_is_a_read_out(caplog):
    cell = snn.Leaky(beta=0.9, reset_mechanism="none")
    graph = from_torch(torch.nn.Sequential(torch.nn.Linear(8, 6), cell), 8)
    assert type(graph.nodes["input.1"]).__name__ == "LI"
    assert "its spikes are mem > threshold" in caplog.text


class Tutorial(torch.nn.Module):
    """The loop over time that snnTorch's tutorials have."""

    def __init__(self):
        super().__init__()
        self.fc, self.lif = torch.nn.Linear(8, 6), snn.Leaky(beta=0.9)

    def forward(self, x):
        mem, sent = self.lif.init_leaky(), []
        for step in range(x.size(0)):
            spikes, mem = self.lif(self.fc(x[step]), mem)
            sent.append(spikes)
        return torch.stack(sent)


def test_a_loop_over_time_says_what_to_hand_in_instead():
    with pytest.raises(ModelNotSupported, match=r"make its body the forward\(x, state\) of a module"):
        from_torch(Tutorial(), 8)
