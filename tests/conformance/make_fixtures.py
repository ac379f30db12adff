"""Make the fixtures of one framework: run it in an environment that has it.

    python -m tests.conformance.make_fixtures SpikingJelly     one framework's graphs and spikes
    python -m tests.conformance.make_fixtures support          what all fixtures say, for 'snn-deploy support'

tests/conformance/frameworks.py makes these environments and runs it in each.

The first command writes into tests/conformance/fixtures: FRAMEWORK-GRAPH.nir, by the framework's exporter,
FRAMEWORK-module-NAME.nir, by from_torch of its modules, and beside each an .npz: ``input`` (samples, steps,
*shape), ``spikes.NODE`` and ``membranes.NODE`` (samples, steps, neurons), and ``facts``, a JSON object; for a
framework without an exporter, FRAMEWORK.json. The second writes snn_deploy/convert/exporters.json from these
files and from the front end for Norse modules.
"""

from __future__ import annotations

import io
import json
import sys
import warnings
import zipfile
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Any

import h5py
import nir
import numpy as np

from tests.conformance.exporters import Reference
from tests.conformance.frameworks import FRAMEWORKS

FIXTURES = Path(__file__).parent / "fixtures"
_STATED = ("reset", "decay", "outcome", "refusal", "note", "source", "mismatch")
SUPPORT = Path(__file__).parents[2] / "snn_deploy" / "convert" / "exporters.json"


def make(framework: str) -> None:
    """Write all graphs of a framework: its exporter's, and those that from_torch makes of its modules."""
    module, package = FRAMEWORKS[framework].module, FRAMEWORKS[framework].package
    stated = f"{package} {version(package)}"
    exporter = import_module(f"tests.conformance.exporters.{module}")
    if hasattr(exporter, "absent"):
        _write_json(FIXTURES / f"{module}.json", {"package": stated, **exporter.absent()})
        return
    for reference in exporter.references():
        _write(f"{module}-{reference.name}", framework, stated, reference)
    make_from_torch(framework)


def make_from_torch(framework: str) -> None:
    """Write the graphs that from_torch makes of a framework's modules, where it has some."""
    module, package = FRAMEWORKS[framework].module, FRAMEWORKS[framework].package
    if not (Path(__file__).parent / "modules" / f"{module}.py").exists():
        return
    modules = import_module(f"tests.conformance.modules.{module}")
    for reference in modules.references():
        _write(f"{module}-module-{reference.name}", framework, f"{package} {version(package)}", reference)


def _write(name: str, framework: str, package: str, reference: Reference) -> None:
    path = FIXTURES / f"{name}.nir"
    _write_graph(path, reference.graph)
    _write_run(path.with_suffix(".npz"), framework, package, reference)
    rates = {node: round(float(raster.mean()), 3) for node, raster in reference.spikes.items()}
    sizes = [path.with_suffix(kind).stat().st_size for kind in (".nir", ".npz")]
    print(path.stem, sizes, rates, sorted(reference.membranes), list(reference.graph.edges))


def _write_graph(path: Path, graph: nir.NIRGraph) -> None:
    """nir.write's file with its datasets whole: in chunks of their own they take ten times the space."""
    graph.edges = sorted(graph.edges)  # some exporters keep them in a set
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
    facts |= {
        key: getattr(reference, key)
        for key in ("reset", "decay", "outcome", "refusal", "note", "source", "mismatch")
    }
    arrays = {f"spikes.{node}": raster for node, raster in reference.spikes.items()}
    arrays |= {f"membranes.{node}": values for node, values in reference.membranes.items()}
    arrays |= {"input": reference.inputs, "facts": np.array(json.dumps(facts))}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:  # np.savez would store the time of day
        for name, array in arrays.items():
            held = io.BytesIO()
            np.lib.format.write_array(held, np.asarray(array), allow_pickle=False)
            archive.writestr(zipfile.ZipInfo(f"{name}.npy"), held.getvalue(), zipfile.ZIP_DEFLATED)


def _write_json(path: Path, document: Any) -> None:
    path.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")


def support() -> dict[str, Any]:
    """Framework -> its package, what its exporter wrote and what became of it, and what from_torch makes."""
    from snn_deploy.convert.frontends.nir_file import read_graph

    frameworks: dict[str, Any] = {"Norse": _front_end()}
    for framework, module in ((name, entry.module) for name, entry in FRAMEWORKS.items()):
        entry: dict[str, Any] = {"package": "", "note": "", "graphs": {}, "modules": {}}
        for path in sorted(FIXTURES.glob(f"{module}-*.npz")):
            with np.load(path) as stored:
                facts = json.loads(str(stored["facts"]))
            assert facts["framework"] == framework
            written = sorted(_primitives(read_graph(path.with_suffix(".nir"))))
            entry["package"] = facts["package"]
            one = {"outcome": facts["outcome"], "primitives": written, "note": facts["note"]}
            if facts.get("source") == "from_torch":
                entry["modules"][facts["graph"]] = {**one, "mismatch": facts["mismatch"]}
            else:
                entry["graphs"][facts["graph"]] = one
        if not entry["graphs"]:
            searched = json.loads((FIXTURES / f"{module}.json").read_text(encoding="utf-8"))
            entry["package"] = searched.pop("package")
            entry["note"] = "no NIR exporter: none in " + ", ".join(searched)
        frameworks[framework] = entry
    return frameworks


def _front_end() -> dict[str, Any]:
    """What this package's own front end writes of the modules that tests/equivalence/test_norse.py runs."""
    import torch

    from snn_deploy.convert.frontends.modules.walk import from_torch
    from tests.equivalence.test_norse import MODELS, READ_OUTS, TIME, sequence

    made = {name: (make(), {"input": shape}) for name, (make, shape) in (MODELS | TIME).items()}
    made |= {name: (sequence(make()), {"input": 7}) for name, make in READ_OUTS.items()}
    written = set()
    for module, shape in made.values():
        torch.manual_seed(0)
        written |= _primitives(from_torch(module.eval(), shape))
    note = f"{len(made)} networks of all its cells but those that are refused by name"
    modules = {"all": {"outcome": "exact", "primitives": sorted(written), "note": note, "mismatch": 0.0}}
    return {"package": f"norse {version('norse')}", "note": "", "graphs": {}, "modules": modules}


def _primitives(graph: nir.NIRGraph) -> set[str]:
    inner = [_primitives(node) for node in graph.nodes.values() if isinstance(node, nir.NIRGraph)]
    return {type(node).__name__ for node in (graph, *graph.nodes.values())}.union(*inner)


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    if sys.argv[1] == "support":
        _write_json(SUPPORT, support())
    else:
        make(sys.argv[1])
