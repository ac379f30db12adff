"""The contract that a memory keeps on SQLite and on Milvus alike (embedded milvus-lite)."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from snn_deploy.deploy.memory import AssociativeMemory
from snn_deploy.deploy.memory.milvus import MilvusMemory
from snn_deploy.errors import BackendUnavailable, UsageError

HAVE_MILVUS = all(importlib.util.find_spec(name) for name in ("pymilvus", "milvus_lite"))
Keys = Callable[..., np.ndarray]
Opener = Callable[[], Any]


@pytest.fixture(params=["sqlite", "milvus"])
def opened(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Opener]:
    """Opens one memory again and again."""
    if request.param == "milvus" and not HAVE_MILVUS:
        pytest.skip("pymilvus and milvus-lite are not installed: the extra milvus brings them")
    made: list[Any] = []

    def open_it() -> Any:
        if request.param == "sqlite":
            made.append(AssociativeMemory.open(tmp_path / "m.db", 24, 512, 12))
        else:
            made.append(MilvusMemory.open(str(tmp_path / "m_lite.db"), 24, code_dim=512, k=12))
        return made[-1]

    yield open_it
    for memory in made:
        memory.close()


@pytest.mark.filterwarnings("ignore")
def test_the_contract(opened: Opener, gaussian: Keys) -> None:
    keys = gaussian(120)
    memory = opened()
    ids = memory.store_many(keys, [{"n": n} if n % 2 else None for n in range(120)])  # past the fit at 64
    assert ids == list(range(1, 121))
    memory.link_many(pairwise(ids[:40]))
    cue = keys[7] + 0.2 * gaussian(1, seed=5)[0]
    exact = keys @ cue / np.linalg.norm(keys, axis=1) / np.linalg.norm(cue)
    hits = memory.recall(cue, 5)
    assert [hit.id - 1 for hit in hits] == np.argsort(-exact)[:5].tolist()
    assert np.allclose([hit.score for hit in hits], np.sort(exact)[::-1][:5], atol=1e-5)
    assert hits[0].meta == {"n": 7}
    chain = memory.recall_chain(cue, 6)
    assert chain.ids == tuple(range(9, 15)) and [hop.overlap for hop in chain.path] == [1.0] * 6
    memory.link(8, 50, 4.0)
    assert [(link.target, link.weight) for link in memory.links(8)] == [(50, 4.0), (9, 1.0)]
    assert memory.recall_chain(8, 1).ids == (50,)
    memory.forget(50)
    assert memory.recall_chain(8, 2).ids == (9, 10)
    assert memory.recall(keys[49], 1)[0].id != 50
    for bad in (
        lambda: memory.forget(50),
        lambda: memory.link(1, 50),
        lambda: memory.store_many(keys[:1], ids=[3]),
        lambda: memory.store(np.zeros(24)),
        lambda: memory.recall(np.ones(3)),
        lambda: memory.recall_chain(50, 1),
    ):
        with pytest.raises(UsageError):
            bad()
    memory.close()
    again = opened()
    assert again.store(keys[0]) == 121
    assert again.recall_chain(keys[0], 3).ids[:1] == (2,)
    assert [hit.id for hit in again.recall(cue, 5)] == [hit.id for hit in hits]


@pytest.mark.skipif(HAVE_MILVUS, reason="pymilvus is installed")
def test_without_pymilvus_the_remedy_is_named() -> None:
    with pytest.raises(BackendUnavailable, match="snn-deploy\\[milvus\\]"):
        MilvusMemory.open("http://localhost:19530", 4)
