"""Checkpoints of weights alone: the user's own code builds the module, in a process of its own."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from snn_deploy.convert.frontends import read_model
from snn_deploy.convert.frontends.modules.built import built_module, load_weights, state_dict_of
from snn_deploy.convert.frontends.modules.walk import from_torch
from snn_deploy.convert.frontends.norse import import_norse
from snn_deploy.errors import ModelNotSupported, UnsafeFile, UsageError

norse = import_norse()
CODE = """
import os, torch, norse.torch as norse

def build():
    open(os.environ["SNN_DEPLOY_TEST_MARK"], "w").close()
    torch.manual_seed(5)
    return norse.SequentialState(torch.nn.Linear(6, 4), norse.LIFCell())

def shaped():
    return norse.SequentialState(torch.nn.Conv2d(1, 2, 3), norse.LIFCell()), (1, 5, 5)

def unshaped():
    return shaped()[0]

def number():
    return 3

def broken():
    raise RuntimeError("not today")

def refused():
    return norse.SequentialState(torch.nn.Linear(6, 4), torch.nn.ReLU())
"""


def module():
    torch.manual_seed(1)
    return norse.SequentialState(nn.Linear(6, 4), norse.LIFCell())


#: name -> how people store the same weights.
STORED = {
    "alone": lambda state: state,
    "DataParallel": lambda state: {f"module.{name}": value for name, value in state.items()},
    "torch.compile": lambda state: {f"_orig_mod.{name}": value for name, value in state.items()},
    "both": lambda state: {f"module._orig_mod.{name}": value for name, value in state.items()},
    "Lightning": lambda state: {
        "epoch": 3,
        "pytorch-lightning_version": "2.4.0",
        "state_dict": {f"net.{name}": value for name, value in state.items()},
        "optimizer_states": [],
    },
    "Lightning, compiled": lambda state: {
        "state_dict": {f"model._orig_mod.{name}": value for name, value in state.items()}
    },
    "a training script's": lambda state: {"epoch": 3, "model_state_dict": state},
}


@pytest.mark.parametrize("name", STORED)
def test_the_weights_are_found_under_the_names_that_wrappers_give_them(name, tmp_path):
    state = module().state_dict()
    torch.save(STORED[name](state), tmp_path / "w.ckpt")
    fresh = norse.SequentialState(nn.Linear(6, 4), norse.LIFCell())
    load_weights(fresh, state_dict_of(tmp_path / "w.ckpt"), "w.ckpt")
    assert all(torch.equal(fresh.state_dict()[key], value) for key, value in state.items())


def test_what_a_prefix_leaves_out_is_warned_of(caplog):
    state = {f"model.{name}": value for name, value in module().state_dict().items()}
    fresh = norse.SequentialState(nn.Linear(6, 4), norse.LIFCell())
    load_weights(fresh, {**state, "loss.weight": torch.ones(3)}, "w.ckpt")
    assert "'model.' holds the model; left out: loss.weight" in caplog.text
    assert torch.equal(fresh[0].weight, state["model.0.weight"])


def test_all_weights_that_do_not_fit_are_named():
    state = {"0.weight": torch.ones(4, 5), "2.weight": torch.ones(3)}
    with pytest.raises(ModelNotSupported) as caught:
        load_weights(module(), state, "w.pt")
    assert {v.where: v.what for v in caught.value.violations} == {
        "w.pt: 0.bias": "a weight of the module is missing",
        "w.pt: 0.weight": "wrong shape",
        "w.pt: 2.weight": "the module has no such weight",
    }


@pytest.fixture
def code(tmp_path, monkeypatch):
    monkeypatch.setenv("SNN_DEPLOY_TEST_MARK", str(tmp_path / "mark"))
    (tmp_path / "code.py").write_text(CODE)
    return tmp_path


def test_the_graph_is_that_of_the_module_with_these_weights(code):
    path = code / "w.safetensors"
    save_file(dict(module().state_dict()), path)
    source = read_model(path, model=f"{code}/code.py:build")
    wanted = from_torch(module(), 6)
    assert (code / "mark").exists()
    np.testing.assert_array_equal(source.graph.nodes["input.0"].weight, wanted.nodes["input.0"].weight)
    assert source.graph.metadata["framework"] == "norse"
    assert source.provenance["model"].endswith("code.py:build")


FAULTS = {
    "number": (UsageError, "this is no module; found int"),
    "absent": (UsageError, "this is no module; found NoneType"),
    "broken": (ModelNotSupported, "the code that builds the model fails; found RuntimeError: not today"),
    "unshaped": (UsageError, "the shape of the input is not stated"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_what_builds_no_module_is_refused(name, code):
    kind, message = FAULTS[name]
    with pytest.raises(kind, match=message):
        built_module(f"{code}/code.py", name)


def test_the_shape_of_the_input_is_the_functions_or_the_first_layers(code):
    assert built_module(f"{code}/code.py", "shaped")[1] == (1, 5, 5)
    assert built_module(f"{code}/code.py", "build")[1] == 6


def test_faults_come_back_from_the_process(code):
    torch.save(module().state_dict(), code / "w.pt")
    with pytest.raises(ModelNotSupported, match=r"input\.1: this module has no counterpart .* found ReLU"):
        read_model(code / "w.pt", model=f"{code}/code.py:refused")


def test_no_code_runs_without_being_asked(code):
    torch.save(module().state_dict(), code / "w.pt")
    with pytest.raises(ModelNotSupported, match=r"--model FILE\.py:build, which runs that file"):
        read_model(code / "w.pt")
    assert not (code / "mark").exists()


def test_a_pickled_module_is_not_opened_even_so(code):
    torch.save(nn.Linear(6, 4), code / "whole.pt")
    with pytest.raises(UnsafeFile, match="holds more than weights"):
        read_model(code / "whole.pt", model=f"{code}/code.py:build")


@pytest.mark.parametrize("function", ["code.py", "code.py:", "code.py:1x", ":build"])
def test_the_function_must_be_named(function, code):
    torch.save(module().state_dict(), code / "w.pt")
    with pytest.raises(UsageError, match=r"allowed FILE\.py:build"):
        read_model(code / "w.pt", model=function)


def test_a_graph_needs_no_code(code):
    (code / "g.nir").write_bytes(b"")
    with pytest.raises(UsageError, match="describes its model"):
        read_model(code / "g.nir", model=f"{code}/code.py:build")
