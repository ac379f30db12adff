"""Recall of sets under ties, against the mean over every order that the ties allow."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from snn_deploy.benchmarks.metrics.sequence import recall_of_sets


@pytest.mark.parametrize("k", [1, 2, 3, 5])
def test_recall_is_the_mean_over_all_orders_of_ties(k: int) -> None:
    generator = np.random.default_rng(k)
    scores = generator.integers(0, 4, (30, 5)).astype(float)
    sets = (generator.random((30, 5)) < 0.4).astype(np.uint8)
    sets[0] = 0
    found = recall_of_sets(scores, sets, k)
    assert found[0] == 1  # nothing to recall
    for row, members, value in zip(scores[1:], sets[1:], found[1:], strict=True):
        if not members.any():
            continue
        shares = []
        for order in itertools.permutations(range(5)):
            best = sorted(range(5), key=lambda m, o=order: (-row[m], o[m]))[:k]
            shares.append(members[best].sum() / members.sum())
        assert value == pytest.approx(np.mean(shares))
    assert len(set(found.round(6).tolist())) > (1 if k == 5 else 2) - (k == 5)


def test_a_silent_network_scores_chance() -> None:
    sets = np.eye(6, dtype=np.uint8)
    assert recall_of_sets(np.zeros((6, 6)), sets, 2) == pytest.approx([2 / 6] * 6)
