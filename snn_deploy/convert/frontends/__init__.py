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

_READERS = {
    ".nir": "snn_deploy.convert.frontends.nir_file:read_source",
    ".pt": "snn_deploy.convert.frontends.norse.walk:read_source",
    ".pth": "snn_deploy.convert.frontends.norse.walk:read_source",
    ".safetensors": "snn_deploy.convert.frontends.norse.walk:read_source",
}


@dataclass(frozen=True)
class Source:
    """A model as a front end delivers it: the graph, with the contract in its metadata, and provenance."""

    graph: nir.NIRGraph
    provenance: dict[str, Any] = field(default_factory=dict)


def read_model(path: Path) -> Source:
    """Read a model file by its suffix; raises UsageError for a suffix that no front end knows."""
    path = existing_file(path, "model file")
    if path.suffix not in _READERS:
        raise UsageError(
            "no front end reads this file", where=path, found=path.suffix, allowed=", ".join(_READERS)
        )
    module, _, function = _READERS[path.suffix].partition(":")
    read: Callable[[Path], Source] = getattr(import_module(module), function)
    return read(path)
