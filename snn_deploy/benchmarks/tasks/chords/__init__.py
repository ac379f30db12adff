"""Bach's chorales: which pitches sound next, after 21 steps of a quarter note.

The scores are music21's, four parts each, transposed to key signatures without accidentals. A step is the
set of pitches that sound as it begins, of the 39 that the training works use most. Of works that repeat
each other one is kept, and splits are by work. The windows of one work depend on each other, so that
intervals resample works.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from snn_deploy.benchmarks.tasks._windows import MEMBERS, WindowTask, windows_of
from snn_deploy.benchmarks.tasks.chords.data import chorales
from snn_deploy.train.examples import Examples

_SHARES = {"train": 0.7, "validation": 0.1, "test": 0.2}
_SPLIT_SEED = 0


class Chords(WindowTask):
    """per_quarter: steps of a quarter note."""

    name = "chords"
    split = "test: a fifth of the works (seed 0); a tenth validates, the others train; none repeats another"
    members = tuple(f"pitch {rank}" for rank in range(1, MEMBERS + 1))
    per_quarter: ClassVar[int] = 1

    def load(self) -> Mapping[str, Examples]:
        return {
            split: Examples(
                {"pitches": np.concatenate([windows for windows, _ in works])},
                {"next": np.concatenate([coming for _, coming in works])},
            )
            for split, works in self._works.items()
        }

    @cached_property
    def _works(self) -> dict[str, list[tuple[NDArray[np.uint8], NDArray[np.uint8]]]]:
        """Windows of each work, and what follows them, by split."""
        rolls = list(chorales(self.per_quarter).values())
        order = np.random.default_rng(_SPLIT_SEED).permutation(len(rolls))
        ends = np.cumsum([round(share * len(rolls)) for share in _SHARES.values()])[:-1]
        parts = dict(zip(_SHARES, np.split(order, ends), strict=True))
        used = np.sum([rolls[k].sum(axis=0, dtype=np.int64) for k in parts["train"]], axis=0)
        pitches = np.sort(np.argsort(-used, kind="stable")[:MEMBERS])
        return {
            split: [windows_of(rolls[k][:, pitches]) for k in np.sort(rows)] for split, rows in parts.items()
        }

    def units(self, query: str) -> NDArray[np.int64]:
        return np.repeat(
            np.arange(len(self._works[query])), [len(coming) for _, coming in self._works[query]]
        )
