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
    assert len(caplog.records) == 31 and all("damaged snapshot" in r.getMessage() for r in caplog.records)


def test_no_byte_of_the_header_can_change_unnoticed(filled: Path, answers: Answers) -> None:
    right = answers(filled)
    with AssociativeMemory.open(filled) as memory:
        path = memory.snapshot()
    whole = path.read_bytes()
    header = whole.index(b"\n", whole.index(b"\n") + 1) + 1
    assert 200 < header < 1000
    for position in range(0, header, 4):  # one digit becomes another
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


@pytest.mark.parametrize("change", ["forget", "link", "refit"])
def test_a_snapshot_older_than_a_change_is_not_used(filled: Path, change: str) -> None:
    with AssociativeMemory.open(filled) as memory:
        memory.snapshot()
        if change == "forget":
            memory.forget(8)
        elif change == "link":
            memory.link(1, 2, 5.0)
        else:
            memory.refit()
    spoil_old_rows(filled)
    with pytest.raises(UnsafeFile), AssociativeMemory.open(filled) as memory:
        memory.recall(np.ones(24))


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
