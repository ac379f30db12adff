"""Damaged and hostile databases: never a wrong answer, never a traceback, never touched."""

from __future__ import annotations

import itertools
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from snn_deploy.deploy.memory import AssociativeMemory
from snn_deploy.deploy.memory.filters import Condition
from snn_deploy.deploy.memory.schema import APPLICATION_ID
from snn_deploy.errors import BackendUnavailable, SnnDeployError, UnsafeFile, UsageError

Answers = Callable[[Path], object]


def everything(path: Path) -> object:
    """More than a user asks at once: hits, metas, links, chains, filters, texts, reconstructions."""
    with AssociativeMemory.open(path) as memory:
        items = list(memory.items())
        return (
            [(item.id, item.meta, item.text) for item in items],
            memory.recall(np.ones(24), 400),
            memory.recall(np.ones(24), 5, [Condition("n", "<", 20)]),
            memory.recall(np.ones(24), 5, text="word7 word8"),
            [memory.recall_chain(item.id, 3) for item in items[::17]],
            [memory.links(item.id) for item in items],
            memory.reconstruct([item.id for item in items]).tobytes(),
        )


def texted(path: Path) -> Path:
    """A memory whose items have metas, texts and links, all of which can be damaged."""
    keys = np.random.default_rng(2).normal(size=(200, 24))
    with AssociativeMemory.open(path, 24, 512, 12) as memory:
        metas = [{"n": n} if n % 3 else None for n in range(200)]
        ids = memory.store_many(keys, metas, texts=[f"word{n % 40} and word{n % 7}" for n in range(200)])
        memory.link_many(itertools.pairwise(ids), [1.0 + n % 5 for n in range(199)])
        memory.forget_many(ids[50:60])
    return path


def flip_bits(store: Path, flips: int, seed: int) -> int:
    """Flip one bit at a time; returns how often the damage was named rather than harmless."""
    right, whole = everything(store), store.read_bytes()
    rng = np.random.default_rng(seed)
    copy = store.with_name("flipped.db")
    named = 0
    for place in rng.integers(0, 8 * len(whole), flips).tolist():
        torn = bytearray(whole)
        torn[place // 8] ^= 1 << place % 8
        copy.write_bytes(torn)
        try:
            assert everything(copy) == right, f"bit {place} gives another answer"
        except (UnsafeFile, UsageError, BackendUnavailable):
            named += 1
        finally:
            for path in store.parent.glob("flipped.db*"):
                path.unlink()
    return named


def test_no_flipped_bit_gives_a_wrong_answer(store: Path) -> None:
    assert flip_bits(texted(store), 60, seed=0) > 15


@pytest.mark.slow
def test_none_of_300_flipped_bits_gives_a_wrong_answer(store: Path) -> None:
    assert flip_bits(texted(store), 300, seed=1) > 75


def test_check_reads_all_and_names_the_damage(store: Path) -> None:
    texted(store)
    with AssociativeMemory.open(store, readonly=True) as memory:
        whole = memory.check()
    assert (whole.items, whole.links, whole.snapshot) == (190, 188, "none") and whole.notes == 190
    with AssociativeMemory.open(store) as memory:
        memory.snapshot()
    rng = np.random.default_rng(5)
    kinds = ["UPDATE items SET {} = {} WHERE row = {}", "UPDATE notes SET {} = {} WHERE row = {}"]
    columns = [("id", "row + 1000"), ("key", "zeroblob(96)"), ("text", "'x'"), ("meta", "'{}'")]
    before = store.read_bytes()
    for column, value in columns:
        row = int(rng.integers(1, 50))
        statement = kinds[column in ("text", "meta")].format(column, value, row)
        with closing(sqlite3.connect(store)) as database:
            database.execute(statement)
            database.commit()
        with (
            AssociativeMemory.open(store, readonly=True) as memory,
            pytest.raises(UnsafeFile, match="checksum"),
        ):
            memory.check()
        store.write_bytes(before)
    with AssociativeMemory.open(store, readonly=True) as memory:
        assert memory.check().snapshot == "current"


HOSTILE = {
    "view": [
        "DROP TABLE edges",
        "CREATE VIEW edges AS WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x FROM n) SELECT * FROM n",
    ],
    "trigger": ["CREATE TRIGGER gone AFTER INSERT ON items BEGIN DELETE FROM items; END"],
    "table": ["CREATE TABLE more (x)"],
    "virtual": ["CREATE VIRTUAL TABLE words USING fts5(x)"],
    "huge": [f"UPDATE settings SET value={2**40} WHERE name IN ('dim', 'code_dim')"],
    "column": ["ALTER TABLE items ADD COLUMN more INTEGER DEFAULT 0"],
    "type": ["PRAGMA writable_schema=ON", "UPDATE sqlite_master SET sql='CREATE VIEW x AS SELECT 1'"],
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_hostile_databases_are_refused_and_left_alone(filled: Path, kind: str) -> None:
    with closing(sqlite3.connect(filled, isolation_level=None)) as database:
        for statement in HOSTILE[kind]:
            database.execute(statement)
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    before = filled.read_bytes()
    for readonly in (True, False):
        with pytest.raises(UnsafeFile) as caught:
            AssociativeMemory.open(filled, readonly=readonly)
        assert caught.value.exit_code == 7
    assert filled.read_bytes() == before


def test_the_shared_hostile_cases_are_refused(tmp_path: Path, shared_data: Path) -> None:
    cases = sorted((shared_data.parent / "cases" / "hostile").glob("*.sqlite"))
    if not cases:
        pytest.skip("no hostile databases beside the development data")
    for case in cases:
        copy = tmp_path / case.name
        copy.write_bytes(case.read_bytes())
        with pytest.raises(SnnDeployError) as caught:
            AssociativeMemory.open(copy)
        assert caught.value.exit_code == 7
        assert copy.read_bytes() == case.read_bytes()


def test_a_file_of_our_name_with_nothing_of_ours_is_unsafe(tmp_path: Path) -> None:
    path = tmp_path / "m.db"
    with closing(sqlite3.connect(path)) as database:
        database.execute(f"PRAGMA application_id={APPLICATION_ID}")
        database.execute("PRAGMA user_version=2")
        database.execute("CREATE TABLE settings (name)")
        database.commit()
    with pytest.raises(UnsafeFile, match="not a memory's"):
        AssociativeMemory.open(path)
