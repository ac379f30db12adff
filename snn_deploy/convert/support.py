"""The support matrix: what each NIR primitive can come from, and what runs it.

The engines' columns are read off the registries of this package. The columns of other frameworks say
which primitives their NIR exporters write: NIR's own generated table (docs/source/supported_primitives.md,
30 January 2026) for snnTorch, Sinabs, Rockpool and Nengo; the module map of
spikingjelly.activation_based.nir_exchange (2026) for SpikingJelly. "Norse" is this package's front end.
"""

from __future__ import annotations

from dataclasses import dataclass

FRAMEWORKS = ("Norse", "snnTorch", "SpikingJelly", "Sinabs", "Rockpool", "Nengo")
ENGINES = ("float", "fixed", "lava")

#: Which exporters write a primitive.
_WRITES: dict[str, frozenset[str]] = {
    "snnTorch": frozenset({"Affine", "Linear", "Conv2d", "Flatten", "AvgPool2d", "LIF", "CubaLIF"}),
    "SpikingJelly": frozenset({"Affine", "Linear", "Conv2d", "Flatten", "AvgPool2d", "IF", "LIF"}),
    "Sinabs": frozenset({"Affine", "Conv1d", "Conv2d", "Flatten", "SumPool2d", "LIF", "IF", "LI"}),
    "Rockpool": frozenset({"Affine", "Linear", "LIF", "CubaLIF", "LI"}),
    "Nengo": frozenset({"Affine", "LIF", "LI"}),
    "Norse": frozenset(
        {
            "Affine",
            "Linear",
            "Conv1d",
            "Conv2d",
            "Flatten",
            "AvgPool2d",
            "SumPool2d",
            "LIF",
            "CubaLIF",
            "IF",
            "LI",
        }
        | {"CubaLI"}
    ),
}
_STRUCTURE = ("Input", "Output", "NIRGraph")


@dataclass(frozen=True)
class Row:
    """One primitive. exporters: frameworks that write it. engines: what runs it. note: what to know."""

    primitive: str
    exporters: tuple[str, ...]
    engines: tuple[str, ...]
    note: str


def matrix() -> tuple[Row, ...]:
    """One row for every primitive of the installed nir, Identity included, in alphabetical order."""
    import nir

    from snn_deploy.convert.lowering import supported
    from snn_deploy.convert.lowering.transform import REFUSED
    from snn_deploy.convert.neurons import MODELS

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
        exporters = FRAMEWORKS if name in _STRUCTURE else tuple(f for f in FRAMEWORKS if name in _WRITES[f])
        rows.append(Row(name, exporters, ENGINES if name in known else (), note))
    return tuple(rows)
