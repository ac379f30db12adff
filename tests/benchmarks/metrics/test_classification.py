"""Accuracy and top-k under ties, against the mean over every order that the ties allow."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from snn_deploy.benchmarks.metrics.classification import confusion, hit_at


@pytest.mark.parametrize("k", [1, 2, 4])
def test_hits_are_the_mean_over_all_orders_of_ties(k: int) -> None:
    generator = np.random.default_rng(k)
    scores = generator.integers(0, 4, (40, 5))
    labels = generator.integers(0, 5, 40)
    found = hit_at(scores, labels, k)
    for row, label, value in zip(scores, labels, found, strict=True):
        orders = list(itertools.permutations(range(5)))
        hits = [label in sorted(range(5), key=lambda c, o=order: (-row[c], o[c]))[:k] for order in orders]
        assert value == pytest.approx(np.mean(hits))
    assert len(set(found.tolist())) > 2


def test_a_silent_network_scores_chance() -> None:
    labels = np.arange(8) % 4
    assert hit_at(np.zeros((8, 4)), labels).tolist() == [0.25] * 8
    assert hit_at(np.zeros((8, 4)), labels, 3).tolist() == [0.75] * 8


def test_confusion_counts_classes_by_answers() -> None:
    scores = np.array([[3, 1, 0], [0, 2, 5], [4, 4, 0], [0, 0, 9]])
    assert confusion(scores, np.array([0, 1, 1, 2]), 3).tolist() == [[1, 0, 0], [1, 0, 1], [0, 0, 1]]
