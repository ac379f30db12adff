"""The chorales against music21's own parse; windows, splits by work, and the codings of the rows."""

from __future__ import annotations

import importlib.util
from fractions import Fraction

import numpy as np
import pytest

from snn_deploy.benchmarks import registry
from snn_deploy.benchmarks.tasks import _windows
from snn_deploy.benchmarks.tasks.chords import data
from snn_deploy.errors import BackendUnavailable
from snn_deploy.train.readout import Readout


def test_a_missing_package_is_one_error_with_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(BackendUnavailable, match=r"missing music21.*Install snn-deploy\[data\]"):
        data.score_files()


def test_a_note_sounds_from_its_onset_up_to_its_end() -> None:
    notes = [(Fraction(0), Fraction(1), 60), (Fraction(1, 3), Fraction(3, 2), 64)]
    quarters, eighths = (data.roll_of(notes, grid, shift=2) for grid in (1, 2))
    assert [np.flatnonzero(step).tolist() for step in quarters] == [[62], [66]]
    assert [np.flatnonzero(step).tolist() for step in eighths] == [[62], [62, 66], [66]]


SOUNDING = """<score-partwise><part><measure>
<attributes><divisions>4</divisions><transpose><chromatic>-2</chromatic></transpose></attributes>
<note><grace/><pitch><step>F</step><octave>4</octave></pitch></note>
<note><pitch><step>C</step><alter>1</alter><octave>4</octave></pitch><duration>4</duration></note>
<note><chord/><pitch><step>E</step><octave>4</octave></pitch><duration>4</duration></note>
<note><rest/><duration>2</duration></note>
<backup><duration>6</duration></backup><forward><duration>4</duration></forward>
<note><pitch><step>B</step><octave>3</octave></pitch><duration>4</duration></note></measure>
<measure><note><pitch><step>C</step><octave>5</octave></pitch><duration>8</duration></note></measure>
</part></score-partwise>"""


def test_chords_voices_rests_grace_notes_and_transposition(tmp_path) -> None:
    path = tmp_path / "score.xml"
    path.write_text(SOUNDING, encoding="utf-8")
    assert data.notes_of(path) == [(0, 1, 59), (0, 1, 62), (1, 2, 57), (2, 4, 70)]


@pytest.fixture(scope="module")
def chords() -> registry.Task:
    pytest.importorskip("music21")
    return registry.load_task("chords")


def test_pitches_onsets_and_ends_are_those_of_music21(chords) -> None:
    from music21 import converter

    drawn = np.random.default_rng(3).choice(data.score_files(), 3, replace=False)
    for path in drawn:
        wanted = [
            (element.offset, element.offset + element.quarterLength, pitch.midi)
            for part in converter.parse(path, forceSource=True).toSoundingPitch().parts
            for element in part.flatten().notes
            for pitch in element.pitches
            if element.quarterLength
        ]
        assert len(wanted) > 100
        assert sorted(data.notes_of(path)) == sorted(wanted)


def test_no_work_is_in_two_splits_or_repeats_another(chords) -> None:
    works = data.chorales(1)
    assert 300 < len(works) < 400
    windows = {split: examples.inputs["pitches"] for split, examples in chords.data.items()}
    passages = {split: {window[-8:].tobytes() for window in found} for split, found in windows.items()}
    shared = len(passages["train"] & passages["test"]) / len(passages["test"])
    assert shared < 0.05
    units = chords.units("test")
    assert units.shape == (len(windows["test"]),)
    assert len(np.unique(units)) == round(0.2 * len(works))


def test_the_eighths_are_the_same_works_on_a_finer_grid(chords) -> None:
    for quarters, eighths in zip(data.chorales(1).values(), data.chorales(2).values(), strict=True):
        np.testing.assert_array_equal(quarters, eighths[::2])


def test_windows_are_followed_by_a_set_that_is_not_empty() -> None:
    sets = (np.random.default_rng(0).random((40, 5)) < 0.2).astype(np.uint8)
    sets[30] = 0
    windows, coming = _windows.windows_of(sets)
    expected = [k for k in range(21, 40) if sets[k].any()]
    assert 30 not in expected and len(expected) > 9
    for window, following, k in zip(windows, coming, expected, strict=True):
        np.testing.assert_array_equal(window, sets[k - 21 : k])
        np.testing.assert_array_equal(following, sets[k])


def test_codings_of_the_rows() -> None:
    rng = np.random.default_rng(1)
    windows = (rng.random((6, 21, 39)) < 0.3).astype(np.uint8)
    np.testing.assert_array_equal(_windows.last_steps(windows, 8), windows[:, 13:])
    np.testing.assert_array_equal(_windows.at_once(windows, 2)[:, 1], windows[:, 15:])
    drawn = _windows.repeated_rates(windows, 84, rng).reshape(6, 4, 21, 39)
    assert not drawn[:, :, windows[0] == 0][0].any()
    assert drawn.mean() / windows.mean() == pytest.approx(0.8, abs=0.02)
    assert not np.array_equal(drawn[:, 0], drawn[:, 1])


def test_rows_replace_facts_of_the_task() -> None:
    task = registry.load_task("lottery")
    rate = task.for_encoder("document-rate")
    assert (rate.name, rate.encoder, rate.recipe.steps) == ("lottery", "document-rate", 84)
    assert rate.readout == Readout(every=21)
    assert task.for_encoder("lif") is task
    layers = rate.towers("document-rate", rate.recipe)["draws"]
    assert [layer["type"] for layer in layers] == ["Linear", "RecurrentLIFCell"]
    assert rate.head_shapes("document-rate", rate.recipe)["head_weight"] == [39, 128]
    assert [layer["type"] for layer in task.towers("lif", task.recipe)["draws"]][-1] == "LIFCell"


def test_the_lottery_is_one() -> None:
    task = registry.load_task("lottery")
    assert task.chance() == {"test": {"recall@20": 20 / 39}}
    draws = task.data["train"].inputs["draws"]
    assert set(draws.sum(axis=2).ravel()) == {5}
    assert draws[:, 0].mean(axis=0).std() < 0.006  # five standard errors of a share of 5 / 39
