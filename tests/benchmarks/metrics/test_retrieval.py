"""Ranks, recall and intervals against formulas written again."""

from __future__ import annotations

import math

import numpy as np
import pytest

from snn_deploy.benchmarks.metrics import retrieval
from snn_deploy.benchmarks.metrics.estimate import mean, proportion


def test_ranks_equal_a_sort_by_cosine():
    generator = np.random.default_rng(0)
    gallery = generator.normal(size=(60, 12)).astype(np.float32)
    queries = gallery + generator.normal(scale=1.5, size=gallery.shape).astype(np.float32)
    found = retrieval.ranks(queries, gallery)
    for i, query in enumerate(queries):
        cosines = [float(query @ g / np.linalg.norm(query) / np.linalg.norm(g)) for g in gallery]
        assert found[i] == sorted(range(60), key=lambda j: -cosines[j]).index(i) + 1
    assert len(set(found.tolist())) > 5


def test_silent_items_are_never_found_and_deep_ranks_count_as_not_found():
    generator = np.random.default_rng(1)
    gallery = generator.normal(size=(150, 6)).astype(np.float32)
    queries = gallery.copy()
    queries[3], gallery[5] = 0, 0
    queries[7] = -gallery[7]
    found = retrieval.ranks(queries, gallery)
    assert found[3] == found[5] == found[7] == retrieval.NOT_FOUND
    assert np.all(np.delete(found, [3, 5, 7]) == 1)


def test_ties_count_against_the_right_item():
    scores = np.array([[1.0, 1.0, 0.0], [0.0, 2.0, 1.0], [3.0, 3.0, 3.0]])
    assert retrieval.ranks_of_scores(scores).tolist() == [2, 1, 3]


def test_metrics_of_known_ranks():
    found = np.array([[1, 2, 0, 6], [1, 1, 5, 0]])
    assert retrieval.hit_at(found, 1).tolist() == [[1, 0, 0, 0], [1, 1, 0, 0]]
    assert retrieval.hit_at(found, 5).tolist() == [[1, 1, 0, 0], [1, 1, 1, 0]]
    values = retrieval.values(found)
    assert list(values) == list(retrieval.METRICS) == ["recall@1", "recall@5", "mrr@100"]
    assert values["recall@1"].mean() == pytest.approx(3 / 8)
    assert values["mrr@100"].mean() == pytest.approx((1 + 0.5 + 1 / 6 + 1 + 1 + 0.2) / 8)
    estimate = retrieval.METRICS["recall@1"](values["recall@1"].mean(axis=0))
    assert (estimate.value, estimate.n) == (pytest.approx(3 / 8), 4)


def test_chance_is_the_mean_over_uniform_ranks():
    items = 40
    uniform = np.arange(1, items + 1)
    expected = retrieval.chance(items)
    assert expected["recall@5"] == pytest.approx(np.mean(uniform <= 5))
    assert expected["mrr@100"] == pytest.approx(np.mean(1 / uniform))


def test_wilson_interval_equals_its_formula():
    hits = np.array([1.0] * 30 + [0.0] * 70)
    z, n, p = 1.959963984540054, 100, 0.3
    centre = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    assert proportion(hits).ci95 == pytest.approx((centre - half, centre + half))


def test_bootstrap_interval_is_near_the_normal_one_and_covers_the_mean():
    values = np.random.default_rng(2).normal(3.0, 2.0, size=400)
    estimate = mean(values)
    half = 1.96 * values.std() / 20
    assert estimate.ci95[0] == pytest.approx(values.mean() - half, abs=0.05)
    assert estimate.ci95[1] == pytest.approx(values.mean() + half, abs=0.05)
    assert mean(np.full(5, 2.0)).ci95 == (2.0, 2.0)
