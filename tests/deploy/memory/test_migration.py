"""Memories of format 1 become those of the current one, whole or not at all."""

from __future__ import annotations

import itertools
import json
import sqlite3
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from snn_deploy.deploy.memory import AssociativeMemory, unit_vectors
from snn_deploy.deploy.memory.codes import SignedHadamard, SparseCoder, UnitStatistics
from snn_deploy.deploy.memory.schema import APPLICATION_ID, VERSION_1_TABLES
from snn_deploy.errors import UnsafeFile, UsageError

KEYS = np.random.default_rng(1).normal(size=(150, 24))


def old_memory(path: Path) -> None:
    """What release 1 wrote: items 1, 3, 4, ... with metas, linked in a row."""
    units = unit_vectors(KEYS).vectors
    projection = SignedHadamard(24, 512, 5)
    statistics = UnitStatistics.fit(projection, units)
    codes = SparseCoder(projection, statistics, 12).encode(units)
    settings = {
        "projection": "signed-hadamard-1", "uuid": "abc", "dim": 24, "code_dim": 512, "k": 12, "seed": 5,
        "fit_at": "[64, 256]", "epoch": 3, "next_id": 200, "fitted_items": 150,
        "mean": statistics.mean.tobytes(), "scale": statistics.scale.tobytes(),
    }  # fmt: skip
    ids = [1, *range(3, 152)]
    with closing(sqlite3.connect(path)) as database:
        for statement in VERSION_1_TABLES:
            database.execute(statement)
        database.execute(f"PRAGMA application_id={APPLICATION_ID}")
        database.execute("PRAGMA user_version=1")
        database.executemany("INSERT INTO settings VALUES (?, ?)", settings.items())
        rows = [
            (i, unit.tobytes(), code.tobytes(), json.dumps({"n": i}) if i % 2 else None)
            for i, unit, code in zip(ids, units, codes, strict=True)
        ]
        database.executemany("INSERT INTO items (id, key, code, meta) VALUES (?, ?, ?, ?)", rows)
        pairs = [(a, b, 2.0) for a, b in itertools.pairwise(ids)]
        database.executemany("INSERT INTO edges (source, target, weight) VALUES (?, ?, ?)", pairs)
        database.commit()


def test_an_old_memory_opens_and_answers(store: Path, caplog: pytest.LogCaptureFixture) -> None:
    old_memory(store)
    with pytest.raises(UsageError, match="memory compact"):
        AssociativeMemory.open(store, readonly=True)
    with AssociativeMemory.open(store) as memory:
        assert "rewritten from format 1, 150 items and 149 links" in caplog.text
        assert [memory.recall(key, 1)[0].id for key in KEYS[:3]] == [1, 3, 4]
        assert memory.recall_chain(KEYS[0], 5).ids == (3, 4, 5, 6, 7)
        assert memory.meta(3) == {"n": 3} and memory.meta(4) is None
        assert memory.links(1)[0].weight == 2.0
        assert memory.store(KEYS[0]) == 200
        assert memory.check().items == 151
    with AssociativeMemory.open(store, readonly=True) as memory:
        assert memory.stats().items == 151


def test_a_damaged_old_memory_stays_as_it_was(store: Path) -> None:
    for damage in (
        "UPDATE items SET key=zeroblob(96) WHERE id=9",
        "UPDATE items SET meta='{' WHERE id=9",
        "UPDATE settings SET value=1099511627776 WHERE name IN ('dim', 'code_dim')",
        "DELETE FROM settings WHERE name='mean'",
    ):
        store.unlink(missing_ok=True)
        old_memory(store)
        with closing(sqlite3.connect(store)) as database:
            database.execute(damage)
            database.commit()
        with pytest.raises(UnsafeFile):
            AssociativeMemory.open(store)
        with closing(sqlite3.connect(store)) as database:
            assert database.execute("PRAGMA user_version").fetchone() == (1,)
            assert database.execute("SELECT count(*) FROM items").fetchone() == (150,)
