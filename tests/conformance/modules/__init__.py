"""What snn_deploy.from_torch makes of other frameworks' modules, and the spikes that these give themselves.

One module a framework, named as its package; each has ``references()``, which needs that framework.
:mod:`tests.conformance.make_fixtures` writes what it yields. A framework runs as it comes: in float32, with
its own loop over time. Only NumPy, nir, torch and snn_deploy's front ends are needed beside.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import nir
import numpy as np
import torch
from torch import nn

from snn_deploy.convert.frontends.modules.walk import from_torch
from snn_deploy.errors import ModelNotSupported
from tests.conformance.exporters import Reference, spikes
from tests.equivalence import interpreter

#: (module, spikes (samples, steps, *shape) in float32) -> output (samples, steps, neurons) by module path.
Run = Callable[[nn.Module, torch.Tensor], Mapping[str, torch.Tensor]]


def reference(
    name: str,
    make: Callable[[], nn.Module],
    run: Run,
    settings: str,
    *,
    shape: tuple[int, ...] = (12,),
    rate: float = 0.3,
    refusal: str = "",
    nearest: Callable[[nn.Module], object] | None = None,
    tune: bool = True,
) -> Reference:
    """The graph of ``make()`` and its own run.

    settings: those that make the difference, in words. refusal: what from_torch says of them, where it
    refuses; the graph is then that of the module as ``nearest`` changes it, the run that of the module as it
    was. tune: scale the weights until every layer fires well.
    """
    inputs = spikes(shape, rate)
    x = torch.from_numpy(inputs.astype(np.float32))
    module = _built(make)
    if tune:
        _tune(module, make, run, x)
    with torch.no_grad():
        found = run(_built(make, module), x)
    if nearest is not None:
        try:
            from_torch(module, shape)
        except ModelNotSupported as error:
            assert refusal in str(error), error
        else:
            raise AssertionError(f"{name} is not refused")
        nearest(module)
    graph = from_torch(module, shape)
    rasters, membranes = {}, {}
    for path, values in found.items():
        node = f"input.{path}" if f"input.{path}" in graph.nodes else f"input.{path}.lif"
        sent = values.flatten(2).numpy()
        if hasattr(graph.nodes[node], "v_threshold"):
            rasters[node] = sent.astype(np.uint8)
        else:
            membranes[node] = sent
    mismatch = _mismatch(graph, inputs, rasters)
    assert (mismatch == 0) == (nearest is None), (name, mismatch)
    return Reference(
        name,
        graph,
        inputs,
        float(graph.metadata["dt"]),
        rasters,
        membranes,
        reset=str(graph.metadata["reset"]),
        outcome="exact" if nearest is None else "refused",
        refusal=refusal,
        note=settings,
        source="from_torch",
        mismatch=round(mismatch, 4),
    )


def _mismatch(graph: nir.NIRGraph, inputs: np.ndarray, rasters: Mapping[str, np.ndarray]) -> float:
    """Share of differing spikes, by NIR's equations as the tests write them."""
    back = [(a, b) for a, b in graph.edges if a.endswith(".w_rec")]
    own = interpreter.run(
        graph, {"input": inputs}, graph.metadata["dt"], back, reset=str(graph.metadata["reset"])
    )
    wrong = size = 0
    for node, raster in rasters.items():
        sent = np.moveaxis(own[node], 0, 1).reshape(raster.shape)
        wrong, size = wrong + int(np.count_nonzero(sent != raster)), size + raster.size
    return wrong / size


def lively(module: nn.Module) -> nn.Module:
    """Weights with a positive mean, so that neurons fire."""
    with torch.no_grad():
        for _, part in nn.Module.named_modules(module):
            weight: Any = getattr(part, "weight", None)
            if isinstance(weight, torch.Tensor) and weight.ndim > 1:
                weight.add_(0.3 / weight[0].numel() ** 0.5)
    return module


def _built(make: Callable[[], nn.Module], weights: nn.Module | None = None) -> nn.Module:
    """A module that has not run yet, with the weights of another that ``make`` built."""
    torch.manual_seed(0)
    built = make().eval()
    if weights is not None:
        given = dict(nn.Module.named_parameters(weights))
        with torch.no_grad():
            for name, parameter in nn.Module.named_parameters(built):
                parameter.copy_(given[name])
    return built


def _tune(module: nn.Module, make: Callable[[], nn.Module], run: Run, x: torch.Tensor) -> None:
    """Scale what stands before each layer of neurons until it fires in 8 to 45 % of all steps."""
    weighted = [
        (path, part)
        for path, part in nn.Module.named_modules(module)
        if isinstance(getattr(part, "weight", None), torch.Tensor)
    ]
    order = [path for path, _ in nn.Module.named_modules(module)]
    with torch.no_grad():
        for path in run(_built(make, module), x):
            before = [part for name, part in weighted if order.index(name) < order.index(path)]
            for _ in range(30):
                share = float((run(_built(make, module), x)[path] > 0).float().mean())
                if 0.08 < share < 0.45 or not before:
                    break
                factor = 1.3 if share <= 0.08 else 0.8
                for parameter in (before[-1].weight, getattr(before[-1], "bias", None)):
                    if isinstance(parameter, torch.Tensor):
                        parameter.mul_(factor)
