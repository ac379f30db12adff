"""How samples are laid out over Lava runs: side by side, one after another, or both; always exactly.

``copies`` samples stand side by side as block-diagonal copies of the network, ``chunks`` groups of them
follow one another within a run. Groups may share a run only where LIFReset makes them independent: a
zero initial state, and no projection with a delay out of a population, whose buffer LIFReset leaves alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from snn_deploy.errors import UsageError
from snn_deploy.network.connections import synapses
from snn_deploy.network.quantised import QuantisedNetwork
from snn_deploy.network.schedule import depths

Strategy = Literal["auto", "stream", "block"]

#: Synapses of all copies together. Where groups share a run, more copies stop paying here: a step's cost is
#: then the product with W, not the messages. Where each group needs a run of its own, its start (a second
#: and more) pays for larger products, until memory (about 40 bytes a synapse) says stop.
_STREAMED_SYNAPSES, _BLOCK_SYNAPSES = 5_000_000, 32_000_000


@dataclass(frozen=True)
class Plan:
    """The layout of one Lava run, and how many such runs serve all samples.

    copies, chunks: samples side by side, and groups of them in succession. runs: Lava runs.
    steps: network steps a sample. interval: Lava steps from one group's start to the next.
    depth: Lava latency of every input and population, see :mod:`snn_deploy.network.schedule`.
    """

    copies: int
    chunks: int
    runs: int
    steps: int
    interval: int
    depth: Mapping[str, int]

    @property
    def rows(self) -> int:
        """Recorded steps of one run."""
        return (self.chunks - 1) * self.interval + self.steps

    @property
    def lava_steps(self) -> int:
        """Steps that Lava must run: the recorded ones and the latency of the deepest population."""
        return self.rows + max(self.depth.values())

    @property
    def strategy(self) -> str:
        if self.chunks == 1:
            return "block"
        return "stream" if self.copies == 1 else "stream of blocks"


def streamable(network: QuantisedNetwork) -> str:
    """Return why samples cannot follow one another within a run, or an empty string where they can."""
    for population in network.populations:
        if population.u0.any() or population.v0.any():
            return f"'{population.name}' starts from a nonzero state, which LIFReset sets to zero"
    inputs = {node.name for node in network.inputs}
    for edge in network.projections:
        if edge.delay > 0 and edge.source not in inputs:
            return f"'{edge.name}' buffers spikes over {edge.delay} step(s), which LIFReset leaves in place"
    return ""


def make_plan(
    network: QuantisedNetwork,
    samples: int,
    steps: int,
    strategy: Strategy = "auto",
    copies: int | None = None,
) -> Plan:
    """Lay out ``samples`` samples of ``steps`` steps.

    strategy: "stream" is one copy and all samples in one run; "block" is one group a run; "auto"
    combines them. copies: samples side by side, None chooses. Raises UsageError where "stream" would
    not be exact for this network, and ModelNotSupported for a cycle shorter than Lava's latency.
    """
    depth = depths(network)
    obstacle = streamable(network)
    if strategy == "stream" and obstacle:
        raise UsageError("this network cannot be streamed exactly", found=obstacle, remedy="Use blocks.")
    if strategy == "stream":
        copies = 1
    elif copies is None:
        stored = sum(synapses(edge.connection).nnz for edge in network.projections)
        ceiling = _BLOCK_SYNAPSES if obstacle or strategy == "block" else _STREAMED_SYNAPSES
        copies = ceiling // max(stored, 1)
    copies = max(1, min(copies, samples))
    groups = -(-samples // copies)
    chunks = 1 if obstacle or strategy == "block" else groups
    inputs = {node.name for node in network.inputs}
    gap = max((edge.delay for edge in network.projections if edge.source in inputs), default=0)
    return Plan(copies, chunks, -(-groups // chunks), steps, steps + gap, depth)
