"""snnTorch 1.0.0: its cells with the settings that they have by default, and with others."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import snntorch as snn
import torch
from torch import nn

from tests.conformance.exporters import Reference
from tests.conformance.modules import lively, reference

CELLS = (snn.Leaky, snn.Synaptic, snn.RLeaky, snn.RSynaptic, snn.Lapicque)


def references() -> Iterator[Reference]:
    yield reference("defaults", _three, _run, "Leaky, Synaptic, Lapicque: 'subtract', reset_delay=True")
    said = "RLeaky, RSynaptic: 'subtract', reset_delay=True; linear_features, all_to_all=False"
    yield reference("recurrent", _recurrent, _run, said)
    said = "Conv2d, BatchNorm2d, AvgPool2d, Leaky: 'subtract'; RLeaky with conv2d_channels"
    yield reference("conv", _conv, _run, said, shape=(2, 8, 8), rate=0.15)
    said = "Leaky, Synaptic, RLeaky: 'zero' with reset_delay=False; states handed through forward"
    yield reference("explicit", _Explicit, _run_explicit, said)
    yield reference("zero", _leaky_zero, _run, "Leaky: 'zero', reset_delay=True")
    for name, (said, make, refusal, nearest) in REFUSED.items():
        yield reference(
            f"refused_{name}",
            lambda make=make: _layers(make),
            _run,
            said,
            refusal=refusal,
            nearest=nearest,
        )


KEEP: dict[str, Any] = {"init_hidden": True}
ZERO: dict[str, Any] = {"reset_mechanism": "zero", **KEEP}


def _now(net: nn.Module) -> None:
    for cell in net.modules():
        if isinstance(cell, CELLS):
            cell.reset_delay = False


def _later(net: nn.Module) -> None:
    for cell in net.modules():
        if isinstance(cell, CELLS):
            cell.reset_delay = True


def _subtract(net: nn.Module) -> None:
    for cell in net.modules():
        if isinstance(cell, CELLS):
            cell.reset_mechanism, cell.state_function = "subtract", cell._base_sub


_CLEARS = "clears the input of the step after a spike"
#: name -> settings and what they are compared with, the cell, the refusal, the change.
REFUSED = {
    "synaptic_zero": (
        "Synaptic: 'zero', reset_delay=True; compared with reset_delay=False",
        lambda n: snn.Synaptic(alpha=0.6, beta=0.8, **ZERO),
        _CLEARS,
        _now,
    ),
    "rleaky_zero": (
        "RLeaky: 'zero', reset_delay=True; compared with reset_delay=False",
        lambda n: snn.RLeaky(beta=0.8, all_to_all=False, V=-0.2, **ZERO),
        _CLEARS,
        _now,
    ),
    "rsynaptic_zero": (
        "RSynaptic: 'zero'; compared with 'subtract'",
        lambda n: snn.RSynaptic(alpha=0.5, beta=0.8, all_to_all=False, V=-0.2, **ZERO),
        _CLEARS,
        _subtract,
    ),
    "lapicque_zero": (
        "Lapicque: 'zero'; compared with 'subtract'",
        lambda n: snn.Lapicque(beta=0.8, threshold=0.3, **ZERO),
        _CLEARS,
        _subtract,
    ),
    "leaky_subtract_now": (
        "Leaky: 'subtract', reset_delay=False; compared with reset_delay=True",
        lambda n: snn.Leaky(beta=0.9, threshold=0.4, reset_delay=False, **KEEP),
        "subtracts a second time",
        _later,
    ),
}


def _leaky_zero() -> nn.Module:
    return _layers(lambda n: snn.Leaky(beta=torch.linspace(0.6, 0.95, n), **ZERO))


def _layers(cell: Any) -> nn.Module:
    return lively(nn.Sequential(nn.Linear(12, 16), cell(16), nn.Linear(16, 9, bias=False), cell(9)))


def _three() -> nn.Module:
    return lively(
        nn.Sequential(
            nn.Linear(12, 16),
            snn.Leaky(beta=torch.linspace(0.5, 0.95, 16), **KEEP),
            nn.Linear(16, 12),
            snn.Synaptic(alpha=torch.tensor(0.5), beta=torch.linspace(0.4, 0.7, 12), threshold=1.3, **KEEP),
            nn.Linear(12, 8),
            snn.Lapicque(beta=0.8, threshold=0.2, **KEEP),
        )
    )


def _recurrent() -> nn.Module:
    return lively(
        nn.Sequential(
            nn.Linear(12, 10),
            snn.RLeaky(beta=0.8, linear_features=10, threshold=1.5, **KEEP),
            nn.Linear(10, 8),
            snn.RSynaptic(alpha=0.4, beta=0.6, linear_features=8, threshold=2.5, **KEEP),
            nn.Linear(8, 6),
            snn.RLeaky(beta=0.9, all_to_all=False, V=-0.4, **KEEP),
        )
    )


def _conv() -> nn.Module:
    net = nn.Sequential(
        nn.Conv2d(2, 4, 3, padding=1, bias=False),
        nn.BatchNorm2d(4),
        snn.Leaky(beta=0.9, **KEEP),
        nn.AvgPool2d(2),
        snn.RLeaky(beta=0.7, conv2d_channels=4, kernel_size=3, threshold=0.6, **KEEP),
        nn.Flatten(),
        nn.Linear(64, 8),
        snn.Leaky(beta=0.8, threshold=0.5, **KEEP),
    )
    with torch.no_grad():
        net[1].running_mean.uniform_(-0.2, 0.1)
        net[1].running_var.uniform_(0.1, 0.3)
    return lively(net)


class _Explicit(nn.Module):
    """The style of snnTorch's tutorials, one step of it."""

    def __init__(self) -> None:
        super().__init__()
        options: dict[str, Any] = {"reset_mechanism": "zero", "reset_delay": False}
        self.fc1, self.lif1 = nn.Linear(12, 16), snn.Leaky(beta=0.9, **options)
        self.fc2, self.lif2 = nn.Linear(16, 10), snn.Synaptic(alpha=0.5, beta=0.7, threshold=1.5, **options)
        self.fc3 = nn.Linear(10, 8)
        self.lif3 = snn.RLeaky(beta=0.8, linear_features=8, **options)
        lively(self)

    def forward(self, x: torch.Tensor, state: Any = None) -> tuple[torch.Tensor, Any]:
        mem1, syn2, mem2, spk3, mem3 = (None,) * 5 if state is None else state
        spk1, mem1 = self.lif1(self.fc1(x), mem1)
        spk2, syn2, mem2 = self.lif2(self.fc2(spk1), syn2, mem2)
        spk3, mem3 = self.lif3(self.fc3(spk2), spk3, mem3)
        return spk3, (mem1, syn2, mem2, spk3, mem3)


def _run(net: nn.Module, x: torch.Tensor) -> dict[str, torch.Tensor]:
    found: dict[str, list[torch.Tensor]] = {}
    for path, cell in net.named_modules():
        if isinstance(cell, CELLS):
            cell.register_forward_hook(
                lambda _, __, sent, path=path: found.setdefault(path, []).append(sent.clone())
            )
    for step in x.unbind(1):
        net(step)
    return {path: torch.stack(steps, 1) for path, steps in found.items()}


def _run_explicit(net: nn.Module, x: torch.Tensor) -> dict[str, torch.Tensor]:
    found: dict[str, list[torch.Tensor]] = {}
    for path, cell in net.named_modules():
        if isinstance(cell, CELLS):
            cell.register_forward_hook(
                lambda _, __, sent, path=path: found.setdefault(path, []).append(sent[0].clone())
            )
    state = None
    for step in x.unbind(1):
        _, state = net(step, state)
    return {path: torch.stack(steps, 1) for path, steps in found.items()}
