"""A lottery, 5 numbers of 39: nothing can be learned, so every method must stay at chance, 20/39.

The control of chords: windows of the same shape, the same networks. A figure above chance here is a fault
of the benchmark.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from snn_deploy.benchmarks.tasks._windows import MEMBERS, WindowTask, windows_of
from snn_deploy.train.examples import Examples

DRAWS, NUMBERS = 11_662, 5
_SHARES = {"train": 0.6, "validation": 0.2, "test": 0.2}


class Lottery(WindowTask):
    """Draws of a fair lottery from a seeded generator, in the order in which they were drawn."""

    name = "lottery"
    split = "test: the last fifth of 11,662 draws (seed 0); the first three fifths train, the next validates"
    members = tuple(str(number) for number in range(1, MEMBERS + 1))
    recall_at = (20,)

    def load(self) -> Mapping[str, Examples]:
        order = np.random.default_rng(0).random((DRAWS, MEMBERS)).argsort(axis=1)
        draws = (order < NUMBERS).astype(np.uint8)
        found, begin = {}, 0
        for split, share in _SHARES.items():
            end = begin + round(share * DRAWS)
            windows, coming = windows_of(draws[begin:end])
            found[split] = Examples({"draws": windows}, {"next": coming})
            begin = end
        return found
