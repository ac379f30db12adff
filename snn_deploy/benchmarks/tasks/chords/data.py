"""Bach's four-part chorales as sets of sounding pitches on a grid of time, from the scores of music21.

The scores are read from their MusicXML: music21's own parse of them takes most of a minute, and sounding
pitches need only onsets, durations and pitches of it. A test compares both.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import xml.etree.ElementTree as ET
import zipfile
from collections import Counter, defaultdict
from collections.abc import Iterator
from fractions import Fraction
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from snn_deploy.benchmarks.cache import cached
from snn_deploy.errors import BackendUnavailable

FINEST = 4
"""Steps of a quarter note on the finest grid."""
_LAYOUT = 1
"""Raise it when the selection or the reading changes: it is part of the cache's key."""
_SEMITONES = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}
_PITCHES = 128
_PARTS = 4
_PASSAGE = 8
_REPEATED = 0.25

Note = tuple[Fraction, Fraction, int]
"""Onset and end in quarters from the beginning, and the MIDI number of the pitch."""

Roll = NDArray[np.uint8]
"""(steps, 128), 1 where a pitch sounds at the beginning of a step."""


def chorales(per_quarter: int) -> dict[str, Roll]:
    """Name of a work -> its pitches on a grid of ``per_quarter`` steps a quarter note, 1, 2 or 4; by name.

    Every work is transposed, by at most a tritone, to a key signature without accidentals. Of works that
    repeat each other the first is kept, so that no split holds another's music.
    Raises BackendUnavailable where music21 is not installed.
    """
    return {name: roll[:: FINEST // per_quarter] for name, roll in _distinct().items()}


@lru_cache(maxsize=1)
def _distinct() -> dict[str, Roll]:
    """The works that repeat no earlier one: less than a quarter of their passages of 8 quarters occur there,
    in any key."""
    found: dict[str, Roll] = {}
    heard: defaultdict[bytes, list[str]] = defaultdict(list)
    for name, roll in _all().items():
        quarters = roll[::FINEST]
        begins = range(len(quarters) - _PASSAGE + 1)
        passages = [_in_any_key(quarters[begin : begin + _PASSAGE]) for begin in begins]
        common = Counter(other for passage in passages for other in heard[passage])
        if passages and max(common.values(), default=0) < _REPEATED * len(passages):
            found[name] = roll
            for passage in set(passages):
                heard[passage].append(name)
    return found


def _in_any_key(roll: Roll) -> bytes:
    sounding = np.flatnonzero(roll.any(axis=0))
    return roll[:, sounding[0] : sounding[-1] + 1].tobytes() if sounding.size else b""


def _all() -> dict[str, Roll]:
    """Every work in four parts on the finest grid."""
    files = score_files()
    facts = (_LAYOUT, importlib.metadata.version("music21"))
    stored = cached("chorales", facts, ("names", "lengths", "packed"), lambda: _read(files))
    rolls = np.unpackbits(stored["packed"], axis=1)
    parts = np.split(rolls, np.cumsum(stored["lengths"])[:-1])
    return dict(zip(stored["names"].tolist(), parts, strict=True))


def _read(files: list[Path]) -> dict[str, NDArray[np.generic]]:
    rolls = {}
    for path in files:
        score = _musicxml(path)
        parts = list(score.iter("part"))
        if len(parts) == _PARTS:
            fifths = int(score.findtext("part/measure/attributes/key/fifths", "0"))
            notes = [note for part in parts for note in _notes_of_part(part)]
            rolls[path.stem] = roll_of(notes, FINEST, (-7 * fifths + 5) % 12 - 5)
    return {
        "names": np.array(list(rolls)),
        "lengths": np.array([len(roll) for roll in rolls.values()]),
        "packed": np.packbits(np.concatenate(list(rolls.values())), axis=1),
    }


def score_files() -> list[Path]:
    """The MusicXML files of Bach's works in music21's corpus, found without importing it, by name."""
    spec = importlib.util.find_spec("music21")
    if spec is None or not spec.submodule_search_locations:
        raise BackendUnavailable(
            "the package that brings Bach's chorales is not installed",
            where="chords",
            found="missing music21",
            remedy="Install snn-deploy[data].",
        )
    folder = Path(spec.submodule_search_locations[0]) / "corpus" / "bach"
    return sorted([*folder.glob("*.mxl"), *folder.glob("*.xml")], key=lambda path: path.stem)


def notes_of(path: Path) -> list[Note]:
    """Every sounding note of a score, .mxl or .xml, without grace notes, at its own pitch."""
    return [note for part in _musicxml(path).iter("part") for note in _notes_of_part(part)]


def _musicxml(path: Path) -> ET.Element:
    if path.suffix == ".xml":
        return ET.fromstring(path.read_bytes())
    with zipfile.ZipFile(path) as archive:
        container = ET.fromstring(archive.read("META-INF/container.xml"))
        root = next(element for element in container.iter() if element.tag.endswith("rootfile"))
        return ET.fromstring(archive.read(root.attrib["full-path"]))


def _notes_of_part(part: ET.Element) -> Iterator[Note]:
    divisions, transposed = 1, 0
    begin = Fraction(0)
    for measure in part.iter("measure"):
        now = last = end = begin
        for element in measure:
            if element.tag == "attributes":
                divisions = int(element.findtext("divisions", str(divisions)))
                transposed = int(element.findtext("transpose/chromatic", str(transposed)))
            if element.tag not in ("note", "backup", "forward") or element.find("grace") is not None:
                continue
            duration = Fraction(element.findtext("duration", "0")) / divisions
            if element.tag == "backup":
                now -= duration
                continue
            onset = last if element.find("chord") is not None else now
            pitch = element.find("pitch")
            if pitch is not None:
                yield onset, onset + duration, _midi(pitch) + transposed
            last, now = onset, onset + duration
            end = max(end, now)
        begin = end


def _midi(pitch: ET.Element) -> int:
    octave, alter = int(pitch.findtext("octave", "4")), round(float(pitch.findtext("alter", "0")))
    return 12 * (octave + 1) + _SEMITONES[pitch.findtext("step", "C")] + alter


def roll_of(notes: list[Note], per_quarter: int, shift: int = 0) -> Roll:
    """Pitches, moved by ``shift`` semitones, on a grid: a note sounds at step k where
    onset <= k / per_quarter < end."""
    spans = [(_ceil(onset * per_quarter), _ceil(end * per_quarter), pitch) for onset, end, pitch in notes]
    roll = np.zeros((max((end for _, end, _ in spans), default=0), _PITCHES), np.uint8)
    for first, end, pitch in spans:
        roll[first:end, pitch + shift] = 1
    return roll


def _ceil(value: Fraction) -> int:
    return -(-value.numerator // value.denominator)
