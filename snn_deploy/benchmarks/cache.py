"""Arrays that take long to make, kept in the user's cache folder. No result depends on it."""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from snn_deploy.errors import SnnDeployError, UsageError
from snn_deploy.files import atomic_write, read_npz

log = logging.getLogger(__name__)

Arrays = Mapping[str, NDArray[Any]]


def cache_folder() -> Path:
    """Where this package keeps what it can make again: ``$XDG_CACHE_HOME`` or ~/.cache."""
    root = os.environ.get("XDG_CACHE_HOME", "")
    return (Path(root) if root else Path.home() / ".cache") / "snn-deploy"


def cached(name: str, facts: object, arrays: Collection[str], make: Callable[[], Arrays]) -> Arrays:
    """What ``make()`` gives, read from the cache where it is there.

    facts: everything that the arrays depend on, such as versions of packages and of the code, by its repr.
    arrays: their names. A missing, damaged or unwritable cache only costs the time of ``make``.
    """
    key = hashlib.sha256(repr(facts).encode()).hexdigest()[:16]
    path = cache_folder() / f"{name}-{key}.npz"
    if path.is_file():
        try:
            found = read_npz(path, "cache")
            if set(found) == set(arrays):
                return found
            log.warning("%s holds other arrays: making them again", path)
        except SnnDeployError as error:
            log.warning("%s: making it again", error)
    made = make()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(path) as temporary, temporary.open("wb") as file:
            np.savez_compressed(file, **made)
    except (OSError, UsageError) as error:
        log.info("no cache is kept: %s", error)
    return made
