"""Random quantised networks: hypothesis draws a description in plain numbers, ``build`` makes the network.

The description is what a failing test prints and what shrinking makes smaller; its seed gives the
weights, biases and states.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from hypothesis import strategies as st
from scipy.sparse import random_array

from snn_deploy.network.connections import Connection, Conv2d, Dense, Sparse
from snn_deploy.network.contract import ResetMode
from snn_deploy.network.integers import UNREACHABLE_VTH
from snn_deploy.network.quantised import QuantisedNetwork, QuantisedPopulation, SignMode
from tests import quantised_nets as nets
from tests.quantised_nets import Rng

Shape = tuple[int, ...]
Form = Literal["dense", "sparse", "conv", "pool"]
_GRIDS: dict[SignMode, tuple[int, int]] = {
    "mixed": (-256, 255),
    "excitatory": (0, 255),
    "inhibitory": (-255, 0),
}


@dataclass(frozen=True)
class Source:
    """An input. message_bits: 0 for spikes, else graded."""

    name: str
    shape: Shape
    message_bits: int = 0


@dataclass(frozen=True)
class Layer:
    """A population.

    biased: share of the neurons with a bias, of at most ``bias_reach`` in its mantissa, ``bias_exp`` its
    least and largest exponent. state: largest |u0| and |v0|. read: by its v, it never spikes.
    """

    name: str
    shape: Shape
    du: int
    dv: int
    vth: int
    biased: float
    bias_reach: int
    bias_exp: tuple[int, int]
    state: int
    read: bool


@dataclass(frozen=True)
class Edge:
    """A projection. density: share of synapses that are stored (sparse) or not zero (dense, conv).

    kernel, stride, padding, dilation, groups: of a convolution or pooling.
    """

    source: str
    target: str
    form: Form
    delay: int
    exponent: int
    bits: int
    sign: SignMode
    density: float
    kernel: tuple[int, int] = (1, 1)
    stride: tuple[int, int] = (1, 1)
    padding: tuple[int, int] = (0, 0)
    dilation: tuple[int, int] = (1, 1)
    groups: int = 1


@dataclass(frozen=True)
class Description:
    """A network in plain numbers. subtracts: its spikes take the threshold off v."""

    sources: tuple[Source, ...]
    layers: tuple[Layer, ...]
    edges: tuple[Edge, ...]
    seed: int
    subtracts: bool = False


def build(description: Description) -> QuantisedNetwork:
    """The network of a description: always the same one."""
    rng = np.random.default_rng(description.seed)
    shapes = {node.name: node.shape for node in (*description.sources, *description.layers)}
    bits = {source.name: source.message_bits for source in description.sources}
    edges = [
        nets.projection(
            edge.source,
            edge.target,
            _connection(edge, shapes[edge.source], shapes[edge.target], rng),
            edge.delay,
            name=f"{i} {edge.source}->{edge.target}",
            weight_exp=edge.exponent,
            weight_bits=edge.bits,
            sign=edge.sign,
            message_bits=bits.get(edge.source, 0),
        )
        for i, edge in enumerate(description.edges)
    ]
    reset: ResetMode = "subtract" if description.subtracts else "zero"
    populations = [replace(_population(layer, rng), reset=reset) for layer in description.layers]
    inputs = {source.name: source.shape for source in description.sources}
    return nets.network(inputs, populations, edges, tuple(p.name for p in populations), bits)


def _population(layer: Layer, rng: Rng) -> QuantisedPopulation:
    neurons = int(np.prod(layer.shape))
    biased = rng.random(neurons) < layer.biased
    return nets.population(
        layer.name,
        neurons,
        rng,
        du=layer.du,
        dv=layer.dv,
        vth=UNREACHABLE_VTH if layer.read else layer.vth,
        bias_mant=rng.integers(-layer.bias_reach, layer.bias_reach + 1, neurons) * biased,
        bias_exp=rng.integers(layer.bias_exp[0], layer.bias_exp[1] + 1, neurons),
        u0=rng.integers(-layer.state, layer.state + 1, neurons),
        v0=rng.integers(-layer.state, layer.state + 1, neurons),
        spiking=not layer.read,
    )


def _connection(edge: Edge, source: Shape, target: Shape, rng: Rng) -> Connection:
    rows, columns = int(np.prod(target)), int(np.prod(source))
    if edge.form == "dense":
        return Dense(_weights(edge, (rows, columns), rng))
    if edge.form == "sparse":
        pattern = random_array((rows, columns), density=edge.density, format="csr", rng=rng)
        data = _weights(edge, (pattern.nnz,), rng, density=1.0)
        return Sparse(
            data, pattern.indices.astype(np.int64), pattern.indptr.astype(np.int64), (rows, columns)
        )
    channels, height, width = source
    kernel = _weights(edge, (target[0], channels // edge.groups, *edge.kernel), rng)
    if edge.form == "pool":  # every cell of the window alike
        kernel = np.full(kernel.shape, kernel.flat[np.argmax(np.abs(kernel))])
    shape = (channels, height, width)
    return Conv2d(kernel, shape, edge.stride, edge.padding, edge.dilation, edge.groups)


def _weights(edge: Edge, shape: Shape, rng: Rng, density: float | None = None) -> Any:
    """Weights on the grid that the sign and the bits leave."""
    low, high = _GRIDS[edge.sign]
    step = 1 << (8 - edge.bits + (edge.sign == "mixed"))
    kept = rng.random(shape) < (edge.density if density is None else density)
    return rng.integers(-(-low // step), high // step + 1, shape) * step * kept


def signals(description: Description, samples: int, steps: int, rate: float) -> dict[str, Any]:
    """Inputs of a network at that rate, (samples, steps, neurons): 0 and 1, or integers where graded."""
    rng = np.random.default_rng(description.seed + 1)
    drawn = {}
    for source in description.sources:
        size = (samples, steps, int(np.prod(source.shape)))
        on = rng.random(size) < rate
        reach = 1 << max(source.message_bits - 1, 0)
        drawn[source.name] = (
            (rng.integers(-reach, reach, size) * on).astype(np.int32)
            if source.message_bits
            else on.astype(np.uint8)
        )
    return drawn


_SHARES = st.integers(0, 100).map(lambda percent: percent / 100)
#: Half of them stay in the middle, where most networks live, the others go everywhere.
_EXPONENTS = st.one_of(st.integers(-2, 2), st.integers(-7, 7))
_DENSITIES = st.one_of(st.sampled_from([1.0, 0.5, 0.1, 0.02, 0.0]), _SHARES)
#: Of one network: most wait for nobody, some as long as Lava can.
_DELAYS = [st.just(0), st.just(0), st.one_of(st.just(0), st.integers(0, 6)), st.integers(0, 62)]
_RATES = st.one_of(st.sampled_from([0.02, 0.1, 0.3, 1.0]), _SHARES)


def rates() -> st.SearchStrategy[float]:
    """How often an input neuron spikes."""
    return _RATES


@st.composite
def networks(draw: st.DrawFn, largest: int = 150, streamable: bool = False) -> Description:
    """One to four layers of any form, some recurrent, with planes, skips, feedback and delays.

    streamable: only what LIFReset isolates samples of: no initial state, no delay out of a population.
    """
    graph = _Graph(draw, largest, streamable)
    graph.begin()
    for _ in range(draw(st.integers(1, 4))):
        graph.grow()
    graph.cross()
    forced = draw(st.integers(0, len(graph.shapes) - 1)) if draw(st.integers(0, 2)) == 2 else -1
    edges = tuple(_forced(e) if _index(e.target) == forced >= 0 else e for e in graph.edges)
    layers = [
        _layer(draw, f"l{i}", shape, _scale(graph, f"l{i}", edges), i == forced)
        for i, shape in enumerate(graph.shapes)
    ]
    if streamable:
        layers = [replace(layer, state=0) for layer in layers]
    if draw(st.booleans()) and not any(edge.source == layers[-1].name for edge in edges):
        layers[-1] = replace(layers[-1], read=True)
    seed = draw(st.integers(0, 2**32 - 1))
    return Description(tuple(graph.sources), tuple(layers), edges, seed, draw(st.booleans()))


class _Graph:
    """Sources, shapes of the layers and edges, as they are drawn."""

    def __init__(self, draw: st.DrawFn, largest: int, streamable: bool) -> None:
        self._draw, self._sizes = draw, st.integers(1, largest)
        self._streamable = streamable
        self._delays = draw(st.sampled_from(_DELAYS))
        self.sources: list[Source] = []
        self.shapes: list[Shape] = []
        self.edges: list[Edge] = []

    def begin(self) -> None:
        """Draw one input or two; the first may be an image, for a convolution to see."""
        draw = self._draw
        image = draw(st.integers(0, 2)) > 0
        shape: Shape = (draw(self._sizes),)
        if image:
            shape = (draw(st.integers(1, 3)), draw(st.integers(2, 10)), draw(st.integers(2, 10)))
        bits = draw(st.sampled_from([1, 8, 12])) if draw(st.integers(0, 2)) == 2 else 0
        self.sources.append(Source("x", shape, bits))

    def grow(self) -> None:
        """Add a layer behind the last one, and what runs beside and around it."""
        draw, before = self._draw, self._last()
        shape = self.shape(before)
        form: Form = "dense"
        if len(shape) == 3 and draw(st.integers(0, 3)):
            form = "pool" if draw(st.integers(0, 3)) == 3 else "conv"
        geometry = _geometry(draw, shape, form) if form in ("conv", "pool") else {}
        flat: Shape = (draw(self._sizes),)
        target = geometry.pop("target", flat)
        self.shapes.append(target)
        name = self._last()
        self._join(before, name, draw(self._delays), form, **geometry)
        if draw(st.integers(0, 3)) == 3:  # a residual plane
            self._join(before, name, 0)
        if not self._streamable and draw(st.integers(0, 2)) == 2:
            self._join(name, name, 1 + draw(self._delays))
        if draw(st.integers(0, 5)) == 5:
            self.sources.append(Source(f"y{name}", (draw(self._sizes),)))
            self._join(f"y{name}", name, draw(self._delays))

    def cross(self) -> None:
        """Add a skip and a feedback; a cycle takes at least one step for each of its connections."""
        draw, last = self._draw, len(self.shapes) - 1
        if last and draw(st.booleans()):
            first = draw(st.integers(-1, last - 1))
            self._join(f"l{first}" if first >= 0 else "x", f"l{last}", draw(self._delays))
        if last and not self._streamable and draw(st.booleans()):
            first = draw(st.integers(0, last - 1))
            self._join(f"l{last}", f"l{first}", last - first + 1 + draw(st.integers(0, 4)))

    def _last(self) -> str:
        return f"l{len(self.shapes) - 1}" if self.shapes else "x"

    def shape(self, name: str) -> Shape:
        """Of a source or a layer."""
        return next((s.shape for s in self.sources if s.name == name), None) or self.shapes[_index(name)]

    def _join(self, source: str, target: str, delay: int, form: Form = "dense", **geometry: Any) -> None:
        draw = self._draw
        if self._streamable and source[0] == "l":
            delay = 0
        if form == "dense" and draw(st.integers(0, 2)) == 2:
            form = "sparse"
        # Lava's own Conv has no exponent: half of the convolutions shall run there
        plain = form in ("conv", "pool") and draw(st.booleans())
        self.edges.append(
            Edge(
                source,
                target,
                form,
                min(delay, 62),
                0 if plain else draw(_EXPONENTS),
                draw(st.integers(1, 8)),
                draw(st.sampled_from(["mixed", "mixed", "excitatory", "inhibitory"])),
                draw(_DENSITIES),
                **geometry,
            )
        )


def _index(name: str) -> int:
    return int(name[1:]) if name[0] == "l" else -1


def _geometry(draw: st.DrawFn, shape: Shape, form: Form) -> dict[str, Any]:
    """A kernel that fits the shape, with its target's shape; pooling steps by its window."""
    pool = form == "pool"
    padding = (0, 0) if pool else (draw(st.integers(0, 2)), draw(st.integers(0, 2)))
    dilation = (1, 1) if pool else (draw(st.integers(1, 2)), draw(st.integers(1, 2)))
    fits = [(n + 2 * p - 1) // d + 1 for n, p, d in zip(shape[1:], padding, dilation, strict=True)]
    kernel = (draw(st.integers(1, min(4, fits[0]))), draw(st.integers(1, min(4, fits[1]))))
    stride = kernel if pool else (draw(st.integers(1, 3)), draw(st.integers(1, 3)))
    groups = shape[0] if pool or draw(st.integers(0, 3)) == 3 else 1
    channels = shape[0] if pool else groups * draw(st.integers(1, 12 // groups if groups > 1 else 12))
    sizes = [
        (n + 2 * p - d * (k - 1) - 1) // s + 1
        for n, p, d, k, s in zip(shape[1:], padding, dilation, kernel, stride, strict=True)
    ]
    return {
        "target": (channels, *sizes),
        "kernel": kernel,
        "stride": stride,
        "padding": padding,
        "dilation": dilation,
        "groups": groups,
    }


def _scale(graph: _Graph, name: str, edges: tuple[Edge, ...]) -> float:
    """About how large the summed input of a layer is in a step, at an input rate of 0.2."""
    total = 0.0
    for edge in (e for e in edges if e.target == name):
        shape = graph.shape(edge.source)
        fan = (
            np.prod(edge.kernel) * shape[0] / edge.groups if edge.form in ("conv", "pool") else np.prod(shape)
        )
        active = 0.2 * fan * edge.density
        bits = next((s.message_bits for s in graph.sources if s.name == edge.source), 0)
        each = 128.0 * (1 << max(bits - 2, 0)) * 2.0**edge.exponent
        total += each * (np.sqrt(active) if edge.sign == "mixed" else active)
    return total


def _forced(edge: Edge) -> Edge:
    """All that one projection can do in a step."""
    return replace(edge, exponent=7, bits=8, density=max(edge.density, 0.3))


def _layer(draw: st.DrawFn, name: str, shape: Shape, scale: float, forced: bool) -> Layer:
    """A population whose threshold its input can reach; forced: that keeps what it gets, until it wraps."""
    ceiling = int(np.clip(6 * scale, 4, 131071))
    du = st.one_of(st.integers(100, 3000), st.sampled_from([-1, 0, 4094, 4095]), st.integers(-1, 4095))
    dv = st.one_of(st.integers(50, 2000), st.sampled_from([0, 1, 4095, 4096]), st.integers(0, 4096))
    return Layer(
        name,
        shape,
        du=draw(st.integers(-1, 2) if forced else du),
        dv=draw(st.integers(0, 2) if forced else dv),
        vth=draw(
            st.one_of(
                st.integers(0, ceiling),
                st.integers(ceiling // 4, ceiling),
                st.sampled_from([0, 1, 131071]) if not forced else st.just(131071),
            )
        ),
        biased=draw(st.one_of(st.sampled_from([0.0, 1.0]), _SHARES)),
        bias_reach=draw(st.sampled_from([40, 600, 4095])),
        bias_exp=draw(st.sampled_from([(0, 0), (0, 7), (-7, -1), (-7, 7)])),
        state=draw(st.sampled_from([0, 0, 9000, (1 << 23) - 1])),
        read=False,
    )
