"""From a NIR graph to the float network that is run and rounded: lowering, passes, discretisation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from snn_deploy.convert.discretise import discretise
from snn_deploy.errors import ModelNotSupported
from snn_deploy.network.contract import Contract
from snn_deploy.network.discrete import DiscreteNetwork
from snn_deploy.network.validity import DISCRETE, check

if TYPE_CHECKING:
    import nir


@dataclass(frozen=True, eq=False)
class Discretised:
    """The float network, and the canonical graph it can be derived from again."""

    network: DiscreteNetwork
    graph: nir.NIRGraph


def prepare(graph: nir.NIRGraph, contract: Contract, graded: int = 0) -> Discretised:
    """Lower, run the passes and discretise; raises ModelNotSupported with everything Loihi cannot hold.

    graded: message_bits of the inputs that state none in their metadata; 0 is spikes of 0 and 1.
    """
    from snn_deploy.convert.canonical import canonical
    from snn_deploy.convert.export import explicit_graph, with_message_bits
    from snn_deploy.convert.frontends import quirks
    from snn_deploy.convert.lowering import lower_graph
    from snn_deploy.convert.passes import run_passes
    from snn_deploy.network.schedule import depths

    try:
        flat = quirks.repaired(canonical(with_message_bits(graph, graded) if graded else graph), contract)
        lowered = lower_graph(flat, contract)
    except ModelNotSupported as error:
        raise ModelNotSupported(quirks.explained(error.violations, graph, contract)) from error
    network = run_passes(lowered.network)
    depths(network)  # refuses cycles that are shorter than their steps on the chip
    return Discretised(check(discretise(network), DISCRETE), explicit_graph(lowered))
