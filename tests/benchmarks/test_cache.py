"""The cache: read where it is whole, made again where it is not, and never needed."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pytest

from snn_deploy.benchmarks.cache import cache_folder, cached


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return []


def ask(made: list[int], facts: object = 1) -> int:
    def make() -> dict[str, np.ndarray]:
        made.append(len(made))
        return {"a": np.arange(3) + 1}

    return int(cached("things", facts, ("a",), make)["a"].sum())


def test_made_once_for_the_same_facts(made: list[int]) -> None:
    assert [ask(made), ask(made), ask(made, facts=2)] == [6, 6, 6]
    assert made == [0, 1]


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 torn", "other"])
def test_a_damaged_one_is_made_again(
    content: bytes | str, made: list[int], caplog: pytest.LogCaptureFixture
) -> None:
    ask(made)
    (path,) = cache_folder().iterdir()
    if isinstance(content, str):
        np.savez(path, other=np.zeros(2))
    else:
        path.write_bytes(content)
    assert ask(made) == 6
    assert made == [0, 1]
    assert any(str(path) in message for message in caplog.messages)
    assert ask(made) == 6 and made == [0, 1]


def test_one_that_cannot_be_written_costs_time_alone(
    made: list[int], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "cache").write_text("a file, where the folder should be")
    with caplog.at_level(logging.INFO):
        assert [ask(made), ask(made)] == [6, 6]
    assert made == [0, 1]
    assert "no cache is kept" in caplog.text
