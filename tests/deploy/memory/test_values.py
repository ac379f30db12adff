"""Upsert, values, weights, batches, texts, counts: what the memory offers beyond one key at a time."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from snn_deploy.deploy.memory import AssociativeMemory, unit_vectors
from snn_deploy.deploy.memory.neighbours import INDEXES
from snn_deploy.errors import UsageError

SMALL = {"dim": 24, "code_dim": 512, "k": 12}
Keys = Callable[..., np.ndarray]


def test_upsert_replaces_the_item_and_keeps_its_links(small: AssociativeMemory, gaussian: Keys) -> None:
    keys = gaussian(40)
    ids = small.store_many(keys[:30], [{"n": n} for n in range(30)])
    small.link_many([(1, 2), (3, 2), (2, 4)], [1.0, 2.0, 3.0])
    small.recall(keys[0])
    assert small.store_many(keys[30:33], [{"new": 1}] * 3, [2, 9, 99], upsert=True) == [2, 9, 99]
    assert small.stats().items == 31 and small.stats().links == 3
    assert small.recall(keys[30], 1)[0].id == 2 and small.get(2).meta == {"new": 1}
    assert small.recall(keys[1], 1)[0].score < 0.99
    assert [link.target for link in small.links(1)] == [2] and small.links(2)[0].weight == 3.0
    assert small.recall_chain(keys[0], 2, stop_confidence=1.0).ids == (2, 4)
    with pytest.raises(UsageError, match="id in use"):
        small.store_many(keys[:2], ids=[ids[0], 500])
    with pytest.raises(UsageError, match="id in use"):
        small.store_many(keys[:2], ids=[500, 500], upsert=True)


def test_a_value_or_a_target_is_linked_to(small: AssociativeMemory, gaussian: Keys) -> None:
    keys = gaussian(6)
    first = small.store(keys[0], value=keys[1], meta={"key": True})
    assert small.links(first)[0].target == first + 1
    assert np.allclose(small.reconstruct([first + 1])[0], unit_vectors(keys[1:2]).vectors[0])
    third = small.store(keys[2], target=first)
    assert small.recall_chain(keys[2], 2).ids == (first, first + 1)
    with pytest.raises(UsageError, match="no item"):
        small.store(keys[3], target=999)
    assert small.stats().items == 3 and third == 3
    assert small.store_many(keys[3:5], values=keys[4:6]) == [4, 5]
    assert [small.links(item)[0].target for item in (4, 5)] == [6, 7]


def test_links_have_weights_of_their_own(small: AssociativeMemory, gaussian: Keys) -> None:
    small.store_many(gaussian(5))
    assert small.link_many([(1, 2), (1, 3), (1, 2)], [1.0, 2.0, 5.0]) == 2
    assert [(link.target, link.weight) for link in small.links(1)] == [(2, 5.0), (3, 2.0)]
    with pytest.raises(UsageError, match="weights"):
        small.link_many([(1, 2), (1, 3)], [1.0])
    with pytest.raises(UsageError, match="weight"):
        small.link_many([(1, 2), (1, 3)], [1.0, -1.0])


@pytest.mark.parametrize("kind", ["float", "uint8", "signed"])
def test_many_cues_are_answered_as_one_by_one(store: Path, gaussian: Keys, kind: str) -> None:
    rng = np.random.default_rng(1)
    keys = {
        "float": gaussian(300),
        "uint8": rng.integers(0, 256, (300, 24)),
        "signed": rng.integers(-90, 90, (300, 24)),
    }[kind]
    queries = keys[:50] + (rng.normal(size=(50, 24)) if kind == "float" else rng.integers(0, 9, (50, 24)))
    with AssociativeMemory.open(store, **SMALL) as memory:
        memory.store_many(keys)
        assert memory.stats().keys == ("unit vectors" if kind == "float" else "8-bit counts")
        memory.forget_many(range(40, 80))
        answered = memory.recall_many(queries, 7)
        exact = unit_vectors(queries).vectors.astype(float) @ unit_vectors(keys).vectors.astype(float).T
        exact[:, 39:79] = -2
        for row, query in enumerate(queries):
            hits = memory.recall(query, 7)
            assert [hit.id for hit in hits] == answered.ids[row].tolist()
            assert np.array_equal([hit.confidence for hit in hits], answered.confidence[row])
            assert [hit.id - 1 for hit in hits] == np.argsort(-exact[row])[:7].tolist()
            assert np.allclose([hit.score for hit in hits], np.sort(exact[row])[::-1][:7], atol=1e-6, rtol=0)
        few = memory.recall_many(queries[:2], 500)
        assert (few.ids[:, 260:] == -1).all() and (few.ids[:, :260] > 0).all()


def test_counts_are_kept_as_the_bytes_they_are(store: Path) -> None:
    rng = np.random.default_rng(0)
    counts = rng.integers(0, 61, (500, 512))
    with AssociativeMemory.open(store, 512) as memory:
        memory.store_many(counts)
        memory.compact()
        assert memory.stats().index_bytes < 500 * 520
    with closing(sqlite3.connect(store)) as database:
        assert {len(key) for (key,) in database.execute("SELECT key FROM items")} == {512}
    assert store.stat().st_size < 500 * 700 + 2 * 4 * 16384 + 100_000  # items, statistics, indexes
    with AssociativeMemory.open(store) as memory:
        assert memory.recall(counts[7] * 3, 1)[0].score > 1 - 1e-6
        mixed = memory.store(np.linspace(-1, 1, 512))  # no count: the index turns to floats
        assert memory.stats().keys == "unit vectors"
        assert memory.recall(np.linspace(-1, 1, 512), 1)[0].id == mixed
        assert memory.recall(counts[7], 1)[0].id == 8


def test_settle_is_the_softmax_mean(small: AssociativeMemory, gaussian: Keys) -> None:
    keys = gaussian(200)
    small.store_many(keys)
    cue = keys[3] + 0.6 * gaussian(1, seed=8)[0]
    units = unit_vectors(keys).vectors.astype(float)
    for beta in (5.0, 20.0, 80.0):
        weights = np.exp(beta * (units @ cue / np.linalg.norm(cue)))
        expected = weights @ units / weights.sum()
        assert np.allclose(small.settle(cue, beta), expected, atol=1e-5, rtol=0)
    with pytest.raises(UsageError, match="beta"):
        small.settle(cue, 0.0)


@pytest.mark.parametrize("index", INDEXES)
def test_other_indexes_find_most_of_what_the_exact_one_finds(store: Path, gaussian: Keys, index: str) -> None:
    keys = gaussian(500)
    with AssociativeMemory.open(store, **SMALL, index=index) as memory:
        memory.store_many(keys[:400])
        memory.store_many(keys[400:])
        memory.forget_many(range(1, 101))
        right = [memory.recall(keys[n], 1)[0].id == n + 1 for n in range(100, 500)]
        assert np.mean(right) > 0.95
        assert all(hit.id > 100 for hit in memory.recall(keys[0], 50))
        stats = memory.stats()
        assert stats.index == index
        assert stats.recall_of_exact is None if index == "exact" else stats.recall_of_exact > 0.9
    with AssociativeMemory.open(store, readonly=True) as memory:
        assert memory.layout.index == index
    with pytest.raises(UsageError, match="another index"):
        AssociativeMemory.open(store, index="exact" if index != "exact" else "hnsw")


def test_words_and_cosine_are_fused(small: AssociativeMemory, gaussian: Keys) -> None:
    keys = gaussian(60)
    texts = [f"item {n} speaks of {'apples' if n % 2 else 'pears'} and number{n}" for n in range(60)]
    ids = small.store_many(keys, texts=texts)
    assert small.recall(keys[5], 1, text="number40")[0].id == ids[40]  # a word that only it has
    assert small.recall(keys[5], 1, text="nothing of this")[0].id == ids[5]
    hits = small.recall(keys[9], 3, text="apple")  # stems; 30 items are equal by words
    assert hits[0].id == ids[9] and hits[0].text == texts[9]
    assert small.recall(keys[9], 1, text="number40", cosine_weight=50.0)[0].id == ids[9]
    small.forget(ids[40])
    assert small.recall(keys[9], 1, text="number40")[0].id == ids[9]
    again = small.store(keys[40], text="number40 again")
    assert small.recall(keys[9], 1, text="number40")[0].id == again
    for odd in ('"', "AND OR", "a* NEAR(b)", "", "\x00", "é" * 5000):
        assert len(small.recall(keys[0], 3, text=odd)) == 3


def test_a_memory_belongs_to_an_encoder(store: Path) -> None:
    with AssociativeMemory.open(store, **SMALL, encoder="sha256:12 image.out") as memory:
        assert memory.stats().encoder == "sha256:12 image.out"
    AssociativeMemory.open(store).close()
    with pytest.raises(UsageError) as caught:
        AssociativeMemory.open(store, encoder="sha256:99 image.out")
    assert "sha256:12" in str(caught.value) and "sha256:99" in str(caught.value)


def test_statistics_go_on_following_the_keys(store: Path, embedding_like: Keys) -> None:
    """After the last mark the keys change; new codes spread all the same, and old ones stay."""
    old, new = embedding_like(300, 48, 1), embedding_like(1600, 48, 2)

    def hubs(fit_at: tuple[int, ...]) -> tuple[float, bytes, bytes]:
        path = store.with_name(f"{len(fit_at)}.db")
        with AssociativeMemory.open(path, 48, 1024, 20, fit_at=fit_at) as memory:
            memory.store_many(old)
            with closing(sqlite3.connect(path)) as database:
                before = b"".join(c for (c,) in database.execute("SELECT code FROM items ORDER BY row"))
            for start in range(0, 1600, 100):
                memory.store_many(new[start : start + 100])
        with closing(sqlite3.connect(path)) as database:
            codes = [c for (c,) in database.execute("SELECT code FROM items ORDER BY row")]
        last = np.frombuffer(b"".join(codes[-400:]), "<u2")
        use = np.bincount(last, minlength=1024)
        return float(use.max() / use.mean()), before, b"".join(codes[:300])

    follows, before, after = hubs((64,))
    assert before == after
    fixed, _, _ = hubs(())
    assert follows < 0.5 * fixed


def test_progress_is_told_of_every_item(small: AssociativeMemory, gaussian: Keys) -> None:
    told: list[int] = []
    small.store_many(gaussian(9000), progress=told.append)
    assert sum(told) == 9000 and len(told) > 2
