"""Overlaps out of the inverted index against set intersections."""

from __future__ import annotations

import numpy as np
import pytest

from snn_deploy.deploy.memory.postings import Postings


def random_codes(rng: np.random.Generator, items: int, units: int, k: int) -> np.ndarray:
    codes = [np.sort(rng.choice(units, k, replace=False)) for _ in range(items)]
    return np.array(codes, np.uint16).reshape(items, k)


@pytest.mark.parametrize("units", [40, 65536])
def test_overlaps_are_intersections_however_the_codes_arrived(units: int) -> None:
    rng = np.random.default_rng(0)
    codes = random_codes(rng, 3000, units, 8)
    codes[::7, -1] = units - 1  # the last unit of all, and a hub
    postings = Postings(codes[:500], units)
    sizes = [1, 0, 700, 3, 1200, 596]  # below and above what makes it build its lists anew
    start = 500
    for size in sizes:
        postings.add(codes[start : start + size])
        start += size
        assert postings.size == start
        for cue in (codes[0], codes[start - 1], random_codes(rng, 1, units, 5)[0], codes[1][:0]):
            expected = [len(set(cue.tolist()) & set(code.tolist())) for code in codes[:start]]
            assert postings.overlaps(cue).tolist() == expected
    assert start == 3000 and postings.overlaps(codes[0])[0] == 8
    use = postings.unit_use()
    assert use.sum() == codes.size and use[units - 1] >= 3000 // 7
    assert np.array_equal(postings.codes, codes)


def test_an_empty_index_has_no_overlaps() -> None:
    postings = Postings(np.empty((0, 8), np.uint16), 64)
    assert postings.overlaps(np.arange(8, dtype=np.uint16)).size == 0
    postings.add(np.arange(8, dtype=np.uint16)[None])
    assert postings.overlaps(np.arange(4, 12, dtype=np.uint16)).tolist() == [4]
