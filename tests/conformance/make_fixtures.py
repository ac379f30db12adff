"""Make small graphs and reference spikes in other frameworks: run each in an environment that has it.

    python -m tests.conformance.make_fixtures snntorch
    python -m tests.conformance.make_fixtures sinabs

writes tests/conformance/fixtures/NAME.nir, by the framework's own exporter, and NAME.npz: ``input``
(samples, steps, *shape), ``dt``, and ``spikes.NODE`` (samples, steps, neurons) by the graph's node names.
"""

from __future__ import annotations

import sys
import warnings
from pathlib import Path
from typing import Any

import nir
import numpy as np
import torch
from torch import nn

FIXTURES = Path(__file__).parent / "fixtures"
STEPS, SAMPLES = 200, 3


def snntorch() -> None:
    """snnTorch 1.0.0. Its reset acts one step late, and reset_delay=False has no effect on hidden state.

    So the reference neurons do not reset (reset_mechanism "none"), and v is set to 0 here after each spike,
    which is what its exporter's graph says.
    """
    import snntorch as snn
    from snntorch.export_nir import export_to_nir

    def layers(reset: str) -> list[nn.Module]:
        torch.manual_seed(1)
        leaky = {"beta": torch.full((16,), 0.9), "threshold": torch.ones(16)}
        decays = {"alpha": torch.full((8,), 0.8), "beta": torch.full((8,), 0.85), "threshold": torch.ones(8)}
        made = [
            nn.Linear(12, 16),
            snn.Leaky(**leaky, reset_mechanism=reset, init_hidden=reset == "zero"),
            nn.Linear(16, 8),
            snn.Synaptic(**decays, reset_mechanism=reset, init_hidden=reset == "zero"),
        ]
        with torch.no_grad():
            made[0].weight.add_(0.1)
            made[2].weight.add_(0.02)
        return made

    graph = export_to_nir(nn.Sequential(*layers("zero")), torch.rand(12))
    first, leaky, second, synaptic = layers("none")
    x = _spikes((12,))
    found: dict[str, list[torch.Tensor]] = {"1": [], "3": []}
    v1, v2, syn = torch.zeros(SAMPLES, 16), torch.zeros(SAMPLES, 8), torch.zeros(SAMPLES, 8)
    with torch.no_grad():
        for step in torch.from_numpy(x.astype(np.float32)).unbind(1):
            z, v1 = leaky(first(step), v1)
            v1 = v1 * (1 - z)
            found["1"].append(z)
            z, syn, v2 = synaptic(second(z), syn, v2)
            v2 = v2 * (1 - z)
            found["3"].append(z)
    _write("snntorch", graph, x, 1e-4, found)


def sinabs() -> None:
    """Sinabs 3: convolution, sum pooling and IAF with a reset to 0.

    By default its neurons subtract the threshold and may send several spikes a step: NIR cannot say so.
    """
    import sinabs.layers as sl
    from sinabs.activation import MembraneReset, SingleSpike
    from sinabs.nir import to_nir

    torch.manual_seed(2)
    options = {"batch_size": SAMPLES, "spike_fn": SingleSpike, "reset_fn": MembraneReset(reset_value=0.0)}
    net = nn.Sequential(
        nn.Conv2d(2, 4, 3, padding=1, bias=False),
        sl.IAFSqueeze(**options),
        sl.SumPool2d(2),
        nn.Flatten(),
        nn.Linear(64, 8),
        sl.IAFSqueeze(**options),
    )
    with torch.no_grad():
        net[0].weight.add_(0.1)
        net[4].weight.add_(0.03)
    x = _spikes((2, 8, 8), 0.1)
    frames = torch.from_numpy(x.astype(np.float32)).flatten(
        0, 1
    )  # Squeeze layers hold samples and steps in one
    found = {}
    with torch.no_grad():
        for index, layer in enumerate(net):
            frames = layer(frames)
            if isinstance(layer, sl.IAFSqueeze):
                found[str(index)] = frames.unflatten(0, (SAMPLES, STEPS)).unbind(1)
        graph = to_nir(net, torch.zeros(SAMPLES, 2, 8, 8))
    _write("sinabs", graph, x, 1e-3, found)


def _spikes(shape: tuple[int, ...], rate: float = 0.3) -> np.ndarray[Any, Any]:
    return (np.random.default_rng(0).random((SAMPLES, STEPS, *shape)) < rate).astype(np.uint8)


def _write(name: str, graph: nir.NIRGraph, x: Any, dt: float, found: dict[str, Any]) -> None:
    rasters = {
        f"spikes.{node}": torch.stack(list(steps), 1).flatten(2).numpy().astype(np.uint8)
        for node, steps in found.items()
    }
    graph.infer_types()  # fills in the shapes that nir.write needs
    nir.write(FIXTURES / f"{name}.nir", graph)
    np.savez_compressed(FIXTURES / f"{name}.npz", input=x, dt=dt, **rasters)
    rates = {node: round(float(raster.mean()), 3) for node, raster in rasters.items()}
    print(name, rates, list(graph.edges))


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    {"snntorch": snntorch, "sinabs": sinabs}[sys.argv[1]]()
