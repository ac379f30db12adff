"""Fixtures that every room's tests share."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def root() -> Path:
    """The repository's root."""
    return ROOT


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The development data: ``$SNN_DEPLOY_SHARED/data``, else ``shared/data`` beside the repository."""
    shared = Path(os.environ.get("SNN_DEPLOY_SHARED") or ROOT.parent / "shared")
    if not (shared / "data").is_dir():
        pytest.skip(f"no development data at {shared / 'data'} (SNN_DEPLOY_SHARED names the folder above it)")
    return shared / "data"
