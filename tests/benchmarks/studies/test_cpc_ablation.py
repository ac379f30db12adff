"""The ablation's table: every combination, a study that goes on, and the cause that its rows name."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("torch")

from snn_deploy.benchmarks.studies import cpc_ablation
from snn_deploy.benchmarks.studies.cpc_ablation import Choice


def test_every_combination_once() -> None:
    rows = list(cpc_ablation.choices())
    assert len({row.name for row in rows}) == len(rows) == 20
    assert sum(row.norm for row in rows) == 4


def test_it_trains_goes_on_and_says_what_is_silent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cpc_ablation, "_TRAIN", 40)
    monkeypatch.setattr(cpc_ablation, "_TEST", 20)
    monkeypatch.setattr(cpc_ablation, "_QUICK_STEPS", 4)
    rows = [Choice(8, True, 1e-4, True, False), Choice(8, True, 1e-4, False, True)]
    told: list[str] = []
    found = cpc_ablation.run(rows, [0, 1], tmp_path, told.append, quick=True)
    assert told == [row.name for row in rows]
    assert [row["seeds"] for row in found["rows"]] == [2, 2]
    assert found["rows"][0]["bridge_spikes"] == 0 < found["rows"][1]["bridge_spikes"]
    assert "silent in 1 of 2 rows, all of them with L2 and without batch norm" in found["cause"]
    assert found["cause"] in cpc_ablation.text(found)
    from snn_deploy.train import cpc

    monkeypatch.setattr(cpc, "train_cpc", None)  # nothing is trained again
    assert cpc_ablation.run(rows, [0, 1], tmp_path, told.append, quick=True) == found
