"""Keys that the memory's studies share: random ones, ones like sentence embeddings, noisy cues of either."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from snn_deploy.deploy.memory import unit_vectors
from snn_deploy.errors import UsageError

Keys = NDArray[np.float32]
DIM = 384
_MEAN = 1.2  # of the common mean, in deviations: what makes hubs of plain codes

KINDS = ("random", "embedding-like")


def drawn_keys(kind: str, count: int, seed: int, dim: int = DIM) -> Keys:
    """Unit keys (count, dim): ``random``, or ``embedding-like`` with a common mean and a 1/rank spectrum."""
    if kind not in KINDS:
        raise UsageError("unknown kind of keys", where="kind", found=kind, allowed=", ".join(KINDS))
    rng = np.random.default_rng(seed)
    keys = rng.standard_normal((count, dim), dtype=np.float32)
    if kind == "embedding-like":
        spread = np.sqrt(1.0 / np.arange(1, dim + 1)).astype(np.float32)
        keys = keys * spread + np.float32(_MEAN) * rng.standard_normal(dim, dtype=np.float32) * spread
    return unit_vectors(keys).vectors


def noisy(keys: Keys, cosine: float, seed: int) -> Keys:
    """Each key turned by noise to the given cosine with itself, unit rows (count, dim)."""
    noise = np.random.default_rng(seed).normal(size=keys.shape)
    noise -= (noise * keys).sum(axis=1, keepdims=True) * keys
    noise /= np.linalg.norm(noise, axis=1, keepdims=True)
    return unit_vectors(cosine * keys + np.sqrt(1 - cosine**2) * noise).vectors


def data_file(folder: Path | None, name: str) -> Path:
    """A file of the folder that a user names; :class:`UsageError` where there is none."""
    if folder is None or not (folder / name).is_file():
        where = str(folder) if folder is not None else "--data"
        raise UsageError("no such data file", where=where, found=name, remedy="Name the folder that has it.")
    return folder / name
