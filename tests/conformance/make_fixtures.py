"""Make the fixtures of one framework: run it in an environment that has it.

    python -m tests.conformance.make_fixtures SpikingJelly      one framework's graphs and reference spikes
    python -m tests.conformance.make_fixtures support           what all fixtures say, for 'snn-deploy support'

The first writes tests/conformance/fixtures/FRAMEWORK-GRAPH.nir, by the framework's own exporter, and .npz:
``input`` (samples, steps, *shape), ``spikes.NODE`` and ``membranes.NODE`` (samples, steps, neurons), and
``facts``, a JSON object. The second writes snn_deploy/convert/exporters.json from these files alone.
"""

from __future__ import annotations

import json
import sys
import warnings
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Any

import h5py
import nir
import numpy as np

from tests.conformance.exporters import FRAMEWORKS, Reference

FIXTURES = Path(__file__).parent / "fixtures"


def make(framework: str) -> None:
    """Write all graphs of a framework."""
    module, packages = FRAMEWORKS[framework]
    package, _ = packages.split()[0].split("==")
    for reference in import_module(f"tests.conformance.exporters.{module}").references():
        path = FIXTURES / f"{module}-{reference.name}.nir"
        _write_graph(path, reference.graph)
        _write_run(path.with_suffix(".npz"), framework, f"{package} {version(package)}", reference)
        rates = {node: round(float(raster.mean()), 3) for node, raster in reference.spikes.items()}
        sizes = [path.with_suffix(kind).stat().st_size for kind in (".nir", ".npz")]
        print(path.stem, sizes, rates, sorted(reference.membranes), list(reference.graph.edges))


def _write_graph(path: Path, graph: nir.NIRGraph) -> None:
    """nir.write's file with its datasets whole: in chunks of their own they take ten times the space."""
    nir.write(path, graph)
    with h5py.File(path) as chunked, h5py.File(path.with_suffix(".tmp"), "w", libver="latest") as whole:
        _copy(chunked, whole)
    path.with_suffix(".tmp").replace(path)


def _copy(source: Any, target: Any) -> None:
    for name, item in source.items():
        if isinstance(item, h5py.Group):
            _copy(item, target.create_group(name))
        else:
            target.create_dataset(name, data=item[()], dtype=item.dtype)


def _write_run(path: Path, framework: str, package: str, reference: Reference) -> None:
    facts = {"framework": framework, "package": package, "graph": reference.name, "dt": reference.dt}
    facts |= {key: getattr(reference, key) for key in ("reset", "decay", "outcome", "refusal", "note")}
    arrays = {f"spikes.{node}": raster for node, raster in reference.spikes.items()}
    arrays |= {f"membranes.{node}": values for node, values in reference.membranes.items()}
    np.savez_compressed(path, input=reference.inputs, facts=np.array(json.dumps(facts)), **arrays)


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    make(sys.argv[1])
