"""The baseline of every chain: it needs no association, only a table of links."""

from __future__ import annotations

from typing import TYPE_CHECKING

from snn_deploy.deploy.memory.checks import check_positive
from snn_deploy.deploy.memory.results import Chain, Hop

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from snn_deploy.deploy.memory.associative import AssociativeMemory


def edge_table_chain(memory: AssociativeMemory, key_or_id: ArrayLike | int, hops: int) -> Chain:
    """The baseline: nearest neighbour of the cue, then the heaviest edge out of the table, hop by hop.

    No code, no overlap and no crosstalk: every hop is exact by construction, and ends where an item has
    no link. Print it beside every chain result. Ties between edges go to the lower id.
    """
    check_positive(hops, "hops")
    with memory.view():
        start, score = memory.resolve(key_or_id)
        path: list[Hop] = []
        item = start
        while len(path) < hops:
            links = memory.links(item)
            if not links:
                return Chain(start, score, "edge-table", tuple(path), "no association")
            item = links[0].target
            path.append(Hop(item, 1.0, memory.meta(item)))
        return Chain(start, score, "edge-table", tuple(path), "hops")
