"""Bach's chorales on the grid of an eighth note, where most pitches simply sound on."""

from __future__ import annotations

from snn_deploy.benchmarks.tasks.chords import Chords


class ChordsEighths(Chords):
    """As chords, with two steps a quarter note."""

    name = "chords-eighths"
    per_quarter = 2
