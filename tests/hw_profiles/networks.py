"""Small network descriptions for the tests."""

from __future__ import annotations

from typing import Any

import numpy as np

from snn_deploy.hw_profiles.description import Layer, NetworkDescription, Source, SynapseGroup
from snn_deploy.hw_profiles.findings import Finding
from snn_deploy.hw_profiles.fit import FitReport


def chain(*sizes: int, recurrent: tuple[int, ...] = (), **group: Any) -> NetworkDescription:
    """Input of sizes[0] channels, then one dense layer a size; layers in ``recurrent`` feed themselves."""
    groups = []
    for i in range(1, len(sizes)):
        source = "in" if i == 1 else f"l{i - 1}"
        groups.append(SynapseGroup(f"w{i}", source, f"l{i}", sizes[i - 1], sizes[i], **group))
        if i in recurrent:
            groups.append(SynapseGroup(f"r{i}", f"l{i}", f"l{i}", sizes[i], sizes[i], **group))
    layers = tuple(Layer(f"l{i}", size) for i, size in enumerate(sizes[1:], 1))
    return NetworkDescription((Source("in", sizes[0]),), layers, tuple(groups), (f"l{len(sizes) - 1}",))


def twin(*sizes: int) -> NetworkDescription:
    """Two chains of the same sizes side by side."""
    parts = []
    for tower in "ab":
        one = chain(*sizes)
        names = {name: f"{tower}_{name}" for name in one.sizes}
        parts.append(
            NetworkDescription(
                tuple(Source(names[s.name], s.channels) for s in one.sources),
                tuple(Layer(names[x.name], x.neurons) for x in one.layers),
                tuple(
                    SynapseGroup(f"{tower}_{g.name}", names[g.source], names[g.target], g.sources, g.targets)
                    for g in one.groups
                ),
            )
        )
    a, b = parts
    return NetworkDescription(a.sources + b.sources, a.layers + b.layers, a.groups + b.groups)


def sparse_group(
    rng: np.random.Generator, edge: tuple[str, str], shape: tuple[int, int], density: float, **rest: Any
) -> tuple[SynapseGroup, np.ndarray[Any, Any]]:
    """A random pattern of synapses, and the same as a boolean matrix (targets, sources)."""
    matrix = rng.random(shape) < density
    indptr = np.concatenate([[0], np.cumsum(matrix.sum(axis=1))]).astype(np.int64)
    indices = np.nonzero(matrix)[1].astype(np.int64)
    group = SynapseGroup(rest.pop("name", "-".join(edge)), *edge, shape[1], shape[0], indptr, indices, **rest)
    return group, matrix


def finding(report: FitReport, limit: str) -> Finding:
    """The one row of a report about a limit."""
    rows = [row for row in report.findings if row.limit == limit]
    assert len(rows) == 1, (limit, [row.limit for row in report.findings])
    return rows[0]
