"""Everything that recall needs in memory, derived from the database and thrown away at will."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from snn_deploy.deploy.memory.codes import Code
from snn_deploy.deploy.memory.compiled import CompiledIndex, compiled
from snn_deploy.deploy.memory.contents import Contents, EdgeRows, Items, Layout, State
from snn_deploy.deploy.memory.edges import Edges
from snn_deploy.deploy.memory.lexical import LexicalIndex
from snn_deploy.deploy.memory.neighbours import NearestNeighbours
from snn_deploy.deploy.memory.postings import Postings
from snn_deploy.deploy.memory.slots import Slots


class Caches:
    """Neighbour index, postings and edges over slots, which number the items in the order of their rows.

    Raises ValueError for contents that contradict themselves.
    """

    def __init__(self, layout: Layout, contents: Contents) -> None:
        self.layout = layout
        self.slots = Slots()
        self.neighbours = NearestNeighbours(layout.dim, layout.index)
        self.postings = Postings(np.empty((0, layout.k), np.uint16), layout.code_dim)
        self.edges = Edges()
        self.state = State()
        self.masks: dict[str, NDArray[np.bool_]] = {}  # of filters that were asked, until the next change
        self.notes_checked = False
        self._compiled: CompiledIndex | None = None
        self._lexical: LexicalIndex | None = None
        self.update([], contents.items, contents.edges, contents.state)

    def update(
        self,
        removals: Iterable[tuple[int, int | None]],
        items: Items,
        edges: EdgeRows,
        state: State,
    ) -> None:
        """Take in what went away and what was appended up to ``state``."""
        for source, target in removals:
            self._remove(source, target)
        self.slots.add(items)
        self.neighbours.add(items.keys)
        self.postings.add(items.codes)
        self.edges.add_slots(items.ids.size)
        sources, targets = self.slots.of(edges.sources), self.slots.of(edges.targets)
        if (sources < 0).any() or (targets < 0).any():
            raise ValueError("a link to an item that is not there")
        if not (np.isfinite(edges.weights) & (edges.weights > 0)).all():
            raise ValueError("a link without a weight")
        self.edges.add(sources, targets, edges.weights, edges.checksums)
        self.state = state
        self.masks = {}
        self._compiled = None

    def _remove(self, source: int, target: int | None) -> None:
        if target is None:
            slot = self.slots.forget(source)
            if slot >= 0:
                self.edges.forget(slot)
            return
        ends = self.slots.find(source), self.slots.find(target)
        if min(ends) >= 0:
            self.edges.remove(*ends)

    @property
    def current(self) -> bool:
        """Whether exactly the items and links of ``state`` are held."""
        held = (self.slots.count, self.slots.checksum_sum, self.edges.count, self.edges.checksum_sum)
        return held == self.state.associations

    @property
    def compiled(self) -> CompiledIndex | None:
        """Postings and edges as the compiled loops take them; None where there are none."""
        if self._compiled is None and compiled() is not None:
            postings = self.postings
            self._compiled = CompiledIndex(
                postings.segments, postings.codes, postings.listed, self.layout.code_dim, self.edges.chained
            )
        return self._compiled

    @property
    def lexical(self) -> LexicalIndex:
        """Words of the texts, empty until recalling.py fills it."""
        if self._lexical is None:
            self._lexical = LexicalIndex()
        return self._lexical

    def overlaps(self, cue: Code) -> NDArray[np.uint16]:
        """Number of units that each slot's code shares with ``cue``: uint16 (slots,), not to be kept."""
        fast = self.compiled
        return self.postings.overlaps(cue) if fast is None else fast.overlaps(cue)

    def allowed(self, mask: NDArray[np.bool_] | None) -> NDArray[np.bool_] | None:
        """Slots that a recall may return: those of ``mask`` that hold an item; None for every slot."""
        if mask is None:
            return self.slots.alive if self.slots.tombstones else None
        return mask & self.slots.alive

    @property
    def nbytes(self) -> int:
        """Bytes of codes, lists and edges; keys and ids apart."""
        return self.postings.nbytes + self.edges.nbytes
