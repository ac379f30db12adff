"""Store, link, recall, forget: what the memory promises, against brute force."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Callable
from contextlib import closing
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from snn_deploy.deploy.memory import AssociativeMemory, edge_table_chain
from snn_deploy.errors import UsageError

SMALL = {"dim": 24, "code_dim": 512, "k": 12}
Keys = Callable[..., np.ndarray]


def cosines(keys: np.ndarray, key: np.ndarray) -> np.ndarray:
    return (keys @ key) / np.linalg.norm(keys, axis=1) / np.linalg.norm(key)


def test_recall_is_brute_force_cosine(small: AssociativeMemory, gaussian: Keys) -> None:
    keys, queries = gaussian(500), gaussian(40, seed=2)
    ids = small.store_many(keys)
    for query in queries:
        exact = cosines(keys, query)
        order = np.argsort(-exact)
        assert np.diff(np.sort(exact)).min() > 0  # one right order
        hits = small.recall(query, 17)
        gaps = -np.diff(exact[order[:18]])
        settled = 17 if gaps.min() > 1e-6 else int(np.argmax(gaps <= 1e-6))  # float32 cannot tell closer ones
        assert [hit.id for hit in hits][:settled] == [ids[n] for n in order[:settled]]
        assert np.allclose([hit.score for hit in hits], exact[order[:17]], atol=1e-6, rtol=0)


def test_spike_counts_and_floats_are_the_same_keys(small: AssociativeMemory) -> None:
    counts = np.random.default_rng(0).integers(0, 30, size=(50, 24))
    first = small.store_many(counts.astype(np.uint8))
    small.store_many(counts.astype(np.float32) * 0.37)
    hits = small.recall(counts[7].astype(np.int32), 2)
    assert {hit.id for hit in hits} == {first[7], first[7] + 50}
    assert all(abs(hit.score - 1.0) < 1e-6 for hit in hits)


def test_confidence_is_the_softmax_over_the_neighbours(small: AssociativeMemory, gaussian: Keys) -> None:
    keys = gaussian(100)
    small.store_many(keys)
    query = keys[5] + 0.1 * gaussian(1, seed=9)[0]
    exact = np.sort(cosines(keys, query))[::-1]
    expected = np.exp(20 * exact) / np.exp(20 * exact[:32]).sum()
    assert np.allclose([hit.confidence for hit in small.recall(query, 40)], expected[:40], atol=1e-5, rtol=0)
    assert small.recall(query, 1)[0].confidence == small.recall(query, 20)[0].confidence


def test_filter_recalls_exactly_among_what_passes(small: AssociativeMemory, gaussian: Keys) -> None:
    keys, query = gaussian(200), gaussian(1, seed=3)[0]
    metas = [{"kind": "odd" if n % 2 else "even", "n": n} for n in range(200)]
    small.store_many(keys, metas)
    small.store(query)  # the best match has no meta, so no mapping can let it through
    odd = [n for n in np.argsort(-cosines(keys, query)) if n % 2][:10]
    assert [hit.meta for hit in small.recall(query, 10, {"kind": "odd"})] == [metas[n] for n in odd]
    by_function = small.recall(query, 10, lambda meta: meta is not None and meta["n"] % 2 == 1)
    assert [hit.meta for hit in by_function] == [metas[n] for n in odd]
    assert small.recall(query, 10, {"kind": "none"}) == []
    assert small.recall(query, 10, {"kind": "odd", "n": 2}) == []


def test_recall_from_an_empty_memory_is_empty(small: AssociativeMemory) -> None:
    assert small.recall(np.ones(24), 3) == []
    with pytest.raises(UsageError, match="memory is empty"):
        small.recall_chain(np.ones(24), 2)


def test_chain_follows_links_and_says_why_it_stopped(small: AssociativeMemory, gaussian: Keys) -> None:
    keys = gaussian(30)
    ids = small.store_many(keys, [{"n": n} for n in range(30)])
    small.link_many(pairwise(ids[:8]))
    chain = small.recall_chain(keys[0] + 0.05 * gaussian(1, seed=4)[0], 7)
    assert chain.start == ids[0] and 0.9 < chain.start_score < 1.0
    assert chain.ids == tuple(ids[1:8]) and chain.stopped == "hops"
    assert [hop.overlap for hop in chain.path] == [1.0] * 7
    assert [hop.meta for hop in chain.path] == [{"n": n} for n in range(1, 8)]
    longer = small.recall_chain(ids[0], 20)
    assert longer.ids == tuple(ids[1:8]) and longer.stopped in ("confidence", "no association")
    assert edge_table_chain(small, ids[0], 20).ids == tuple(ids[1:8])
    assert edge_table_chain(small, ids[0], 20).stopped == "no association"
    assert edge_table_chain(small, keys[2], 3).ids == tuple(ids[3:6])


@pytest.mark.parametrize("policy", ["threshold", "hebbian", "willshaw"])
def test_a_heavier_link_wins(small: AssociativeMemory, gaussian: Keys, policy: str) -> None:
    a, b, c = small.store_many(gaussian(3))
    small.link(a, b, 1.0)
    small.link(a, c, 3.0)
    if policy != "willshaw":  # which knows no weights
        assert small.recall_chain(a, 1, policy).ids == (c,)
    small.link(a, b, 9.0)
    if policy != "willshaw":
        assert small.recall_chain(a, 1, policy).ids == (b,)
    assert [(link.target, link.weight) for link in small.links(a)] == [(b, 9.0), (c, 3.0)]
    small.forget(c)
    assert small.recall_chain(a, 1, policy).ids == (b,)
    assert small.stats().links == 1


def test_without_links_nothing_is_associated(small: AssociativeMemory, gaussian: Keys) -> None:
    ids = small.store_many(gaussian(5))
    for policy in ("threshold", "hebbian", "willshaw"):
        chain = small.recall_chain(ids[0], 3, policy, stop_confidence=0.0)
        assert (chain.path, chain.stopped) == ((), "no association")


def test_forgotten_items_never_come_back(store: Path, gaussian: Keys) -> None:
    keys = gaussian(120)
    with AssociativeMemory.open(store, **SMALL) as memory:
        ids = memory.store_many(keys)
        memory.link_many(pairwise(ids))
        memory.recall(keys[0])  # caches are loaded: tombstones, not a rebuild
        gone = ids[10:60]
        memory.forget_many(gone)
        assert memory.stats().tombstones == 50
        check_forgotten(memory, keys, ids, gone)
        before = [memory.recall(key, 120) for key in keys[:5]]
        newest = memory.store(keys[10])
        assert newest == max(ids) + 1
        memory.forget(newest)
        assert memory.store(keys[10]) == newest + 1  # an id is never given out twice
        memory.forget(newest + 1)
        memory.compact()
        assert memory.stats().tombstones == 0
        check_forgotten(memory, keys, ids, gone)
    with AssociativeMemory.open(store) as memory:
        check_forgotten(memory, keys, ids, gone)
        after = [memory.recall(key, 120) for key in keys[:5]]
        assert [[hit.id for hit in hits] for hits in after] == [[hit.id for hit in hits] for hits in before]


def check_forgotten(memory: AssociativeMemory, keys: np.ndarray, ids: list[int], gone: list[int]) -> None:
    for key in keys:
        assert {hit.id for hit in memory.recall(key, 200)} == set(ids) - set(gone)
    for policy in ("threshold", "hebbian", "willshaw"):
        chain = memory.recall_chain(ids[5], 20, policy)
        assert chain.ids == tuple(ids[6:10])  # the link into the gap went with its target
    with pytest.raises(UsageError, match="no item of this id"):
        memory.recall_chain(gone[0], 1)


def test_reopened_memory_answers_the_same(store: Path, gaussian: Keys) -> None:
    keys = gaussian(300)
    with AssociativeMemory.open(store, **SMALL, seed=7) as memory:
        ids = memory.store_many(keys[:250], [{"text": f"é{n}"} for n in range(250)])
        ids += [memory.store(key) for key in keys[250:]]
        memory.link_many(zip(ids, ids[3:], strict=False))
        answers = [memory.recall(key, 5) for key in keys[::20]]
        chains = [memory.recall_chain(item, 8) for item in ids[::20]]
        statistics = memory.stats()
    with AssociativeMemory.open(store) as memory:
        assert [memory.recall(key, 5) for key in keys[::20]] == answers
        assert [memory.recall_chain(item, 8) for item in ids[::20]] == chains
        assert memory.stats() == statistics
    assert answers[1][0].meta == {"text": "é20"} and len(chains[0].path) == 8


def test_statistics_are_fitted_at_the_marks_and_at_refit(store: Path, gaussian: Keys) -> None:
    keys = gaussian(100)
    with AssociativeMemory.open(store, **SMALL, fit_at=(10, 40)) as memory:
        seen = []
        for key in keys[:45]:
            memory.store(key)
            seen.append(memory.stats().fitted_items)
        assert seen == [0] * 9 + [10] * 30 + [40] * 6
        memory.store_many(keys[45:])
        assert memory.stats().fitted_items == 40
        assert memory.refit() == 100
        memory.link_many([(n, n + 1) for n in range(1, 100)])
        chain = memory.recall_chain(1, 99)
        assert chain.ids == tuple(range(2, 101))  # every stored code is of the newest statistics
    with AssociativeMemory.open(store) as memory:
        assert memory.stats().fitted_items == 100
        assert memory.recall_chain(keys[0], 99).path == chain.path


def test_codes_do_not_depend_on_how_items_arrive(tmp_path: Path, gaussian: Keys) -> None:
    """The last fit sees the same keys, and a key has one projection, alone or in a batch."""
    keys = gaussian(90)

    def stored_codes(name: str, batches: list[int], fit_at: tuple[int, ...]) -> list[bytes]:
        with AssociativeMemory.open(tmp_path / name, **SMALL, fit_at=fit_at) as memory:
            for end, size in zip(np.cumsum(batches), batches, strict=True):
                memory.store_many(keys[end - size : end])
        with closing(sqlite3.connect(tmp_path / name)) as database:
            return [code for (code,) in database.execute("SELECT code FROM items ORDER BY row")]

    at_once = stored_codes("once", [90], (90,))
    assert stored_codes("singly", [1] * 90, (90,)) == at_once
    assert stored_codes("mixed", [63, 1, 26], (20, 64, 90)) == at_once
    assert stored_codes("plain", [90], ()) != at_once


@pytest.mark.parametrize(
    ("act", "message"),
    [
        (lambda m: m.store(np.ones(23)), "width 23.*width 24"),
        (lambda m: m.store(np.full(24, np.nan)), "NaN"),
        (lambda m: m.store([np.inf] + [0.0] * 23), "infinity"),
        (lambda m: m.store(np.zeros(24)), "silent"),
        (lambda m: m.store(np.ones((2, 24))), "wrong shape"),
        (lambda m: m.store(["a"] * 24), "not real numbers"),
        (lambda m: m.store(np.ones(24), id=1), "id in use"),
        (lambda m: m.store(np.ones(24), id=-1), "not an id"),
        (lambda m: m.store(np.ones(24), id=2**63), "not an id"),
        (lambda m: m.store(np.ones(24), id=True), "not an id"),
        (lambda m: m.store(np.ones(24), meta={"x": float("nan")}), "JSON"),
        (lambda m: m.store(np.ones(24), meta={"x": object()}), "JSON"),
        (lambda m: m.store(np.ones(24), meta=["x"]), "JSON"),
        (lambda m: m.store_many(np.ones((2, 24)), [None]), "one of metas"),
        (lambda m: m.store_many(np.ones((2, 24)), ids=[8, 8]), "id in use"),
        (lambda m: m.link(1, 99), "no item of this id"),
        (lambda m: m.link(1, 1.5), "not an id"),
        (lambda m: m.link(1, 1, 0.0), "weight"),
        (lambda m: m.link(1, 1, float("nan")), "weight"),
        (lambda m: m.link(1, 1, float("inf")), "weight"),
        (lambda m: m.forget(99), "no item of this id"),
        (lambda m: m.forget("1"), "not an id"),
        (lambda m: m.links(99), "no item of this id"),
        (lambda m: m.meta(99), "no item of this id"),
        (lambda m: m.recall(np.ones(3)), "width 3"),
        (lambda m: m.recall(np.zeros(24)), "silent"),
        (lambda m: m.recall(np.ones(24), 0), "positive"),
        (lambda m: m.recall_chain(1, 0), "positive"),
        (lambda m: m.recall_chain(99, 1), "no item of this id"),
        (lambda m: m.recall_chain("x", 1), "not an id"),
        (lambda m: m.recall_chain(1, 1, "fuzzy"), "threshold, hebbian, willshaw"),
        (lambda m: m.recall_chain(1, 1, stop_confidence=float("nan")), "0 to 1"),
        (lambda m: edge_table_chain(m, 99, 1), "no item of this id"),
    ],
)
def test_a_bad_request_changes_nothing(
    small: AssociativeMemory, gaussian: Keys, act: Callable[[AssociativeMemory], object], message: str
) -> None:
    key = gaussian(1)[0]
    small.store(key, meta={"kept": True})
    before = small.stats()
    with pytest.raises(UsageError, match=f"(?s){message}"):
        act(small)
    assert small.stats() == before
    assert [hit.meta for hit in small.recall(key)] == [{"kept": True}]
    assert small.store(key) == 2


def test_all_bad_ids_are_named_at_once(small: AssociativeMemory) -> None:
    small.store(np.ones(24))
    with pytest.raises(UsageError) as caught:
        small.link_many([(1, 5), (6, 1), (5, 6)])
    assert [violation.where for violation in caught.value.violations] == ["id 5", "id 6"]


def test_importing_the_memory_loads_no_faiss() -> None:
    code = "import sys, snn_deploy.deploy.memory as m; m.AssociativeMemory; print('faiss' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout == "False\n"


class AgainstADictionary(RuleBasedStateMachine):
    """Any order of store, link, forget, refit, snapshot, compact and reopen, against plain dictionaries."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.path = Path(self.folder.name, "memory.db")
        self.keys: dict[int, np.ndarray] = {}
        self.edges: dict[tuple[int, int], float] = {}
        self.rng = np.random.default_rng(0)

    @initialize()
    def create(self) -> None:
        self.memory = AssociativeMemory.open(self.path, dim=24, code_dim=512, k=12, fit_at=(4, 9))

    @rule(count=st.integers(0, 4), load=st.booleans())
    def store(self, count: int, load: bool) -> None:
        if load:
            self.memory.recall(np.ones(24))
        keys = self.rng.normal(size=(count, 24))
        self.keys.update(zip(self.memory.store_many(keys), keys, strict=True))

    @precondition(lambda self: self.keys)
    @rule(data=st.data(), weight=st.sampled_from([0.5, 1.0, 2.0]))
    def link(self, data: st.DataObject, weight: float) -> None:
        a, b = (data.draw(st.sampled_from(sorted(self.keys))) for _ in range(2))
        self.memory.link(a, b, weight)
        self.edges[a, b] = weight

    @precondition(lambda self: self.keys)
    @rule(data=st.data())
    def forget(self, data: st.DataObject) -> None:
        item = data.draw(st.sampled_from(sorted(self.keys)))
        self.memory.forget(item)
        del self.keys[item]
        self.edges = {pair: weight for pair, weight in self.edges.items() if item not in pair}

    @rule(act=st.sampled_from(["refit", "snapshot", "compact", "reopen"]))
    def upkeep(self, act: str) -> None:
        if act == "reopen":
            self.memory.close()
            self.memory = AssociativeMemory.open(self.path)
        elif act != "refit" or self.keys:
            getattr(self.memory, act)()

    @rule()
    def check(self) -> None:
        query = self.rng.normal(size=24)
        ids = sorted(self.keys, key=lambda item: -float(cosines(self.keys[item][None], query)[0]))
        assert [hit.id for hit in self.memory.recall(query, 50)] == ids
        for item in ids[:5]:
            out = sorted((-weight, b) for (a, b), weight in self.edges.items() if a == item)
            assert [(-link.weight, link.target) for link in self.memory.links(item)] == out
            chain = self.memory.recall_chain(item, 1, stop_confidence=1.0)
            best = {b for weight, b in out if weight == out[0][0]}
            assert (chain.ids[0] in best) if out else not chain.ids

    def teardown(self) -> None:
        self.memory.close()
        self.folder.cleanup()


TestAgainstADictionary = AgainstADictionary.TestCase
TestAgainstADictionary.settings = settings(
    max_examples=25, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck)
)
