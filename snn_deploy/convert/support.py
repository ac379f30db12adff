"""The support matrix: what each NIR primitive can come from, and what runs it; and the layers of .net files.

Nothing is claimed here. The frameworks' columns are read from exporters.json, which
``python -m tests.conformance.make_fixtures support`` writes from the graphs that the frameworks exported, or
from_torch made of their modules, and that they ran themselves (tests/conformance/fixtures). Backends run
whatever converts; the primitives that do are read off lowering, the layers of .net files off the reader's and
the writer's tables.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

#: What became of the graphs that hold a primitive, best first. exact: they give the framework's own spikes.
#: differs: their file says something else than the framework does, with a warning. refused: by name.
OUTCOMES = ("exact", "differs", "refused")


@dataclass(frozen=True)
class Row:
    """One primitive. exporters: framework that it comes from -> outcome. engines: what runs it."""

    primitive: str
    exporters: Mapping[str, str]
    engines: tuple[str, ...]
    note: str


@dataclass(frozen=True)
class NetRow:
    """One kind of layer of a .net file. reads, writes: whether we do. note: what the layer is."""

    layer: str
    reads: bool
    writes: bool
    note: str


@cache
def frameworks() -> Mapping[str, Mapping[str, Any]]:
    """Framework -> package (name and version), note, graphs and modules.

    graphs: of its exporter; name -> outcome, primitives, note. modules: what from_torch made of them; name ->
    outcome, primitives, note (the settings), and mismatch, the share of spikes in which what is refused
    differs from the nearest thing that is not.
    """
    text = files("snn_deploy.convert").joinpath("exporters.json").read_text(encoding="utf-8")
    document: dict[str, dict[str, Any]] = json.loads(text)
    return document


def matrix(engines: Collection[str]) -> tuple[Row, ...]:
    """One row for every primitive of the installed nir, Identity included, in alphabetical order.

    engines: the backends that run whatever converts.
    """
    import nir

    from snn_deploy.convert.lowering import supported
    from snn_deploy.convert.lowering.transform import REFUSED
    from snn_deploy.network.neurons import MODELS

    known = set(supported())
    refused = {cls.__name__: why for cls, why in REFUSED.items()}
    nodes = (getattr(nir, name) for name in dir(nir))
    names = {n.__name__ for n in nodes if isinstance(n, type) and issubclass(n, nir.NIRNode)} - {"NIRNode"}
    rows = []
    for name in sorted(names | known):
        if name in known:
            model = MODELS.get(name)
            note = "read-out: its membrane is the result" if model is not None and not model.spiking() else ""
        else:
            note = f"refused: {refused.get(name, 'no lowering')}"
        rows.append(Row(name, _exporters(name), tuple(engines) if name in known else (), note))
    return tuple(rows)


def _exporters(primitive: str) -> dict[str, str]:
    """The best that became of a graph with this primitive, by framework: its exporter's, or from_torch's."""
    found = {}
    for framework, entry in frameworks().items():
        graphs = (*entry["graphs"].values(), *entry["modules"].values())
        outcomes = {g["outcome"] for g in graphs if primitive in g["primitives"]}
        if outcomes:
            found[framework] = min(outcomes, key=OUTCOMES.index)
    return found


def net_layers() -> tuple[NetRow, ...]:
    """One row for every kind of layer of lava-dl's .net files, in the reader's order."""
    from snn_deploy.convert.export_net import KINDS_WRITTEN
    from snn_deploy.convert.frontends.lavadl.kinds import KINDS

    return tuple(
        NetRow(kind, True, kind in KINDS_WRITTEN, (reader.__doc__ or "").strip().partition("\n")[0])
        for kind, reader in KINDS.items()
    )
