"""What survives: kill -9, second writers, damaged files, other people's files."""

from __future__ import annotations

import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import closing
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from snn_deploy.deploy.memory import AssociativeMemory
from snn_deploy.errors import BackendUnavailable, UnsafeFile, UsageError

SMALL = {"dim": 24, "code_dim": 512, "k": 12}
Keys = Callable[..., np.ndarray]
Answers = Callable[[Path], object]

# Stores, links and forgets in a row, saying what was acknowledged; snapshots and fits fall in between.
WRITER = """
import sys, numpy as np
from snn_deploy.deploy.memory import AssociativeMemory
with AssociativeMemory.open(sys.argv[1], 24, 512, 12, fit_at=(16, 64)) as memory:
    start = int(sys.argv[2])
    print("ready", flush=True)
    for n in range(start, start + 100000):
        memory.store(np.random.default_rng(n).normal(size=24), meta={"n": n}, id=n)
        print("store", n, flush=True)
        if n > start:
            memory.link(n - 1, n)
            print("link", n - 1, n, flush=True)
        if n % 7 == 0 and n > start + 3:
            memory.forget(n - 3)
            print("forget", n - 3, flush=True)
        if n % 11 == 0:
            memory.snapshot()
        if n % 13 == 0:
            memory.compact()
        if n % 17 == 0:
            memory.store(np.random.default_rng(n).normal(size=24), meta={"n": n}, id=n, upsert=True)
"""


def write_until_killed(store: Path, start: int, lines: int) -> list[list[str]]:
    """Acknowledgements of a writer that is killed with SIGKILL once it has said ``lines`` of them."""
    child = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(store), str(start)], stdout=subprocess.PIPE, text=True
    )
    assert child.stdout is not None
    said = []
    try:
        for line in child.stdout:
            said.append(line.split())
            if len(said) > lines:
                break
    finally:
        child.send_signal(signal.SIGKILL)
        rest = child.stdout.read()
        child.stdout.close()
        assert child.wait(30) == -signal.SIGKILL
    complete = rest[: rest.rfind("\n") + 1]
    return [*said, *(line.split() for line in complete.splitlines())][1:]


def kill_trials(store: Path, trials: int) -> int:
    """Kill a writer of one memory again and again; nothing acknowledged may be missing. Returns the items."""
    rng = np.random.default_rng(trials)
    items: set[int] = set()
    edges: set[tuple[int, int]] = set()
    for trial in range(trials):
        for verb, *numbers in write_until_killed(store, 1000 * trial, int(rng.integers(1, 60))):
            ids = [int(number) for number in numbers]
            if verb == "store":
                items.add(ids[0])
            elif verb == "link":
                edges.add((ids[0], ids[1]))
            else:
                items.remove(ids[0])
                edges = {pair for pair in edges if ids[0] not in pair}
        with AssociativeMemory.open(store) as memory:
            everything = memory.recall(np.ones(24), 100000)
            found = {hit.id for hit in everything}
            # The one change under way when it died is there or not; nothing else differs.
            assert len(found ^ items) <= 1
            assert all(hit.meta == {"n": hit.id} for hit in everything)
            for a, b in edges & {(a, b) for a in found for b in found}:
                assert b in [link.target for link in memory.links(a)]
            for item in sorted(found)[-5:]:
                key = np.random.default_rng(item).normal(size=24)
                assert memory.recall(key, 1)[0].id == item
            items = found
            edges = {pair for pair in edges if set(pair) <= items}
        with closing(sqlite3.connect(store)) as database:
            assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    return len(items)


def test_kill_9_loses_nothing_acknowledged(store: Path) -> None:
    assert kill_trials(store, 3) > 20


@pytest.mark.slow
def test_kill_9_loses_nothing_acknowledged_in_100_trials(store: Path) -> None:
    assert kill_trials(store, 100) > 1000


def test_killed_while_being_created_is_no_memory_or_a_whole_one(store: Path) -> None:
    store.touch()  # what SQLite leaves before its first transaction
    with pytest.raises(UsageError, match="empty file"):
        AssociativeMemory.open(store)
    with AssociativeMemory.open(store, **SMALL) as memory:
        assert memory.store(np.ones(24)) == 1


def test_a_second_writer_is_refused_and_readers_are_not(store: Path, gaussian: Keys) -> None:
    keys = gaussian(80)
    with AssociativeMemory.open(store, **SMALL) as memory:
        memory.store_many(keys[:10])
        with pytest.raises(BackendUnavailable, match="another process is writing"):
            AssociativeMemory.open(store)
        code = f"from snn_deploy.deploy.memory import AssociativeMemory as A; A.open({str(store)!r})"
        other = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False
        )
        assert other.returncode == 1 and "another process is writing" in other.stderr
        with AssociativeMemory.open(store, readonly=True) as reader:
            assert len(reader.recall(keys[0], 99)) == 10
            memory.store_many(keys[10:])  # and a fit at 64
            memory.forget(1)
            assert {hit.id for hit in reader.recall(keys[0], 99)} == set(range(2, 81))
            assert reader.stats() == memory.stats().__class__(**{**vars(memory.stats()), "tombstones": 0})
            for change in (
                lambda: reader.store(keys[0]),
                lambda: reader.link(2, 3),
                lambda: reader.forget(2),
                reader.refit,
                reader.snapshot,
                reader.compact,
            ):
                with pytest.raises(UsageError, match="reading only"):
                    change()
        memory.close()
        memory.close()
        AssociativeMemory.open(store).close()


def test_a_closed_memory_says_so(store: Path) -> None:
    memory = AssociativeMemory.open(store, **SMALL)
    memory.store(np.ones(24))
    memory.close()
    for act in (
        lambda: memory.store(np.ones(24)),
        lambda: memory.recall(np.ones(24)),
        lambda: memory.links(1),
        lambda: memory.meta(1),
        lambda: memory.recall_chain(1, 1),
        memory.stats,
        memory.snapshot,
        memory.compact,
    ):
        with pytest.raises(UsageError, match="closed"):
            act()


def test_numpy_numbers_are_numbers(store: Path) -> None:
    with AssociativeMemory.open(
        store, np.int64(24), np.int32(512), np.uint8(12), fit_at=(np.int64(3),)
    ) as memory:
        ids = np.array(memory.store_many(np.eye(24)))
        memory.link(ids[0], ids[1], np.float32(0.5))
        assert memory.recall_chain(ids[0], np.int64(1)).ids == (2,)
        assert len(memory.recall(np.eye(24)[0], np.int32(3))) == 3
    with AssociativeMemory.open(store, np.int64(24)) as memory:
        assert memory.stats().items == 24


def test_threads_share_one_memory(store: Path, gaussian: Keys) -> None:
    keys = gaussian(200)
    failures: list[BaseException] = []
    with AssociativeMemory.open(store, **SMALL, fit_at=(50, 100, 150)) as memory:
        memory.store_many(keys[:20])

        def reading() -> None:
            try:
                for n in range(300):
                    hit = memory.recall(keys[n % 20], 1)[0]
                    assert hit.id == n % 20 + 1
            except BaseException as error:
                failures.append(error)

        readers = [threading.Thread(target=reading) for _ in range(3)]
        for reader in readers:
            reader.start()
        ids = [memory.store(key) for key in keys[20:]]
        for reader in readers:
            reader.join(60)
        assert failures == []
        memory.link_many(pairwise(ids))
        assert memory.recall_chain(ids[0], len(ids) - 1).ids == tuple(ids[1:])


def test_a_memory_keeps_the_layout_it_was_created_with(store: Path) -> None:
    AssociativeMemory.open(store, **SMALL, seed=3).close()
    AssociativeMemory.open(store, **SMALL, seed=3).close()
    with pytest.raises(UsageError) as caught:
        AssociativeMemory.open(store, 25, 512, 13)
    assert [violation.found for violation in caught.value.violations] == ["25", "13"]
    with pytest.raises(UsageError, match="exists there already"):
        AssociativeMemory.open(store, **SMALL, exclusive=True)


@pytest.mark.parametrize(
    ("layout", "where"),
    [
        ({"dim": 0}, "dim"),
        ({"dim": 2.5}, "dim"),
        ({"dim": 8, "code_dim": 70000}, "code_dim"),
        ({"dim": 8, "code_dim": 32, "k": 32}, "k"),
        ({"dim": 8, "k": 0}, "k"),
        ({"dim": 8, "seed": -1}, "seed"),
        ({"dim": 8, "fit_at": (0,)}, "fit_at"),
    ],
)
def test_an_impossible_layout_is_refused_and_leaves_nothing(
    tmp_path: Path, store: Path, layout: dict[str, int], where: str
) -> None:
    with pytest.raises(UsageError) as caught:
        AssociativeMemory.open(store, **layout)  # type: ignore[arg-type]
    assert [violation.where for violation in caught.value.violations] == [where]
    assert list(tmp_path.iterdir()) == []


def test_paths_that_cannot_be_a_memory_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no memory there"):
        AssociativeMemory.open(tmp_path / "none.db")
    with pytest.raises(UsageError, match="no memory there"):
        AssociativeMemory.open(tmp_path / "none.db", dim=4, readonly=True)
    with pytest.raises(UsageError, match="no folder"):
        AssociativeMemory.open(tmp_path / "none" / "m.db", dim=4)
    with pytest.raises(UsageError, match="a folder of that name"):
        AssociativeMemory.open(tmp_path, dim=4)
    assert list(tmp_path.iterdir()) == []


def test_foreign_files_are_unsafe_and_stay_as_they_were(tmp_path: Path) -> None:
    text = tmp_path / "text.db"
    text.write_text("not a database, whatever its name\n" * 200)
    foreign = tmp_path / "foreign.db"
    with closing(sqlite3.connect(foreign)) as database:
        database.execute("CREATE TABLE photos (name TEXT)")
        database.commit()
    contents = {path: path.read_bytes() for path in tmp_path.iterdir()}
    for path in (text, foreign):
        for readonly in (False, True):
            with pytest.raises(UnsafeFile):
                AssociativeMemory.open(path, None if readonly else 24, readonly=readonly)
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == contents


@pytest.mark.parametrize(
    ("statement", "message"),
    [
        ("PRAGMA user_version=99", "another release"),
        ("DELETE FROM settings WHERE name='seed'", "'seed' is missing"),
        ("UPDATE settings SET value=600 WHERE name='k'", "'k' does not match its checksum"),
        ("UPDATE settings SET value=zeroblob(2048) WHERE name='mean'", "'mean' does not match"),
        ("UPDATE state SET items=299", "counters do not match"),
        ("DELETE FROM state", "0 rows of counters"),
        ("UPDATE items SET key=x'0000' WHERE id=3", "keys and codes"),
        ("UPDATE items SET key=zeroblob(96) WHERE id=3", "row 3.*checksum"),
        ("UPDATE items SET code=zeroblob(24) WHERE id=3", "row 3.*checksum"),
        ("UPDATE items SET id=999 WHERE id=3", "row 3.*checksum"),
        ("UPDATE notes SET meta='{\"n\": 5}' WHERE row=3", "row 3.*checksum"),
        ("DELETE FROM notes WHERE row=3", "note that was written is not there"),
        ("DELETE FROM items WHERE id=3", "not there"),  # item 2 is linked to it
        ("DELETE FROM edges WHERE source=3", "not those that were written"),
        ("UPDATE edges SET target=777 WHERE source=3", "link 3.*checksum"),
        ("UPDATE edges SET weight=2 WHERE source=3", "link 3.*checksum"),
        ("DROP TABLE edges", "one is missing"),
        ("CREATE VIEW endless AS SELECT 1", "view endless"),
        ("CREATE TRIGGER t AFTER INSERT ON items BEGIN DELETE FROM items; END", "trigger t"),
    ],
)
def test_contents_that_break_the_format_are_unsafe(filled: Path, statement: str, message: str) -> None:
    with closing(sqlite3.connect(filled)) as database:
        database.execute(statement)
        database.commit()
    with pytest.raises(UnsafeFile, match=message), AssociativeMemory.open(filled) as memory:
        memory.recall(np.ones(24), 300)


def test_a_zeroed_or_lost_page_never_gives_a_wrong_answer(
    filled: Path, answers: Answers, tmp_path: Path
) -> None:
    right = answers(filled)
    whole = filled.read_bytes()
    page = 4096
    refused = 0
    for start in range(0, len(whole), page):
        for name, torn in (
            ("zeroed", whole[:start] + bytes(page) + whole[start + page :]),
            ("noise", whole[:start] + np.random.default_rng(start).bytes(page) + whole[start + page :]),
            ("truncated", whole[:start]),
        ):
            copy = tmp_path / f"{name}{start}.db"
            copy.write_bytes(torn)
            try:
                assert answers(copy) == right  # a page that no answer comes from
            except (UnsafeFile, UsageError) as error:
                assert isinstance(error, UnsafeFile) or not torn
                refused += 1
            copy.unlink()
    assert refused > len(whole) // page
