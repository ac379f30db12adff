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
NOWHERE = -1


@dataclass(frozen=True, eq=False)
class Cue:
    """What a hop starts from: a code, and the slot of the item that it is the code of, or NOWHERE."""

    code: Code
    slot: int


@dataclass(frozen=True, eq=False)
class Recalled:
    """What a hop ends on: the recalled code, the nearest stored item's slot, and the overlap in [0, 1]."""

    cue: Cue
    overlap: float


@dataclass(frozen=True)
class Walk:
    """Slots and overlaps of the hops that were made, and why there were no more: ``hops`` (all were
    made), ``confidence`` or ``no association``."""

    slots: list[int]
    overlaps: list[float]
    stopped: str


def walk(cue: Cue, caches: Caches, hops: int, policy: str, stop: float) -> Walk:
    """At most ``hops`` hops of a policy, ended before one whose overlap is below ``stop``."""
    fast = caches.compiled
    if policy == "threshold" and fast is not None and cue.code.size == caches.layout.k:
        slots, shared, last = fast.chain(cue.code, cue.slot, hops, stop, VOTE_THRESHOLD)
        why = "hops" if len(slots) == hops else "confidence" if last else "no association"
        return Walk(slots, [overlap / caches.layout.k for overlap in shared], why)
    path: list[int] = []
    overlaps: list[float] = []
    while len(path) < hops:
        recalled = POLICIES[policy](cue, caches)
        if recalled is None or recalled.overlap < stop:
            return Walk(path, overlaps, "no association" if recalled is None else "confidence")
        cue = recalled.cue
        path.append(cue.slot)
        overlaps.append(recalled.overlap)
    return Walk(path, overlaps, "hops")


def threshold_hop(cue: Cue, caches: Caches) -> Recalled | None:
    """Vote of the best-matching stored cues; ``overlap`` is the best cue's, a fraction of k.

    A stored cue that matches exactly votes alone, and among several exact ones (equal codes) the item
    that the chain stands on. Equal votes go to the item that was stored first.
    """
    k = caches.layout.k
    overlap = caches.overlaps(cue.code) * caches.edges.linked
    best = int(overlap.max(initial=0))
    if best == 0:
        return None
    voters = np.flatnonzero(overlap >= (best if best == k else VOTE_THRESHOLD * best))
    if best == k and cue.slot != NOWHERE and overlap[cue.slot] == k:
        voters = np.array([cue.slot])
    votes: dict[int, float] = {}
    for voter in voters.tolist():
        for target, weight in caches.edges.out_of(voter):
            votes[target] = votes.get(target, 0.0) + weight * float(overlap[voter])
    winner = min(votes, key=lambda slot: (-votes[slot], slot))
    return Recalled(Cue(caches.postings.codes[winner], winner), best / k)


def hebbian_field(cue: Code, caches: Caches) -> NDArray[np.float64]:
    """W c of the linear Hebbian matrix: float64 (code_dim,), exact while the sums stay below 2^53 units."""
    strength = caches.overlaps(cue)[caches.edges.sources] * caches.edges.weights
    active = np.flatnonzero(strength)
    codes = caches.postings.codes[caches.edges.targets[active]]
    votes = np.repeat(strength[active], codes.shape[1])
    field: NDArray[np.float64] = np.bincount(codes.ravel(), votes, caches.layout.code_dim).astype(np.float64)
    return field


def willshaw_field(cue: Code, caches: Caches) -> NDArray[np.float64]:
    """W c of the clipped 1-bit matrix: for each unit, the number of active cue units it is paired with."""
    edges, codes, code_dim = caches.edges, caches.postings.codes, caches.layout.code_dim
    touched = np.flatnonzero((caches.overlaps(cue) > 0)[edges.sources] & (edges.weights != 0.0))
    place = np.full(code_dim, -1, np.int32)
    place[cue] = np.arange(cue.size)
    rows = place[codes[edges.sources[touched]]]
    edge, column = np.nonzero(rows >= 0)
    matrix = np.zeros((cue.size, code_dim), np.bool_)  # the cue's columns of W, transposed
    matrix[rows[edge, column][:, None], codes[edges.targets[touched[edge]]]] = True
    field: NDArray[np.float64] = matrix.sum(axis=0, dtype=np.float64)
    return field


def hebbian_hop(cue: Cue, caches: Caches) -> Recalled | None:
    """The k winners of W c go on as they are; ``overlap`` is theirs with the nearest stored code."""
    return _settled(hebbian_field(cue.code, caches), caches)


def willshaw_hop(cue: Cue, caches: Caches) -> Recalled | None:
    """As :func:`hebbian_hop`, with the clipped matrix."""
    return _settled(willshaw_field(cue.code, caches), caches)


def _settled(field: NDArray[np.float64], caches: Caches) -> Recalled | None:
    code = active_winners(field, caches.layout.k)
    if not code.size:
        return None
    overlap = caches.overlaps(code) * caches.slots.alive
    slot = int(overlap.argmax())
    return Recalled(Cue(code, slot), int(overlap[slot]) / caches.layout.k)


HopPolicy = Callable[[Cue, Caches], Recalled | None]
POLICIES: dict[str, HopPolicy] = {
    "threshold": threshold_hop,
    "hebbian": hebbian_hop,
    "willshaw": willshaw_hop,
}
