"""Connected parts of a network: Lava runs only what is wired to the process that it is told to run."""

from __future__ import annotations

from dataclasses import replace

from snn_deploy.convert.quantised import QuantisedNetwork


def connected_parts(network: QuantisedNetwork) -> list[QuantisedNetwork]:
    """Split a network into its connected parts, in the order of their first populations.

    Each part keeps the order of its populations; inputs that reach nothing are left out.
    """
    import networkx as nx

    graph = nx.Graph()
    graph.add_edges_from((edge.source, edge.target) for edge in network.projections)
    position = {population.name: i for i, population in enumerate(network.populations)}
    members = sorted(
        nx.connected_components(graph), key=lambda part: min(position.get(n, len(position)) for n in part)
    )
    return [
        replace(
            network,
            inputs=tuple(node for node in network.inputs if node.name in part),
            populations=tuple(population for population in network.populations if population.name in part),
            projections=tuple(edge for edge in network.projections if edge.target in part),
        )
        for part in members
    ]
