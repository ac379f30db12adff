"""The compiled loops against NumPy, bit for bit."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from snn_deploy.deploy.memory import caches as caches_module
from snn_deploy.deploy.memory import hops
from snn_deploy.deploy.memory.caches import Caches
from snn_deploy.deploy.memory.codes import SignedHadamard, SparseCoder, UnitStatistics, field_sums
from snn_deploy.deploy.memory.compiled import compiled, inner_products, lists_of
from snn_deploy.deploy.memory.contents import Contents, EdgeRows, Items, Layout, State
from snn_deploy.deploy.memory.hops import NOWHERE, Cue, walk
from snn_deploy.deploy.memory.vectors import unit_vectors

Keys = Callable[..., np.ndarray]

pytestmark = pytest.mark.skipif(compiled() is None, reason="the package was built without a C compiler")


@pytest.mark.parametrize(
    ("dim", "units", "k"),
    [
        (24, 512, 12),
        (384, 16384, 50),
        (100, 999, 400),
        (1, 40, 39),
        (512, 700, 3),
        (30, 65536, 64),
        (3, 16, 1),
    ],
)
def test_codes_and_sums_are_those_of_numpy(dim: int, units: int, k: int) -> None:
    rng = np.random.default_rng(dim)
    keys = unit_vectors(rng.normal(size=(40, dim)) + rng.normal(size=dim)).vectors
    keys = np.concatenate((keys, np.eye(dim, dtype=np.float32)[:9], np.ones((1, dim), np.float32)))  # ties
    projection = SignedHadamard(dim, units, seed=dim)
    sums = [field_sums(projection, keys, use_compiled=way) for way in (True, False)]
    assert all(np.array_equal(a, b) for a, b in zip(*sums, strict=True))
    for statistics in (UnitStatistics.unfitted(units), UnitStatistics.fit(projection, keys)):
        fast, slow = (SparseCoder(projection, statistics, k, use_compiled=way) for way in (True, False))
        codes = fast.encode(keys)
        assert np.array_equal(codes, slow.encode(keys))
        assert dim == 1 or len({code.tobytes() for code in codes}) > 5


def random_caches(seed: int) -> Caches:
    """Codes that overlap much, hubs, tombstones, links forgotten and made anew, segments of all sizes."""
    rng = np.random.default_rng(seed)
    layout = Layout(dim=4, code_dim=60, k=7, seed=0, fit_at=(), uuid="")
    nothing = EdgeRows(*(np.empty(0, kind) for kind in (np.int64, np.int64, np.float64, np.uint32)))
    caches: Caches | None = None
    first = 0
    for size in (3, 700, 40, 300, 1, 90):
        codes = np.sort([rng.choice(60, 7, replace=False) for _ in range(size)]).astype(np.uint16)
        ids = np.arange(first, first + size)
        zeros = np.zeros(size, np.uint32)
        items = Items(ids, ids, zeros, zeros, rng.normal(size=(size, 4)).astype(np.float32), codes)
        if caches is None:
            caches = Caches(layout, Contents(items, nothing, State()))
        else:
            gone = rng.choice(first, 2, replace=False).tolist()
            caches.update([(item, None) for item in gone], items, nothing, State())
        first += size
        living = caches.slots.ids[caches.slots.alive]
        pairs = np.unique(rng.choice(living, size=(2 * size, 2)), axis=0)
        weights = rng.integers(1, 4, len(pairs)) / 2.0
        links = EdgeRows(pairs[:, 0], pairs[:, 1], weights, np.zeros(len(pairs), np.uint32))
        none = Items(*(array[:0] for array in (ids, ids, zeros, zeros, items.keys, codes)))
        caches.update([tuple(pair) for pair in pairs.tolist()], none, links, State())
    assert caches is not None
    return caches


@pytest.mark.parametrize("seed", range(3))
def test_overlaps_and_chains_are_those_of_numpy(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    caches = random_caches(seed)
    rng = np.random.default_rng(seed)
    cues = [Cue(caches.postings.codes[slot], slot) for slot in rng.choice(caches.slots.size, 30).tolist()]
    cues += [Cue(np.sort(rng.choice(60, 7, replace=False)).astype(np.uint16), NOWHERE) for _ in range(30)]
    stops = [0.0, 0.5, 1.0]
    fast = [walk(cue, caches, 6, "threshold", stop) for cue in cues for stop in stops]
    shared = [caches.overlaps(cue.code).copy() for cue in cues]
    monkeypatch.setattr(caches_module, "compiled", lambda: None)
    caches._compiled = None
    assert caches.compiled is None
    assert [walk(cue, caches, 6, "threshold", stop) for cue in cues for stop in stops] == fast
    assert all(np.array_equal(caches.overlaps(cue.code), a) for cue, a in zip(cues, shared, strict=True))
    assert {walked.stopped for walked in fast} == {"hops", "confidence"}
    assert len({tuple(walked.slots) for walked in fast}) > 30
    assert any(0 < overlap < 1 for walked in fast for overlap in walked.overlaps)
    assert hops.VOTE_THRESHOLD == 0.8


@pytest.mark.parametrize(("units", "k"), [(60, 7), (65536, 3), (9, 8)])
def test_lists_name_each_slot_of_a_unit(units: int, k: int, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(units)
    codes = np.sort([rng.choice(units, k, replace=False) for _ in range(200)]).astype(np.uint16)
    codes[0, -1] = units - 1
    fast = lists_of(codes, 1000, units)
    monkeypatch.setattr("snn_deploy.deploy.memory.compiled.compiled", lambda: None)
    slow = lists_of(codes, 1000, units)
    assert all(np.array_equal(a, b) and a.dtype == b.dtype for a, b in zip(fast, slow, strict=True))
    starts, slots = fast
    for unit in {0, units - 1, *codes[:5].ravel().tolist()}:
        named = slots[starts[unit] : starts[unit + 1]].tolist()
        assert named == [1000 + row for row in range(200) if unit in codes[row]]


@pytest.mark.parametrize("queries", [1, 3, 4, 9])
def test_products_are_integers(queries: int, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(queries)
    rows = rng.integers(0, 256, (301, 77)).astype(np.uint8)
    asked = rng.integers(-300, 300, (queries, 77)).astype(np.int16)
    right = asked.astype(np.int64) @ rows.T.astype(np.int64)
    assert np.array_equal(inner_products(rows, asked), right)
    monkeypatch.setattr("snn_deploy.deploy.memory.compiled.compiled", lambda: None)
    assert np.array_equal(inner_products(rows, asked), right)
