"""Replay recorded spikes through torch.nn.Linear layers and print NeuroBench's metrics as JSON.

Run in a process of its own. The archive holds, for each
projection i, ``weight.i`` (out, in) and ``arriving.i`` (samples, steps, in), and for each node
``spikes.NAME`` (samples, steps, neurons).
"""

import io
import json
import sys
from contextlib import redirect_stdout
from pathlib import Path

import numpy as np
import torch
from neurobench.benchmarks import Benchmark
from neurobench.metrics.static import ConnectionSparsity
from neurobench.metrics.workload import ActivationSparsity, SynapticOperations
from neurobench.models import TorchModel


class Tap(torch.nn.Identity):
    """Where NeuroBench reads spikes."""


class Replay(torch.nn.Module):
    """One Linear a projection, fed with the spikes that arrived, and one tap a node."""

    def __init__(self, archive):
        super().__init__()
        names = sorted(name for name in archive if name.startswith("weight."))
        self.arriving = [torch.tensor(archive[name.replace("weight", "arriving")]).float() for name in names]
        self.spikes = [torch.tensor(archive[name]).float() for name in archive if name.startswith("spikes.")]
        self.linears = torch.nn.ModuleList()
        for name in names:
            weight = torch.tensor(archive[name]).float()
            linear = torch.nn.Linear(weight.shape[1], weight.shape[0], bias=False)
            linear.weight = torch.nn.Parameter(weight)
            self.linears.append(linear)
        self.taps = torch.nn.ModuleList(Tap() for _ in self.spikes)

    def forward(self, batch):
        for step in range(batch.shape[1]):
            for linear, arriving in zip(self.linears, self.arriving, strict=True):
                linear(arriving[:, step])
            for tap, spikes in zip(self.taps, self.spikes, strict=True):
                tap(spikes[:, step])
        return torch.zeros(len(batch))


archive = dict(np.load(sys.argv[1], allow_pickle=False))
model = TorchModel(Replay(archive))
model.add_activation_module(Tap)
batch = torch.tensor(archive["arriving.0"]).float()
data = torch.utils.data.TensorDataset(batch, torch.zeros(len(batch)))
loader = torch.utils.data.DataLoader(data, batch_size=len(batch))
said = io.StringIO()
with redirect_stdout(said), torch.no_grad():
    metrics = [[ConnectionSparsity], [ActivationSparsity, SynapticOperations]]
    results = Benchmark(model, loader, [], [], metrics).run()
Path(sys.argv[2]).write_text(json.dumps({"results": results, "said": said.getvalue()}), encoding="utf-8")
