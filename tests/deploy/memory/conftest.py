"""Memories and keys that the tests of this room share."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

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


def pytest_make_parametrize_id(val: Any) -> str | None:
    """Keep test names readable where a parameter is an array."""
    return f"array{val.shape}" if isinstance(val, np.ndarray) else None
