"""Models built in Norse are saved as values, and read back as the same network."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from snn_deploy.convert.frontends import read_model
from snn_deploy.convert.frontends.modules.walk import from_torch
from snn_deploy.convert.frontends.norse import import_norse
from snn_deploy.convert.frontends.norse.description.checkpoint import load_checkpoint
from snn_deploy.convert.frontends.norse.description.config import Config
from snn_deploy.convert.frontends.norse.description.describe import describe, save_model
from snn_deploy.errors import ModelNotSupported
from tests.equivalence.test_norse import MODELS, READ_OUTS, sequence

norse = import_norse()
SUBTRACT = norse.LIFBoxParameters(reset_method=norse.reset_subtract)
STORED = [name for name in MODELS if not name.startswith(("own", "Recurrent", "SequentialState"))]


def arrays(graph):
    return {
        (name, key): value
        for name, node in graph.nodes.items()
        for key, value in vars(node).items()
        if isinstance(value, np.ndarray)
    }


def same(first, second, **tolerance):
    assert first.nodes.keys() == second.nodes.keys() and first.edges == second.edges
    one, two = arrays(first), arrays(second)
    assert one.keys() == two.keys()
    for key, values in one.items():
        np.testing.assert_allclose(two[key], values, err_msg=str(key), **tolerance)


@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
@pytest.mark.parametrize("name", STORED)
def test_a_saved_model_is_the_same_network(tmp_path, name, suffix):
    make, shape = MODELS[name]
    torch.manual_seed(3)
    module = make().eval()
    path = tmp_path / f"model{suffix}"
    config = save_model(path, module, {"input": shape}, task="a test", seed=3)
    read = read_model(path)
    same(from_torch(module, {"input": shape}), read.graph, rtol=1e-6, atol=1e-7)  # stored in float32
    assert read.provenance["task"] == "a test" and read.graph.metadata["dt"] == config.dt
    again = tmp_path / f"again{suffix}"
    save_model(again, load_checkpoint(path)[0].tower("input"), {"input": shape}, task="a test", seed=3)
    same(read.graph, read_model(again).graph, rtol=0, atol=0)


@pytest.mark.parametrize("name", [name for name in READ_OUTS if name != "LILinearCell"])
def test_read_outs_are_saved_too(tmp_path, name):
    module = sequence(nn.Linear(4, 7), READ_OUTS[name]()).eval()
    save_model(tmp_path / "m.pt", module, {"input": 4})
    read = read_model(tmp_path / "m.pt").graph
    same(from_torch(module, {"input": 4}), read, rtol=1e-6, atol=1e-7)


def plain():
    torch.manual_seed(2)
    return sequence(nn.Linear(4, 6), norse.LIFCell(), nn.Linear(6, 3), norse.LIFCell())


WRAPPED = {
    "DataParallel": lambda: nn.DataParallel(plain()),
    "torch.compile": lambda: torch.compile(plain()),
    "nn.Sequential": lambda: nn.Sequential(*plain()),
    "nested": lambda: sequence(sequence(*list(plain())[:2]), nn.Sequential(*list(plain())[2:])),
}


@pytest.mark.parametrize("name", WRAPPED)
def test_what_is_put_around_a_chain_is_taken_off(tmp_path, name):
    save_model(tmp_path / "plain.pt", plain().eval(), {"input": 4})
    save_model(tmp_path / "wrapped.pt", WRAPPED[name]().eval(), {"input": 4})
    same(*(read_model(tmp_path / f"{kind}.pt").graph for kind in ("plain", "wrapped")))


@pytest.mark.parametrize(
    ("module", "message"),
    [
        (nn.Linear(4, 4), "a checkpoint holds one SequentialState behind one input"),
        (
            sequence(nn.ReLU()),
            "input.0: a checkpoint cannot describe this module; found ReLU; allowed AvgPool2d",
        ),
        (sequence(nn.Linear(3, 4)), "found takes 3 values and is given 4"),
        (sequence(nn.Flatten(0)), "only Flatten() of all dimensions is stored"),
        (
            sequence(norse.LIFBoxCell(norse.LIFBoxParameters(reset_method=norse.reset_subtract))),
            "only reset_value",
        ),
        (sequence(nn.BatchNorm1d(4, affine=False)), "affine=False"),
        (sequence(norse.LIFCell(dt=1e-3), norse.LIFCell(dt=2e-3)), "cells differ in their time step"),
    ],
)
def test_what_cannot_be_described_is_refused(module, message):
    with pytest.raises(ModelNotSupported) as caught:
        describe(module, {"input": 4})
    assert message in str(caught.value)


IMAGE = {"inputs": {"a": 32}, "input_shapes": {"a": [2, 4, 4]}}
CONV = {"type": "Conv2d", "in": 2, "out": 3, "kernel": [3, 3], "stride": [1, 1], "padding": [0, 0],
        "dilation": [1, 1]}  # fmt: skip


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ({**IMAGE, "towers": {"a": [{**CONV, "in": 3}]}}, "takes 3 channels of 2 dimension(s)"),
        (
            {**IMAGE, "towers": {"a": [{**CONV, "kernel": [5, 5]}]}},
            "the kernel is larger than its padded input",
        ),
        ({**IMAGE, "towers": {"a": [{**CONV, "kernel": [3]}]}}, "kernel needs 2 value"),
        ({**IMAGE, "towers": {"a": [{**CONV, "groups": 2}]}}, "2 and 3 channels do not divide into 2 groups"),
        ({**IMAGE, "input_shapes": {"a": [2, 4, 5]}, "towers": {"a": [CONV]}}, "does not hold 32 values"),
        ({**IMAGE, "towers": {"a": [CONV, {"type": "LIFCell", "size": 9}]}}, "towers.a.1 takes 9 values"),
    ],
)
def test_a_description_whose_shapes_do_not_join_is_refused(document, message):
    with pytest.raises(ValueError, match="Config") as caught:
        Config.model_validate(document)
    assert message in str(caught.value)
