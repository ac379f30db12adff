"""One front end a source; each yields a NIR graph.

Files are read by the module that their suffix names in ``_READERS``. Modules of a framework are walked by the
file or folder that bears its package's name, which nothing lists (:mod:`.modules.walk`).
"""

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

#: Suffix -> module whose ``read_source`` reads such files, and what it takes beside the path.
_READERS: dict[str, tuple[str, tuple[str, ...]]] = {
    ".nir": ("nir_file", ()),
    ".net": ("lavadl", ("dt",)),
    **dict.fromkeys((".pt", ".pth", ".ckpt", ".safetensors"), ("pytorch", ("dt", "model"))),
}


@dataclass(frozen=True)
class Source:
    """A model as a front end delivers it: the graph, with the contract in its metadata, and provenance.

    integers: the same network in integers, of no profile yet, where the file holds it so; else None.
    """

    graph: nir.NIRGraph
    provenance: dict[str, Any] = field(default_factory=dict)
    integers: QuantisedNetwork | None = None


def read_model(path: Path, dt: float | None = None, model: str | None = None) -> Source:
    """Read a model file by its suffix; raises UsageError for a suffix that no front end knows.

    dt: seconds of a step, for formats that count in steps. model: ``FILE.py:build``, the function that builds
    the module, for checkpoints that hold weights alone: that file is run.
    """
    path = existing_file(path, "model file")
    if path.suffix not in _READERS:
        raise UsageError(
            "no front end reads this file", where=path, found=path.suffix, allowed=", ".join(_READERS)
        )
    module, takes = _READERS[path.suffix]
    if model is not None and "model" not in takes:
        suffixes = ", ".join(suffix for suffix, (_, options) in _READERS.items() if "model" in options)
        raise UsageError(
            "a file of this kind describes its model", where=path, found="--model", allowed=suffixes
        )
    read: Callable[..., Source] = import_module(f"{__name__}.{module}").read_source
    return read(path, **{key: value for key, value in (("dt", dt), ("model", model)) if key in takes})
