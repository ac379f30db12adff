"""Snapshots: used when they fit, ignored when anything is wrong with them."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from snn_deploy.deploy.memory import AssociativeMemory
from snn_deploy.deploy.memory.snapshot import snapshot_path
from snn_deploy.errors import BackendUnavailable, UnsafeFile

SMALL = {"dim": 24, "code_dim": 512, "k": 12}
Keys = Callable[..., np.ndarray]
Answers = Callable[[Path], object]


def test_a_damaged_snapshot_is_ignored(
    filled: Path, answers: Answers, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    right = answers(filled)
    with AssociativeMemory.open(filled) as memory:
        path = memory.snapshot()
    whole = path.read_bytes()
    rng = np.random.default_rng(0)
    assert answers(filled) == right and caplog.records == []
    for position in [0, 5, 40, *rng.integers(0, len(whole), 20).tolist()]:
        path.write_bytes(whole[:position] + bytes([whole[position] ^ 0x40]) + whole[position + 1 :])
        assert answers(filled) == right
    for torn in (b"", b"\n", b"[]\n", b"{}\n", whole[:-1], whole + b"x", whole[:100], b"\xff" * 9999):
        path.write_bytes(torn)
        assert answers(filled) == right
    assert len(caplog.records) == 31 and all("snapshot not used" in r.getMessage() for r in caplog.records)


def test_no_byte_of_the_header_can_change_unnoticed(filled: Path, answers: Answers) -> None:
    right = answers(filled)
    with AssociativeMemory.open(filled) as memory:
        path = memory.snapshot()
    whole = path.read_bytes()
    header = whole.index(b"\n", whole.index(b"\n") + 1) + 1
    assert 200 < header < 1000
    for position in range(0, header, 8):  # one digit becomes another
        path.write_bytes(whole[:position] + bytes([whole[position] ^ 0x01]) + whole[position + 1 :])
        assert answers(filled) == right


def test_a_snapshot_is_extended_by_what_came_after_it(filled: Path, gaussian: Keys) -> None:
    key = gaussian(1, seed=77)[0]
    with AssociativeMemory.open(filled) as memory:
        memory.snapshot()
        new = memory.store(key)
        memory.link(new, 5)
    spoil_old_rows(filled)  # if they were read, opening would fail: the snapshot is in use
    with AssociativeMemory.open(filled, readonly=True) as memory:
        assert memory.recall(key, 1)[0].id == new
        assert memory.recall_chain(key, 3).ids == (5, 6, 7)


def spoil_old_rows(store: Path) -> None:
    with closing(sqlite3.connect(store)) as database:
        database.execute("UPDATE items SET code=zeroblob(24) WHERE id=200")
        database.commit()


def test_a_snapshot_follows_what_was_forgotten_and_linked_anew(filled: Path, answers: Answers) -> None:
    with AssociativeMemory.open(filled) as memory:
        memory.snapshot()
        memory.forget(8)
        memory.link(1, 2, 5.0)
        memory.store(np.ones(24), id=4, upsert=True)
    found = answers(filled)
    snapshot_path(filled).unlink()
    assert answers(filled) == found
    with AssociativeMemory.open(filled) as memory:
        memory.snapshot()
        memory.forget(9)
    spoil_old_rows(filled)  # if they were read, opening would fail: the snapshot is in use
    with AssociativeMemory.open(filled, readonly=True) as memory:
        assert memory.recall(np.ones(24), 1)[0].id == 4


def test_a_snapshot_of_other_codes_is_not_used(filled: Path, gaussian: Keys) -> None:
    with AssociativeMemory.open(filled) as memory:
        memory.store_many(gaussian(200, seed=5) + 3.0)
        memory.snapshot()
        memory.refit()
    spoil_old_rows(filled)
    with pytest.raises(UnsafeFile), AssociativeMemory.open(filled) as memory:
        memory.recall(np.ones(24))


def test_a_database_restored_beside_any_snapshot_answers_from_itself(filled: Path, answers: Answers) -> None:
    """Older and newer snapshots, also after the restored memory went its own way to the same length."""
    rng = np.random.default_rng(3)
    backups, snapshots = [], []
    for _ in range(3):
        with AssociativeMemory.open(filled) as memory:
            snapshots.append(memory.snapshot().read_bytes())
            change_at_random(memory, rng)
        backups.append(filled.read_bytes())
    for backup in backups:
        for snapshot in snapshots:
            filled.write_bytes(backup)
            for further in (0, 3):
                with AssociativeMemory.open(filled) as memory:
                    for _ in range(further):
                        change_at_random(memory, rng)
                snapshot_path(filled).unlink(missing_ok=True)
                right = answers(filled)
                snapshot_path(filled).write_bytes(snapshot)
                assert answers(filled) == right


def change_at_random(memory: AssociativeMemory, rng: np.random.Generator) -> None:
    ids = [item.id for item in memory.items()]
    memory.store_many(rng.normal(size=(5, 24)), [{"drawn": int(rng.integers(1e9))}] * 5)
    memory.forget_many(rng.choice(ids[5:], 3, replace=False))
    left = [item.id for item in memory.items()]
    a, b, c = rng.choice(left, 3, replace=False).tolist()
    memory.link_many([(a, b), (a, b + 0), (c, a)], float(rng.integers(1, 9)))
    memory.store(rng.normal(size=24), id=c, upsert=True)


def test_what_a_killed_writer_left_is_removed(filled: Path) -> None:
    orphan = filled.with_name(filled.name + ".snapshot.123.tmp")
    other = filled.with_name("other.db.snapshot.123.tmp")
    for path in (orphan, other):
        path.write_bytes(b"half")
    AssociativeMemory.open(filled, readonly=True).close()
    assert orphan.exists()  # its writer may be alive
    AssociativeMemory.open(filled).close()
    assert not orphan.exists() and other.exists()


def test_a_snapshot_of_another_memory_is_not_used(filled: Path, tmp_path: Path) -> None:
    with AssociativeMemory.open(filled) as memory:
        path = memory.snapshot()
    other = tmp_path / "other.db"
    with AssociativeMemory.open(other, **SMALL) as memory:
        shutil.copy(path, tmp_path / "other.db.snapshot")
        assert memory.recall(np.ones(24)) == []


def test_a_snapshot_that_cannot_be_written_leaves_the_old_one(
    filled: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with AssociativeMemory.open(filled) as memory:
        path = memory.snapshot()
        before = path.read_bytes()
        memory.store(np.ones(24))

        def full(_: int) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr("os.fsync", full)
        with pytest.raises(BackendUnavailable, match="No space left"):
            memory.snapshot()
    assert path.read_bytes() == before
    assert [p.name for p in filled.parent.iterdir() if "tmp" in p.name] == []
