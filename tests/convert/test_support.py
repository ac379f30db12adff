"""The support matrix says what the code does."""

from __future__ import annotations

import json
import subprocess
import sys

import nir
import torch

from snn_deploy.convert.frontends.norse.walk import to_nir
from snn_deploy.convert.lowering import supported
from snn_deploy.convert.support import ENGINES, matrix
from tests.conformance.cases import NAMES
from tests.equivalence.test_norse import MODELS, READ_OUTS, TIME, sequence


def test_a_row_for_every_primitive_of_the_installed_nir():
    own = {name for name in dir(nir) if isinstance(getattr(nir, name), type)} - {"NIRNode"}
    nodes = {name for name in own if issubclass(getattr(nir, name), nir.NIRNode)}
    assert {row.primitive for row in matrix()} == nodes | {"Identity"}


def test_engines_run_what_has_a_lowering_and_a_conformance_case():
    for row in matrix():
        assert (row.engines == ENGINES) == (row.primitive in supported())
        assert row.engines or row.note.startswith("refused: ")
        if row.engines and row.primitive not in ("Input", "Output", "Identity"):
            assert row.primitive in NAMES


def test_the_column_of_norse_is_what_the_front_end_writes():
    written = {"Input", "Output", "NIRGraph"}
    for make, shape in (MODELS | TIME).values():
        torch.manual_seed(0)
        written |= {type(node).__name__ for node in to_nir(make().eval(), {"input": shape}).nodes.values()}
    for make in READ_OUTS.values():
        written |= {type(n).__name__ for n in to_nir(sequence(make()).eval(), {"input": 7}).nodes.values()}
    assert {row.primitive for row in matrix() if "Norse" in row.exporters} == written


def test_the_command_prints_it():
    command = [sys.executable, "-m", "snn_deploy", "support"]
    table = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    document = json.loads(
        subprocess.run([*command, "--json"], capture_output=True, text=True, check=True).stdout
    )
    assert len(table) == 1 + len(document["primitives"]) == 1 + len(matrix())
    assert next(line for line in table if line.startswith("LIF ")).split()[1:] == ["yes"] * 9
