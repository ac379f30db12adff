"""One front end a source format; each yields a NIR graph. To add one, write its module and name it here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from snn_deploy.errors import UsageError
from snn_deploy.files import existing_file

if TYPE_CHECKING:
    import nir

    from snn_deploy.network.quantised import QuantisedNetwork

_READERS = {
    ".nir": "snn_deploy.convert.frontends.nir_file:read_source",
    ".pt": "snn_deploy.convert.frontends.pytorch:read_source",
    ".pth": "snn_deploy.convert.frontends.pytorch:read_source",
    ".safetensors": "snn_deploy.convert.frontends.pytorch:read_source",
}
#: Formats that count in steps: their readers also take the seconds of one, or None.
_STEP_READERS = {".net": "snn_deploy.convert.frontends.lavadl:read_source"}


@dataclass(frozen=True)
class Source:
    """A model as a front end delivers it: the graph, with the contract in its metadata, and provenance.

    integers: the same network in integers, of no profile yet, where the file holds it so; else None.
    """

    graph: nir.NIRGraph
    provenance: dict[str, Any] = field(default_factory=dict)
    integers: QuantisedNetwork | None = None


def read_model(path: Path, dt: float | None = None) -> Source:
    """Read a model file by its suffix; raises UsageError for a suffix that no front end knows.

    dt: seconds of a step, for formats that count in steps.
    """
    path = existing_file(path, "model file")
    readers = {**_READERS, **_STEP_READERS}
    if path.suffix not in readers:
        raise UsageError(
            "no front end reads this file", where=path, found=path.suffix, allowed=", ".join(readers)
        )
    module, _, function = readers[path.suffix].partition(":")
    read: Callable[..., Source] = getattr(import_module(module), function)
    return read(path, dt) if path.suffix in _STEP_READERS else read(path)
