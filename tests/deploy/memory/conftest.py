"""Memories and keys that the tests of this room share."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from snn_deploy.deploy.memory import AssociativeMemory

SMALL = {"dim": 24, "code_dim": 512, "k": 12}


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """Where a test's memory lies."""
    return tmp_path / "memory.db"


@pytest.fixture
def small(store: Path) -> Iterator[AssociativeMemory]:
    """An empty memory of 24-wide keys and 12-of-512 codes."""
    with AssociativeMemory.open(store, **SMALL) as memory:
        yield memory


@pytest.fixture
def gaussian() -> Callable[..., NDArray[np.float64]]:
    """Makes seeded keys (samples, dim) without structure."""

    def make(samples: int, dim: int = SMALL["dim"], seed: int = 1) -> NDArray[np.float64]:
        return np.random.default_rng(seed).normal(size=(samples, dim))

    return make


@pytest.fixture
def embedding_like() -> Callable[..., NDArray[np.float64]]:
    """Makes keys with what sentence embeddings have: a common mean and a decaying spectrum (1/rank)."""

    def make(samples: int, dim: int = 384, seed: int = 1) -> NDArray[np.float64]:
        rng = np.random.default_rng(seed)
        spread = np.sqrt(1.0 / np.arange(1, dim + 1))
        return rng.normal(size=(samples, dim)) * spread + 1.2 * rng.normal(size=dim) * spread

    return make


@pytest.fixture
def filled(store: Path) -> Path:
    """A memory of 300 items in one chain, closed."""
    keys = np.random.default_rng(1).normal(size=(300, SMALL["dim"]))
    with AssociativeMemory.open(store, **SMALL) as memory:
        memory.link_many(pairwise(memory.store_many(keys, [{"n": n} for n in range(300)])))
    return store


@pytest.fixture
def answers() -> Callable[[Path], object]:
    """Everything that the memory at a path can be asked."""

    def ask(path: Path) -> object:
        with AssociativeMemory.open(path) as memory:
            hits = memory.recall(np.ones(SMALL["dim"]), 300)
            return hits, memory.recall_chain(1, 10), [memory.links(hit.id) for hit in hits]

    return ask
