"""The Hebbian identities: what comes out of the inverted index is what the dense matrices give."""

from __future__ import annotations

import numpy as np
import pytest

from snn_deploy.deploy.memory.caches import Caches
from snn_deploy.deploy.memory.contents import Contents, EdgeRows, Items, Layout, State
from snn_deploy.deploy.memory.hops import Cue, hebbian_field, threshold_hop, willshaw_field

UNITS, K, ITEMS, EDGES = 256, 9, 300, 700


@pytest.fixture(scope="module")
def codes() -> np.ndarray:
    rng = np.random.default_rng(5)
    return np.sort([rng.choice(UNITS, K, replace=False) for _ in range(ITEMS)]).astype(np.uint16)


@pytest.fixture(scope="module")
def edges() -> dict[tuple[int, int], float]:
    rng = np.random.default_rng(6)
    pairs = {(int(a), int(b)) for a, b in rng.integers(0, ITEMS, size=(EDGES, 2))}
    return {pair: float(rng.integers(1, 9)) / 4 for pair in sorted(pairs)}  # quarters: sums are exact


def caches_of(codes: np.ndarray, edges: dict[tuple[int, int], float]) -> Caches:
    pairs = np.array(sorted(edges), dtype=np.int64).reshape(-1, 2)
    layout = Layout(dim=4, code_dim=UNITS, k=codes.shape[1], seed=0, fit_at=(), uuid="")
    weights = np.array([edges[a, b] for a, b in pairs.tolist()], dtype=np.float64)
    links = EdgeRows(pairs[:, 0], pairs[:, 1], weights, np.zeros(len(edges), np.uint32))
    return Caches(layout, Contents(items_of(codes, 0), links, State()))


def items_of(codes: np.ndarray, first: int) -> Items:
    ids = np.arange(first, first + len(codes), dtype=np.int64)
    zeros = np.zeros(len(codes), np.uint32)
    keys = np.random.default_rng(7).normal(size=(len(codes), 4)).astype(np.float32)
    return Items(ids, ids, zeros, zeros, keys, codes)


def link(caches: Caches, pairs: dict[tuple[int, int], float]) -> None:
    """As a writer does: a link that is there is removed first."""
    ends = np.array(sorted(pairs), dtype=np.int64).reshape(-1, 2)
    weights = np.array([pairs[a, b] for a, b in ends.tolist()])
    rows = EdgeRows(ends[:, 0], ends[:, 1], weights, np.zeros(len(ends), np.uint32))
    caches.update(ends.tolist(), items_of(np.empty((0, K), np.uint16), 0), rows, State())


def k_hot(code: np.ndarray) -> np.ndarray:
    hot = np.zeros(UNITS)
    hot[code] = 1
    return hot


def dense(codes: np.ndarray, edges: dict[tuple[int, int], float]) -> np.ndarray:
    matrix = np.zeros((UNITS, UNITS))
    for (a, b), weight in edges.items():
        matrix += weight * np.outer(k_hot(codes[b]), k_hot(codes[a]))
    return matrix


def cues(codes: np.ndarray) -> list[np.ndarray]:
    """Stored codes, and codes of every length that is none of theirs."""
    rng = np.random.default_rng(8)
    strange = [np.sort(rng.choice(UNITS, n, replace=False)).astype(np.uint16) for n in range(1, 40)]
    return [*codes[:60], *strange]


def test_hebbian_field_is_the_dense_product(codes: np.ndarray, edges: dict[tuple[int, int], float]) -> None:
    caches, matrix = caches_of(codes, edges), dense(codes, edges)
    fields = [(hebbian_field(cue, caches), matrix @ k_hot(cue)) for cue in cues(codes)]
    assert all(np.array_equal(found, expected) for found, expected in fields)
    assert len({expected.tobytes() for _, expected in fields}) == len(fields)
    assert all(expected.any() for _, expected in fields)


def test_willshaw_field_is_the_clipped_product(
    codes: np.ndarray, edges: dict[tuple[int, int], float]
) -> None:
    caches, matrix = caches_of(codes, edges), dense(codes, edges) > 0
    fields = [(willshaw_field(cue, caches), matrix @ k_hot(cue)) for cue in cues(codes)]
    assert all(np.array_equal(found, expected) for found, expected in fields)
    assert matrix.mean() < 0.9  # not saturated: clipping everything to 1 would not pass
    assert any(expected.max() > 1 for _, expected in fields)


def test_identities_hold_while_items_and_edges_come_and_go(
    codes: np.ndarray, edges: dict[tuple[int, int], float]
) -> None:
    caches = caches_of(codes[:200], {pair: w for pair, w in edges.items() if max(pair) < 200})
    nothing = EdgeRows(*(np.empty(0, kind) for kind in (np.int64, np.int64, np.float64, np.uint32)))
    caches.update([], items_of(codes[200:], 200), nothing, State())
    link(caches, edges)  # old ones again, with the same weight
    forgotten = {3, 7, 250, 299}
    none = items_of(np.empty((0, K), np.uint16), 0)
    caches.update([(item, None) for item in sorted(forgotten)], none, nothing, State())
    changed = {pair: 2.5 for pair in list(edges)[::9] if not forgotten & set(pair)}
    link(caches, changed)
    left = {pair: w for pair, w in {**edges, **changed}.items() if not forgotten & set(pair)}
    assert 0 < len(left) < len(edges)
    matrix = dense(codes, left)
    for cue in cues(codes):
        assert np.array_equal(hebbian_field(cue, caches), matrix @ k_hot(cue))
        assert np.array_equal(willshaw_field(cue, caches), (matrix > 0) @ k_hot(cue))


def test_threshold_hop_follows_the_best_cue_under_noise(codes: np.ndarray) -> None:
    edges = {(n, (n * 7 + 3) % ITEMS): 1.0 for n in range(ITEMS)}
    caches = caches_of(codes, edges)
    rng = np.random.default_rng(9)
    right = 0
    for n in range(ITEMS):
        kept = rng.choice(codes[n], K - 3, replace=False)
        others = rng.choice(np.setdiff1d(np.arange(UNITS), codes[n]), 3, replace=False)
        cue = np.sort(np.concatenate((kept, others))).astype(np.uint16)
        recalled = threshold_hop(Cue(cue, 0), caches)
        assert recalled is not None
        overlaps = [len(set(cue.tolist()) & set(code.tolist())) for code in codes]
        assert recalled.overlap == max(overlaps) / K
        right += recalled.cue.slot == (n * 7 + 3) % ITEMS
    assert right >= 0.99 * ITEMS


def test_an_exact_cue_outvotes_any_number_of_near_ones() -> None:
    """Two near cues with one common target must not take over from the cue itself."""
    base = np.arange(10)
    codes = np.array([base, [*base[:9], 11], [*base[:9], 12], np.arange(100, 110), np.arange(200, 210)])
    caches = caches_of(codes.astype(np.uint16), {(0, 3): 1.0, (1, 4): 1.0, (2, 4): 1.0})
    recalled = threshold_hop(Cue(codes[0].astype(np.uint16), 0), caches)
    assert recalled is not None and recalled.cue.slot == 3
    half_way = np.array([*base[:9], 13], np.uint16)  # equally near to all three: two votes against one
    recalled = threshold_hop(Cue(half_way, 0), caches)
    assert recalled is not None and (recalled.cue.slot, recalled.overlap) == (4, 0.9)


def test_equal_codes_are_told_apart_by_where_the_chain_stands() -> None:
    codes = np.array([np.arange(10), np.arange(10), np.arange(100, 110), np.arange(200, 210)], np.uint16)
    caches = caches_of(codes, {(0, 2): 1.0, (1, 3): 5.0})
    for slot, target in ((0, 2), (1, 3)):
        recalled = threshold_hop(Cue(codes[slot], slot), caches)
        assert recalled is not None and recalled.cue.slot == target
