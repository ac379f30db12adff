"""An interpreter of NIR's equations, written for the tests alone: it shares no code with the package.

It walks the nodes of a graph, nested graphs included, step by step, as NIR states them: forward Euler,
current first; a spike where v > v_threshold; then v <- v_reset, or v <- v - (v_threshold - v_reset) where the
caller says that resets subtract; v starts at v_leak (at v_reset in an IF, at 0
in an I), currents at 0. A node that is reached over a cycle hands on what it sent in the step before.
Linear maps are PyTorch's, in float64, so that convolution and pooling have a second source.
"""

from __future__ import annotations

import warnings
from collections import deque

import nir
import numpy as np
import torch
import torch.nn.functional as F


def run(
    graph: nir.NIRGraph, inputs: dict[str, np.ndarray], dt: float, feedback=(), record=None, *, reset="zero"
):
    """Rasters of every neuron node (membranes of read-outs), (steps, samples, *shape), by dotted name.

    inputs: (samples, steps, *shape) by input name. feedback: edges, by dotted names, that carry what was
    sent in the step before.
    """
    nodes, edges = flatten(graph)
    feedback = set(feedback)
    order = sort(nodes, [edge for edge in edges if edge not in feedback])
    samples, steps = next(iter(inputs.values())).shape[:2]
    sent: dict[str, torch.Tensor] = {}
    cells = {name: Cell(node, dt, reset) for name, node in nodes.items()}
    out: dict[str, list[np.ndarray]] = {name: [] for name in nodes}
    for t in range(steps):
        before = dict(sent)
        for name in order:
            node = nodes[name]
            if isinstance(node, nir.Input):
                sent[name] = torch.tensor(inputs[name][:, t].astype(np.float64))
                continue
            arriving = []
            for a, b in edges:
                if b != name:
                    continue
                if (a, b) in feedback:
                    # before the first step no neuron has fired, but constants hold at all times
                    arriving.append(before[a] if a in before else silent(a, nodes, edges, samples, dt))
                else:
                    arriving.append(sent[a])
            sent[name] = cells[name].step(sum(arriving[1:], arriving[0]))
            out[name].append(sent[name].numpy())
    kept = [n for n in nodes if hasattr(nodes[n], "r")] if record is None else record
    return {name: np.stack(out[name]) for name in kept}


def silent(name, nodes, edges, samples, dt):
    """What a node sends when no neuron has ever fired: zero, or the constants of Affine nodes behind it."""
    node = nodes[name]
    if hasattr(node, "r") or isinstance(node, nir.Input):
        shape = node.r.shape if hasattr(node, "r") else tuple(node.input_type["input"])
        return torch.zeros((samples, *shape), dtype=torch.float64)
    parts = [silent(a, nodes, edges, samples, dt) for a, b in edges if b == name]
    if isinstance(node, nir.Delay):
        return sum(parts[1:], parts[0])
    return Cell(node, dt).step(sum(parts[1:], parts[0]))


def flatten(graph, prefix=""):
    nodes, edges, ports = {}, [], {}
    for name, node in graph.nodes.items():
        if isinstance(node, nir.NIRGraph):
            inner, inner_edges = flatten(node, f"{prefix}{name}.")
            nodes.update(inner)
            edges += inner_edges
            (entry,) = [n for n, x in node.nodes.items() if isinstance(x, nir.Input)]
            (leave,) = [n for n, x in node.nodes.items() if isinstance(x, nir.Output)]
            nodes[f"{prefix}{name}.{entry}"] = None  # passes on
            nodes[f"{prefix}{name}.{leave}"] = None
            ports[name] = (f"{prefix}{name}.{entry}", f"{prefix}{name}.{leave}")
        else:
            nodes[prefix + name] = node
            ports[name] = (prefix + name, prefix + name)
    edges += [(ports[a][1], ports[b][0]) for a, b in graph.edges]
    return nodes, edges


def sort(nodes, edges):
    order: list[str] = []
    while len(order) < len(nodes):
        ready = [n for n in nodes if n not in order and all(a in order for a, b in edges if b == n)]
        assert ready, "a cycle is left: name its feedback edge"
        order += ready
    return order


class Cell:
    """One node and its state."""

    def __init__(self, node, dt, reset="zero"):
        self.node, self.dt, self.v, self.i = node, dt, None, None
        self.reset = reset
        self.line = None

    def step(self, x):
        node = self.node
        kind = type(node).__name__ if node is not None else "Output"
        return getattr(self, f"_{kind}")(node, x)

    def _Output(self, node, x):
        return x

    def _Identity(self, node, x):
        return x

    def _Linear(self, node, x):
        return x @ _t(node.weight).T

    def _Affine(self, node, x):
        return x @ _t(node.weight).T + _t(node.bias)

    def _Scale(self, node, x):
        return x * _t(node.scale)

    def _Flatten(self, node, x):
        end = node.end_dim + 1 if node.end_dim >= 0 else node.end_dim
        return torch.flatten(x, node.start_dim + 1, end)

    def _Conv1d(self, node, x):
        return F.conv1d(
            x, _t(node.weight), _bias(node), node.stride, node.padding, node.dilation, node.groups
        )

    def _Conv2d(self, node, x):
        padding = node.padding if isinstance(node.padding, str) else tuple(int(p) for p in node.padding)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch remarks that an even kernel under "same" copies its input
            return F.conv2d(
                x,
                _t(node.weight),
                _bias(node),
                _pair(node.stride),
                padding,
                _pair(node.dilation),
                node.groups,
            )

    def _SumPool2d(self, node, x):
        k = _pair(node.kernel_size)
        return F.avg_pool2d(x, k, _pair(node.stride), _pair(node.padding)) * (k[0] * k[1])

    def _AvgPool2d(self, node, x):
        return F.avg_pool2d(x, _pair(node.kernel_size), _pair(node.stride), _pair(node.padding))

    def _Delay(self, node, x):
        steps = torch.round(_t(node.delay) / self.dt).to(int).expand(x.shape[1:])
        longest = int(steps.max())
        if self.line is None:
            self.line = deque([torch.zeros_like(x)] * (longest + 1), maxlen=longest + 1)
        self.line.appendleft(x)
        history = torch.stack(list(self.line))
        return torch.gather(history, 0, steps.expand(x.shape)[None])[0]

    def _start(self, x, v):
        if self.v is None:
            self.v = _t(v).expand(x.shape).clone()
            self.i = torch.zeros_like(x)

    def _fire(self, node):
        z = self.v > _t(node.v_threshold)
        if self.reset == "subtract":
            left = self.v - (_t(node.v_threshold) - _t(node.v_reset))
        else:
            left = _t(node.v_reset).expand(self.v.shape)
        self.v = torch.where(z, left, self.v)
        return z.to(torch.float64)

    def _leak(self, node, current):
        tau = node.tau if hasattr(node, "tau") else node.tau_mem
        self.v = self.v + self.dt / _t(tau) * (_t(node.v_leak) - self.v + _t(node.r) * current)

    def _synapse(self, node, x):
        a = self.dt / _t(node.tau_syn)
        self.i = self.i + a * (-self.i + _t(node.w_in) * x)
        return self.i

    def _LIF(self, node, x):
        self._start(x, node.v_leak)
        self._leak(node, x)
        return self._fire(node)

    def _CubaLIF(self, node, x):
        self._start(x, node.v_leak)
        self._leak(node, self._synapse(node, x))
        return self._fire(node)

    def _IF(self, node, x):
        self._start(x, node.v_reset)
        self.v = self.v + _t(node.r) * x
        return self._fire(node)

    def _I(self, node, x):
        self._start(x, np.zeros(1))
        self.v = self.v + _t(node.r) * x
        return self.v

    def _LI(self, node, x):
        self._start(x, node.v_leak)
        self._leak(node, x)
        return self.v

    def _CubaLI(self, node, x):
        self._start(x, node.v_leak)
        self._leak(node, self._synapse(node, x))
        return self.v


def _bias(node):
    return None if node.bias is None else _t(node.bias)


def _t(values):
    return torch.tensor(np.asarray(values, dtype=np.float64))


def _pair(values):
    return tuple(int(n) for n in np.broadcast_to(np.asarray(values), (2,)))
