"""Readers beside a writer, and readers where nobody can write."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from snn_deploy.deploy.memory import AssociativeMemory
from snn_deploy.errors import BackendUnavailable

SMALL = {"dim": 24, "code_dim": 512, "k": 12}
Keys = Callable[..., np.ndarray]

# Says what it stored before it commits, and that it did after: a reader may be anywhere in between.
WRITER = """
import sys, time, numpy as np
from snn_deploy.deploy.memory import AssociativeMemory
rng = np.random.default_rng(int(sys.argv[3]))
with AssociativeMemory.open(sys.argv[1]) as memory:
    end = time.monotonic() + float(sys.argv[2])
    ids = [item.id for item in memory.items()]
    n = max(ids)
    while time.monotonic() < end:
        n += 1
        memory.store(np.random.default_rng(n).normal(size=24), meta={"n": n}, id=n)
        memory.link(n - 1, n) if n - 1 in ids else None
        ids.append(n)
        if rng.random() < .4:
            gone = ids.pop(int(rng.integers(len(ids))))
            memory.forget(gone)
        if rng.random() < .1:
            n += 1
            memory.store_many(np.array([np.random.default_rng(m).normal(size=24) for m in (n, n + 1)]),
                              [{"n": n}, {"n": n + 1}], [n, n + 1])
            ids += [n, n + 1]
            n += 1
        if rng.random() < .02:
            memory.snapshot()
        if rng.random() < .01:
            memory.compact()
"""


def readers_beside_a_writer(store: Path, readers: int, seconds: float) -> int:
    """Answers of all readers, each compared with a brute-force answer on the state that it saw."""
    with AssociativeMemory.open(store, **SMALL, fit_at=(16, 64)) as memory:
        keys = [np.random.default_rng(n).normal(size=24) for n in range(1, 201)]
        memory.store_many(keys, [{"n": n} for n in range(1, 201)])
        memory.link_many((n, n + 1) for n in range(1, 200))
    child = subprocess.Popen([sys.executable, "-c", WRITER, str(store), str(seconds), "0"])
    failures: list[BaseException] = []
    counts = [0] * readers

    def reading(number: int) -> None:
        rng = np.random.default_rng(number)
        try:
            with AssociativeMemory.open(store, readonly=True) as memory:
                while child.poll() is None:
                    check_one_state(memory, rng.normal(size=24))
                    counts[number] += 1
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=reading, args=(n,)) for n in range(readers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(seconds + 60)
    assert child.wait(60) == 0
    assert failures == []
    assert min(counts) > 3
    return sum(counts)


def check_one_state(memory: AssociativeMemory, query: np.ndarray) -> None:
    with memory.view():
        items = list(memory.items())
        hits = memory.recall(query, 8)
        chain = memory.recall_chain(hits[0].id, 3, stop_confidence=1.0)
        followed = [link.target for link in memory.links(hits[0].id)]
    keys = np.array([np.random.default_rng(item.id).normal(size=24) for item in items])
    cosines = keys @ query / np.linalg.norm(keys, axis=1) / np.linalg.norm(query)
    nearest = np.argsort(-cosines)[:8]
    assert [hit.id for hit in hits] == [items[n].id for n in nearest]
    assert all(item.meta == {"n": item.id} for item in items)
    assert all(hit.meta == {"n": hit.id} for hit in hits)
    assert all(b == a + 1 for a, b in zip((hits[0].id, *chain.ids), chain.ids, strict=False))
    assert chain.ids[:1] == tuple(followed[:1])


def test_readers_see_committed_states_only(store: Path) -> None:
    assert readers_beside_a_writer(store, 2, 3.0) > 10


@pytest.mark.slow
def test_four_readers_beside_a_writer_for_a_minute(store: Path) -> None:
    assert readers_beside_a_writer(store, 4, 60.0) > 100


def test_a_reader_takes_in_only_what_is_new(
    store: Path, gaussian: Keys, monkeypatch: pytest.MonkeyPatch
) -> None:
    from snn_deploy.deploy.memory import loading

    keys = gaussian(400)
    with AssociativeMemory.open(store, **SMALL) as writer:
        ids = writer.store_many(keys[:300])
        with AssociativeMemory.open(store, readonly=True) as reader:
            reader.recall(keys[0])
            read = []

            def counted(*arguments: object) -> object:
                items = loaded(*arguments)
                read.append(items.ids.size)
                return items

            loaded = loading.read_items
            monkeypatch.setattr(loading, "read_items", counted)
            for key in keys[300:330]:
                writer.store(key)
                assert reader.recall(key, 1)[0].score > 0.999
            writer.forget(ids[3])
            writer.link(ids[0], ids[1], 2.0)
            writer.link(ids[0], ids[1], 3.0)
            assert ids[3] not in [hit.id for hit in reader.recall(keys[3], 400)]
            assert reader.links(ids[0])[0].weight == 3.0
            assert read == [1] * 30 + [0]


def test_a_folder_that_cannot_be_written_is_read(filled: Path, tmp_path: Path) -> None:
    """As a user without rights would: in a child that gives up root's."""
    folder = tmp_path / "kept"
    folder.mkdir()
    (folder / "m.db").write_bytes(filled.read_bytes())
    folder.chmod(0o555)
    for parent in (tmp_path, *tmp_path.parents):
        if parent.stat().st_uid == os.getuid() and parent != Path("/"):
            parent.chmod(parent.stat().st_mode | 0o055)
    code = """
import os, sys
import faiss
import numpy as np
from snn_deploy.deploy.memory import AssociativeMemory
from snn_deploy.deploy.memory.compiled import compiled
compiled()  # imported while the interpreter's own folders can be read
if os.getuid() == 0:
    os.setgid(65534), os.setuid(65534)
assert not os.access(os.path.dirname(sys.argv[1]), os.W_OK)
with AssociativeMemory.open(sys.argv[1], readonly=True) as memory:
    print(len(memory.recall(np.ones(24), 400)), memory.recall_chain(1, 5).ids)
"""
    done = subprocess.run(
        [sys.executable, "-c", code, str(folder / "m.db")],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    folder.chmod(0o755)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split("\n")[0] == "300 (2, 3, 4, 5, 6)"
    assert [path.name for path in folder.iterdir()] == ["m.db"]


def test_a_read_only_folder_with_an_unmerged_log_is_refused(
    filled: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    filled.with_name(filled.name + "-wal").write_bytes(b"frames")
    monkeypatch.setattr("os.access", lambda *_: False)
    with pytest.raises(BackendUnavailable, match="log that has to be merged"):
        AssociativeMemory.open(filled, readonly=True)


def test_a_file_opened_as_unchanging_is_opened_again_when_it_changes(
    filled: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, gaussian: Keys
) -> None:
    newer = tmp_path / "newer.db"
    newer.write_bytes(filled.read_bytes())
    with AssociativeMemory.open(newer) as memory:
        memory.forget_many(range(1, 101))
    with monkeypatch.context() as patch:
        patch.setattr("os.access", lambda *_: False)
        reader = AssociativeMemory.open(filled, readonly=True)
    assert len(reader.recall(np.ones(24), 400)) == 300
    time.sleep(0.01)
    filled.write_bytes(newer.read_bytes())
    monkeypatch.setattr("os.access", lambda *_: False)
    assert len(reader.recall(np.ones(24), 400)) == 200
    reader.close()
