"""One hop of a chain: from the code of a cue to the code that it is associated with.

With c_s and c_t the k-hot codes of the two ends of an edge of weight w, and c the cue:

    hebbian    W = sum over edges of w c_t c_s^T; field = W c; recalled = k winners of the field
               (linear Hebbian matrix; Kohonen 1972)
    willshaw   W = 1 where any edge pairs the two units, else 0; field = W c; k winners
               (Willshaw, Buneman and Longuet-Higgins 1969)
    threshold  only stored cues whose overlap with c is near the best one's vote; the recalled code is the
               stored code of the target with most votes, so nothing else mixes in

None of them forms W: W c is the sum over edges of w |c and c_s| c_t, and the overlaps come out of the
inverted index. A dense float32 W of 16384 units is 1 GiB; this is the same numbers from the edge list.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from snn_deploy.deploy.memory.caches import Caches
from snn_deploy.deploy.memory.codes import Code, active_winners

VOTE_THRESHOLD = 0.8  # of the best overlap


@dataclass(frozen=True, eq=False)
class Cue:
    """What a hop starts from: a code, and the slot of the item that it is the code of."""

    code: Code
    slot: int


@dataclass(frozen=True, eq=False)
class Recalled:
    """What a hop ends on: the recalled code, the nearest stored item's slot, and the overlap in [0, 1]."""

    cue: Cue
    overlap: float


def threshold_hop(cue: Cue, caches: Caches, k: int, code_dim: int) -> Recalled | None:
    """Vote of the best-matching stored cues; ``overlap`` is the best cue's, a fraction of k.

    A stored cue that matches exactly votes alone, and among several exact ones (equal codes) the item
    that the chain stands on. Equal votes go to the item that was stored first.
    """
    overlap = caches.postings.overlaps(cue.code) * caches.edges.linked
    best = int(overlap.max(initial=0))
    if best == 0:
        return None
    voters = np.flatnonzero(overlap >= (best if best == k else VOTE_THRESHOLD * best))
    if best == k and overlap[cue.slot] == k:
        voters = np.array([cue.slot])
    votes: dict[int, float] = {}
    for voter in voters.tolist():
        for target, weight in caches.edges.out_of(voter):
            votes[target] = votes.get(target, 0.0) + weight * float(overlap[voter])
    winner = min(votes, key=lambda slot: (-votes[slot], slot))
    return Recalled(Cue(caches.postings.codes[winner], winner), best / k)


def hebbian_field(cue: Code, caches: Caches, code_dim: int) -> NDArray[np.float64]:
    """W c of the linear Hebbian matrix: float64 (code_dim,), exact while the sums stay below 2^53 units."""
    strength = caches.postings.overlaps(cue)[caches.edges.sources] * caches.edges.weights
    active = np.flatnonzero(strength)
    codes = caches.postings.codes[caches.edges.targets[active]]
    votes = np.repeat(strength[active], codes.shape[1])
    field: NDArray[np.float64] = np.bincount(codes.ravel(), votes, code_dim).astype(np.float64)
    return field


def willshaw_field(cue: Code, caches: Caches, code_dim: int) -> NDArray[np.float64]:
    """W c of the clipped 1-bit matrix: for each unit, the number of active cue units it is paired with."""
    edges, codes = caches.edges, caches.postings.codes
    touched = np.flatnonzero((caches.postings.overlaps(cue) > 0)[edges.sources] & (edges.weights != 0.0))
    place = np.full(code_dim, -1, np.int32)
    place[cue] = np.arange(cue.size)
    rows = place[codes[edges.sources[touched]]]
    edge, column = np.nonzero(rows >= 0)
    matrix = np.zeros((cue.size, code_dim), np.bool_)  # the cue's columns of W, transposed
    matrix[rows[edge, column][:, None], codes[edges.targets[touched[edge]]]] = True
    field: NDArray[np.float64] = matrix.sum(axis=0, dtype=np.float64)
    return field


def hebbian_hop(cue: Cue, caches: Caches, k: int, code_dim: int) -> Recalled | None:
    """The k winners of W c go on as they are; ``overlap`` is theirs with the nearest stored code."""
    return _settled(hebbian_field(cue.code, caches, code_dim), caches, k)


def willshaw_hop(cue: Cue, caches: Caches, k: int, code_dim: int) -> Recalled | None:
    """As :func:`hebbian_hop`, with the clipped matrix."""
    return _settled(willshaw_field(cue.code, caches, code_dim), caches, k)


def _settled(field: NDArray[np.float64], caches: Caches, k: int) -> Recalled | None:
    code = active_winners(field, k)
    if not code.size:
        return None
    overlap = caches.postings.overlaps(code) * caches.alive
    slot = int(overlap.argmax())
    return Recalled(Cue(code, slot), int(overlap[slot]) / k)


HopPolicy = Callable[[Cue, Caches, int, int], Recalled | None]
POLICIES: dict[str, HopPolicy] = {
    "threshold": threshold_hop,
    "hebbian": hebbian_hop,
    "willshaw": willshaw_hop,
}
