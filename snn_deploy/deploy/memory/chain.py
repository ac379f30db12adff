"""Chains of association, and the baseline that needs none."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from snn_deploy.deploy.memory.checks import check_positive

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from snn_deploy.deploy.memory.associative import AssociativeMemory


@dataclass(frozen=True)
class Hop:
    """One recalled association.

    ``id`` and ``meta`` of the recalled item. ``overlap`` in [0, 1], 1 being exact: for the policy
    ``threshold`` the share of the cue's winners that its best stored cue has, for ``hebbian`` and
    ``willshaw`` the share of winners that the recalled code has in common with the item's stored code.
    """

    id: int
    overlap: float
    meta: dict[str, Any] | None = None


@dataclass(frozen=True)
class Chain:
    """What a chain recalled.

    ``start`` is the item the cue was cleaned up to and ``start_score`` its cosine with the cue (1 for an
    id); ``path`` the hops in order; ``stopped`` why it ended: ``hops`` (all were made), ``confidence``
    (the next one was below stop_confidence) or ``no association``.
    """

    start: int
    start_score: float
    policy: str
    path: tuple[Hop, ...]
    stopped: str

    @property
    def ids(self) -> tuple[int, ...]:
        """Ids of the recalled items, without the start."""
        return tuple(hop.id for hop in self.path)


def edge_table_chain(memory: AssociativeMemory, key_or_id: ArrayLike | int, hops: int) -> Chain:
    """The baseline: nearest neighbour of the cue, then the heaviest edge out of the table, hop by hop.

    No code, no overlap and no crosstalk: every hop is exact by construction, and ends where an item has
    no link. Print it beside every chain result. Ties between edges go to the lower id.
    """
    check_positive(hops, "hops")
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
