"""What the walk over modules refuses, with the path of the module and the reason."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from snn_deploy.convert.frontends.modules.walk import from_torch, supported
from snn_deploy.convert.frontends.norse import import_norse
from snn_deploy.errors import ModelNotSupported

norse = import_norse()


def sequence(*modules):
    return norse.SequentialState(*modules)


class Branching(nn.Module):
    def __init__(self):
        super().__init__()
        self.cell = norse.LIFCell()

    def forward(self, x, state=None):
        if x.sum() > 0:
            x = -x
        return self.cell(x, state)


class ForgetsState(nn.Module):
    def __init__(self):
        super().__init__()
        self.one, self.two = norse.LIFCell(), norse.LIFCell()

    def forward(self, x, state=None):
        s1, s2 = (None, None) if state is None else state
        x, s1 = self.one(x, s1)
        x, s2 = self.two(x, s2)
        return x, (s2, s1)


class NoState(nn.Module):
    def __init__(self):
        super().__init__()
        self.cell = norse.LIFCell()

    def forward(self, x):
        return self.cell(x)[0]


class Product(nn.Module):
    def __init__(self):
        super().__init__()
        self.cell = norse.LIFCell()

    def forward(self, x, state=None):
        return self.cell(x * 2, state)


class OtherFirstStep(nn.Module):
    def __init__(self):
        super().__init__()
        self.cell, self.fc = norse.LIFCell(), nn.Linear(4, 4)

    def forward(self, x, state=None):
        return self.cell(x if state is None else self.fc(x), state)


class Changed(norse.LIFCell):
    def forward(self, x, state=None):
        return super().forward(x * 2, state)


def hooked():
    module = sequence(nn.Linear(4, 4), norse.LIFCell())
    module[1].register_forward_hook(lambda module, given, sent: None)
    return module


def halve(z, v, v_reset, v_th):
    return v / (1 + z)


def box(**values):
    return norse.LIFBoxCell(norse.LIFBoxParameters(**values))


REFUSALS = {
    "input.0: Loihi's LIF cannot be a LSNNCell: its threshold adapts": lambda: sequence(norse.LSNNCell()),
    "cannot be a LIFAdExCell: its membrane is exponential and adapts": lambda: sequence(norse.LIFAdExCell()),
    "cannot be a LIFRefracCell: it is refractory": lambda: sequence(norse.LIFRefracCell()),
    "cannot be a LIFExCell: its membrane is exponential": lambda: sequence(norse.LIFExCell()),
    "cannot be a CobaLIFCell: its synapses are conductances": lambda: sequence(norse.CobaLIFCell(4, 4)),
    "cannot be a IzhikevichCell: its membrane is quadratic": lambda: sequence(
        norse.IzhikevichCell(norse.tonic_spiking)
    ),
    "input.1: this module has no counterpart on Loihi; found ReLU; allowed AlphaDropout": lambda: sequence(
        norse.LIFCell(), nn.ReLU()
    ),
    "or subtract their threshold at a spike; found halve": lambda: sequence(box(reset_method=halve)),
    "input.1: cells differ in their reset; found zero; allowed subtract": lambda: sequence(
        box(reset_method=norse.reset_subtract), norse.LIFCell()
    ),
    "input.0: v_th has a wrong size; found (3,)": lambda: sequence(box(v_th=torch.ones(3))),
    "or from the one that was given; found 0.002 s; allowed 0.001 s": lambda: sequence(
        norse.LIFCell(dt=1e-3), norse.LIFCell(dt=2e-3)
    ),
    "input.0: the module does not take what arrives; found shape (4,); allowed 5 values": lambda: sequence(
        nn.Linear(5, 2), norse.LIFCell()
    ),
    "the model has no neurons": lambda: sequence(nn.Linear(4, 4)),
    "input: a forward hook may change": lambda: _with_hook(sequence(norse.LIFCell())),
    "input.1: a forward hook may change": hooked,
    "a list of all layers is no signal": lambda: norse.SequentialState(norse.LIFCell(), return_hidden=True),
    "input.0: several outputs cannot be fed back": lambda: sequence(
        norse.RecurrentSequential(norse.LIFCell(), nn.Linear(4, 4), output_modules=[0, 1])
    ),
    "input.0.1: a bias that is fed back acts from the second step on": lambda: sequence(
        norse.RecurrentSequential(norse.LIFCell(), nn.Linear(4, 4))
    ),
    "what is fed back differs in shape": lambda: sequence(
        norse.RecurrentSequential(norse.LIFCell(), nn.Linear(4, 3, bias=False))
    ),
    "a cycle without a neuron": lambda: sequence(
        norse.RecurrentSequential(nn.Linear(4, 4, bias=False)), norse.LIFCell()
    ),
    "the batch or a dimension that is not there is flattened": lambda: sequence(
        nn.Flatten(0), norse.LIFCell()
    ),
    "only zeros can be padded; found reflect": lambda: sequence(
        nn.Unflatten(1, (1, 4)), nn.Conv1d(1, 1, 3, padding=1, padding_mode="reflect")
    ),
    "input: forward cannot be traced": Branching,
    "a cell is not given the state that it returned": ForgetsState,
    "input.cell: a cell is not given the state that it returned in the step before; found no state": NoState,
    "this function between modules has no counterpart on Loihi; found mul": Product,
    "the first step calls other modules than later ones": OtherFirstStep,
    "input: this module has no counterpart on Loihi; found Changed": Changed,
}


def _with_hook(module):
    module.register_forward_pre_hook(lambda module, given: None)
    return module


@pytest.mark.parametrize("message", REFUSALS)
def test_refusals_name_the_module_and_the_reason(message):
    shape = (1, 4) if "padded" in message else (4,)
    module = REFUSALS[message]()
    if "padded" in message:
        module = sequence(*list(module)[1:])
    with pytest.raises(ModelNotSupported) as caught:
        from_torch(module.eval(), {"input": shape})
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("layer", "shape", "message"),
    [
        (nn.AvgPool2d(2, padding=1, count_include_pad=False), (1, 4, 4), "NIR's mean counts every cell"),
        (nn.AvgPool2d(3, ceil_mode=True), (1, 4, 4), "pooling takes whole kernels"),
        (nn.LPPool2d(2, 2), (1, 4, 4), "only norm_type 1, a sum, is linear; found 2"),
        (nn.BatchNorm1d(4, track_running_stats=False), (4,), "the result depends on the batch"),
        (nn.BatchNorm1d(3), (4,), "found (4,); allowed 3 channels"),
        (nn.Conv2d(2, 1, 3), (1, 4, 4), "allowed 2 channels and 2 dimension(s) of space"),
    ],
)
def test_refused_layers(layer, shape, message):
    with pytest.raises(ModelNotSupported) as caught:
        from_torch(sequence(layer, norse.LIFCell()).eval(), {"input": shape})
    assert message in str(caught.value)


def test_several_chains_need_their_own_inputs():
    with pytest.raises(ModelNotSupported, match="each chain of modules needs one input"):
        from_torch(sequence(norse.LIFCell()), {"a": 4, "b": 4})


def test_the_contract_is_in_the_metadata():
    graph = from_torch(sequence(norse.LIFCell(dt=2e-3)), {"input": 4})
    assert graph.metadata["dt"] == 2e-3
    assert graph.metadata["reset"] == "zero"


def test_what_is_supported_is_listed():
    assert {"LIFCell", "LIFBoxCell", "LIFRecurrentCell", "LIF", "LIFRecurrent", "LICell", "IAFCell"} <= set(
        supported()
    )


class Block(nn.Module):
    """Stands in for a module of a framework that is not installed here: only where it comes from matters."""

    def forward(self, x):
        return x


Block.__module__ = "lava.lib.dl.slayer.block.cuba"


class Network(nn.Module):
    """The way SLAYER's networks are written."""

    def __init__(self):
        super().__init__()
        self.blocks = nn.ModuleList([Block(), Block()])

    def forward(self, spike):
        for block in self.blocks:
            spike = block(spike)
        return spike


def test_slayers_blocks_are_sent_to_their_file():
    with pytest.raises(
        ModelNotSupported, match=r"input\.blocks\.0: SLAYER's blocks compute in integers"
    ) as caught:
        from_torch(Network(), 4)
    assert "export_hdf5" in str(caught.value)


@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")  # what torch.compile imports of torch
@pytest.mark.parametrize("wrap", [nn.DataParallel, torch.compile, nn.Sequential])
def test_wrappers_are_taken_off(wrap):
    torch.manual_seed(0)
    plain = sequence(nn.Linear(4, 3), norse.LIFCell())
    one, two = from_torch(plain, 4), from_torch(wrap(plain), 4)
    weights = [
        [node.weight for node in graph.nodes.values() if hasattr(node, "weight")] for graph in (one, two)
    ]
    np.testing.assert_array_equal(*weights)
    assert [type(node) for node in one.nodes.values()] == [type(node) for node in two.nodes.values()]


def test_the_framework_and_its_version_are_in_the_metadata():
    graph = from_torch(sequence(norse.LIFCell()), 4)
    assert (graph.metadata["framework"], graph.metadata["framework_version"]) == ("norse", "1.1.0")


def test_a_subclass_that_changes_a_part_of_a_cell_is_not_taken_for_it():
    class Louder(nn.Linear):
        def forward(self, x):
            return 2 * super().forward(x)

    class Quiet(nn.Conv1d):
        def _conv_forward(self, x, weight, bias):
            return 0.5 * super()._conv_forward(x, weight, bias)

    class Named(nn.Linear):
        label = "the same"

    for changed, shape in ((Louder(4, 4), 4), (Quiet(1, 1, 3), (1, 4))):
        with pytest.raises(ModelNotSupported, match=type(changed).__name__):
            from_torch(sequence(changed, norse.LIFCell()), shape)
    replaced = nn.Linear(4, 4)
    replaced.forward = lambda x: x
    with pytest.raises(ModelNotSupported, match="found Linear"):
        from_torch(sequence(replaced, norse.LIFCell()), 4)
    assert len(from_torch(sequence(Named(4, 4), norse.LIFCell()), 4).nodes) == 4


def test_a_time_step_is_made_up_with_a_warning_only_where_none_is_stated(caplog):
    from_torch(sequence(norse.LIFCell()), 4)
    from_torch(sequence(norse.LIFCell(dt=2e-3)), 4, dt=2e-3)
    assert not caplog.text
