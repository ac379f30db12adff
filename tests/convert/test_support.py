"""The support matrix says what the code does."""

from __future__ import annotations

import json
import subprocess
import sys

import h5py
import nir

from snn_deploy.convert.export_net import KINDS_WRITTEN, write_net
from snn_deploy.convert.frontends import read_model
from snn_deploy.convert.frontends.lavadl.kinds import KINDS
from snn_deploy.convert.lowering import supported
from snn_deploy.convert.support import OUTCOMES, frameworks, matrix, net_layers
from snn_deploy.deploy import backends
from tests import net_files as net
from tests.conformance.cases import NAMES
from tests.conformance.frameworks import FRAMEWORKS
from tests.conformance.make_fixtures import support
from tests.convert.test_export_net import CASES

ENGINES = ("fixed", "float")


def test_a_row_for_every_primitive_of_the_installed_nir():
    own = {name for name in dir(nir) if isinstance(getattr(nir, name), type)} - {"NIRNode"}
    nodes = {name for name in own if issubclass(getattr(nir, name), nir.NIRNode)}
    assert {row.primitive for row in matrix(ENGINES)} == nodes | {"Identity"}


def test_engines_run_what_has_a_lowering_and_a_conformance_case():
    for row in matrix(ENGINES):
        assert (row.engines == ENGINES) == (row.primitive in supported())
        assert row.engines or row.note.startswith("refused: ")
        if row.engines and row.primitive not in ("Input", "Output", "Identity"):
            assert row.primitive in NAMES


def test_the_frameworks_are_those_of_the_fixtures():
    """If this fails, run 'python -m tests.conformance.make_fixtures support'."""
    assert frameworks() == support()
    assert list(frameworks()) == ["Norse", *FRAMEWORKS]


def test_a_cell_is_the_best_outcome_of_its_graphs():
    cells = {
        (row.primitive, framework): out for row in matrix(ENGINES) for framework, out in row.exporters.items()
    }
    graphs = [
        (framework, graph)
        for framework, entry in frameworks().items()
        for graph in (*entry["graphs"].values(), *entry["modules"].values())
    ]
    for (primitive, framework), outcome in cells.items():
        found = [g["outcome"] for f, g in graphs if f == framework and primitive in g["primitives"]]
        assert OUTCOMES.index(outcome) == min(OUTCOMES.index(one) for one in found)
    assert set(cells) == {(p, f) for f, g in graphs for p in g["primitives"]}
    assert set(cells.values()) <= set(OUTCOMES)


def test_the_settings_of_modules_are_those_that_were_run():
    """Each framework's defaults are among them, exact or refused with a measured share."""
    said = {name: [one["note"] for one in entry["modules"].values()] for name, entry in frameworks().items()}
    cells = {
        "snnTorch": ("Leaky", "Synaptic", "RLeaky", "RSynaptic", "Lapicque"),
        "SpikingJelly": ("IFNode", "LIFNode", "ParametricLIFNode"),
        "Sinabs": ("IAF", "LIF", "ExpLeak", "LIFRecurrent"),
        "Rockpool": ("LIFTorch",),
    }
    for name, kinds in cells.items():
        exact = [one["note"] for one in frameworks()[name]["modules"].values() if one["outcome"] == "exact"]
        assert all(any(kind in note for note in exact) for kind in kinds), (name, said[name])
        for one in frameworks()[name]["modules"].values():
            assert (one["mismatch"] > 0.01) == (one["outcome"] == "refused")


def test_a_framework_without_graphs_says_why():
    tried = {name: (*entry["graphs"], *entry["modules"]) for name, entry in frameworks().items()}
    silent = {name: entry["note"] for name, entry in frameworks().items() if not tried[name]}
    assert set(silent) == {"Nengo"}
    assert silent["Nengo"].startswith("no NIR exporter: none in nengo ")


def test_net_layers_are_the_readers_and_those_that_come_out_of_the_writer(tmp_path):
    written = set()
    for i, layers in enumerate(CASES.values()):
        network = read_model(net.network(tmp_path / f"{i}.net", *layers)).integers
        write_net(tmp_path / "again.net", network)
        with h5py.File(tmp_path / "again.net") as handle:
            written |= {group["type"][0].decode() for group in handle["layer"].values()}
    assert written == set(KINDS_WRITTEN) == {row.layer for row in net_layers() if row.writes}
    assert [row.layer for row in net_layers() if row.reads] == list(KINDS)
    assert all(row.note.endswith(".") for row in net_layers())


def test_the_command_prints_it():
    command = [sys.executable, "-m", "snn_deploy", "support"]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    document = json.loads(
        subprocess.run([*command, "--json"], capture_output=True, text=True, check=True).stdout
    )
    table, modules, exporters, quirks, layers = (block.splitlines() for block in printed.split("\n\n"))
    assert len(table) == 1 + len(document["primitives"]) == 1 + len(matrix(ENGINES))
    lif = next(line for line in table if line.startswith("LIF ")).split()[1:]
    assert lif == ["exact"] * 6 + ["-"] + ["yes"] * len(backends.certified())
    for name, entry in frameworks().items():
        if entry["graphs"]:
            assert any(line.startswith(f"{name} ({entry['package']})") for line in exporters)
        for one in entry["modules"].values():
            (line,) = [line for line in modules if line.startswith(f"  {one['outcome']:<8} {one['note']}")]
            assert ("of spikes differ" in line) == (one["outcome"] == "refused")
    assert len(quirks) == 1 + len(document["quirks"]) > 4
    assert len(layers) == 1 + len(document["net_layers"]) == 1 + len(KINDS)
