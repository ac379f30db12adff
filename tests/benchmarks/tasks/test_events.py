"""Recordings of events from files: read, refused by file and row, binned, and folded."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from snn_deploy import cli
from snn_deploy.benchmarks import record, registry
from snn_deploy.benchmarks.tasks.events import STEP_S, STEPS, delayed_events, varied
from snn_deploy.benchmarks.tasks.events.binning import binned
from snn_deploy.benchmarks.tasks.events.recordings import Recordings, read_recordings
from snn_deploy.errors import BackendUnavailable, UnsafeFile, UsageError

Arrays = dict[str, Any]


def letters(takes: int = 10, seed: int = 0) -> Arrays:
    """Three classes of 6 channels, told apart by which pair of channels fires early, which late."""
    rng = np.random.default_rng(seed)
    label = np.repeat(["a", "b", "c"], takes)
    time_s, channel, start = [], [], [0]
    for name in label:
        events = int(rng.integers(12, 25))
        times = np.sort(rng.uniform(0, 1.29, events))
        pair = (2 * "abc".index(name) + 2 * (times > 0.65)) % 6
        time_s.append(times)
        channel.append(pair + rng.integers(0, 2, events))
        start.append(start[-1] + events)
    return {
        "time_s": np.concatenate(time_s).astype(np.float32),
        "channel": np.concatenate(channel).astype(np.uint8),
        "start": np.array(start),
        "label": label,
        "recording": np.tile(np.arange(takes), 3),
        "n_channels": np.array(6),
    }


def stored(path: Path, **changes: Any) -> Path:
    np.savez(path, **{name: value for name, value in {**letters(), **changes}.items() if value is not None})
    return path


def test_recordings_are_those_of_the_file(tmp_path: Path) -> None:
    arrays = letters()
    found = read_recordings(stored(tmp_path / "e.npz"))
    assert (found.classes, found.shape, len(found)) == (("a", "b", "c"), (6,), 30)
    np.testing.assert_array_equal(found.address, arrays["channel"])
    assert [found.classes[k] for k in found.label] == arrays["label"].tolist()
    np.testing.assert_array_equal(found.take, arrays["recording"])
    counted = read_recordings(stored(tmp_path / "f.npz", recording=None))
    np.testing.assert_array_equal(counted.take, arrays["recording"])


def swapped(times: np.ndarray, row: int) -> np.ndarray:
    times = times.copy()
    times[row], times[row + 1] = times[row + 1], times[row] - 0.001
    return times


ARRAYS = letters()
THIRD = int(ARRAYS["start"][3])


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"time_s": swapped(ARRAYS["time_s"], THIRD + 2)}, "recording 3, event 3: the times are not sorted"),
        ({"time_s": np.where(np.arange(THIRD + 1) == THIRD, np.nan, 1.0)}, "do not belong together"),
        (
            {"channel": np.where(np.arange(len(ARRAYS["channel"])) == 5, 6, 0)},
            "recording 0, event 5: a channel",
        ),
        ({"start": np.r_[0, 0, ARRAYS["start"][2:]]}, "recording 0, event 0: the recording has no events"),
        ({"start": np.r_[0, 9, 5, ARRAYS["start"][3:]]}, "offsets of the recordings go back"),
        ({"label": None}, "Add label"),
        ({"channel": ARRAYS["channel"].astype(float)}, "do not belong together"),
    ],
)
def test_what_is_wrong_is_refused_with_file_and_row(changes: Arrays, said: str, tmp_path: Path) -> None:
    path = stored(tmp_path / "e.npz", **changes)
    with pytest.raises(UsageError) as caught:
        read_recordings(path)
    assert said in str(caught.value)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("seed", range(4))
def test_a_fault_is_named_wherever_it_is(seed: int, tmp_path: Path) -> None:
    rng = np.random.default_rng(seed)
    arrays = letters(seed=seed)
    recording = int(rng.integers(30))
    first, last = arrays["start"][recording : recording + 2]
    row = int(rng.integers(first + 1, last))
    times, channels = arrays["time_s"].copy(), arrays["channel"].copy()
    times[row] = times[row - 1] - 0.01
    channels[row] = 200
    with pytest.raises(UsageError) as caught:
        read_recordings(stored(tmp_path / "e.npz", **{**arrays, "time_s": times, "channel": channels}))
    assert {v.where for v in caught.value.violations} == {
        f"{tmp_path / 'e.npz'}: recording {recording}, event {row - first}"
    }
    assert len(caught.value.violations) >= 2


EVENTS = np.dtype([("t", "<u8"), ("x", "<i2"), ("y", "<i2"), ("p", "i1")])


def sensor_events(seed: int, events: int = 40) -> np.ndarray:
    rng = np.random.default_rng(seed)
    found = np.zeros(events, EVENTS)
    found["t"] = np.sort(rng.integers(1_000, 30_000, events))  # EVT3 keeps gaps below 4 ms
    found["x"], found["y"], found["p"] = rng.integers(0, [[5], [4], [2]], (3, events))
    return found


def folder_of(root: Path, write: Any, suffix: str) -> Path:
    for seed, name in enumerate(["left", "left", "right"]):
        (root / name).mkdir(parents=True, exist_ok=True)
        write(root / name / f"{seed}{suffix}", sensor_events(seed))
    return root


def test_a_folder_of_classes_of_arrays(tmp_path: Path) -> None:
    found = read_recordings(folder_of(tmp_path, np.save, ".npy"))
    assert (found.classes, found.label.tolist(), found.take.tolist()) == (
        ("left", "right"),
        [0, 0, 1],
        [0, 1, 0],
    )
    events = sensor_events(1)
    rows = slice(found.start[1], found.start[2])
    np.testing.assert_allclose(found.time_s[rows], (events["t"] - events["t"][0].astype(float)) * 1e-6)
    p, y, x = np.unravel_index(found.address[rows], found.shape)
    np.testing.assert_array_equal([x, y, p], [events["x"], events["y"], events["p"]])


@pytest.mark.parametrize(("encoding", "suffix"), [("dat", ".dat"), ("evt2", ".raw"), ("evt3", ".raw")])
def test_what_expelliarmus_writes_is_read(encoding: str, suffix: str, tmp_path: Path) -> None:
    wizard = pytest.importorskip("expelliarmus").Wizard(encoding=encoding)
    root = folder_of(tmp_path, lambda path, events: wizard.save(fpath=path, arr=events), suffix)
    found = read_recordings(root)
    expected = read_recordings(folder_of(tmp_path / "plain", np.save, ".npy"))
    for name in ("label", "start"):
        np.testing.assert_array_equal(getattr(found, name), getattr(expected, name))
    np.testing.assert_allclose(found.time_s, expected.time_s, atol=1e-6)
    cells = [np.array(np.unravel_index(r.address, r.shape)) for r in (found, expected)]
    np.testing.assert_array_equal(*cells)


def test_what_tonic_reads_is_read(tmp_path: Path) -> None:
    pytest.importorskip("tonic")
    events = sensor_events(0)

    def write(path: Path, events: np.ndarray) -> None:  # N-MNIST: x, y, then polarity and 23 bits of time
        bits = (events["p"].astype(np.uint32) << 23) | (events["t"] & 0x7FFFFF).astype(np.uint32)
        words = [events["x"], events["y"], bits >> 16, (bits >> 8) & 255, bits & 255]
        path.write_bytes(np.column_stack(words).astype(np.uint8).tobytes())

    found = read_recordings(folder_of(tmp_path, write, ".bin"))
    p, y, x = np.unravel_index(found.address[: len(events)], found.shape)
    np.testing.assert_array_equal([x, y, p], [events["x"], events["y"], events["p"]])


def test_damaged_missing_and_foreign_files_are_one_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(UsageError, match="no such file of events"):
        read_recordings(tmp_path / "none.npz")
    with pytest.raises(UsageError, match=r"found \.txt"):
        read_recordings(tmp_path / "none.txt")
    with pytest.raises(UsageError, match="no recordings in this folder"):
        read_recordings(tmp_path)
    (tmp_path / "left").mkdir()
    (tmp_path / "left" / "a.npy").write_bytes(b"not an array")
    with pytest.raises(UnsafeFile, match=r"left/a\.npy"):
        read_recordings(tmp_path)
    (tmp_path / "left" / "a.npy").unlink()
    (tmp_path / "left" / "a.raw").write_bytes(b"% evt 3.0\n")

    def missing(name: str) -> None:
        raise ImportError(name, name="expelliarmus")

    monkeypatch.setattr(importlib, "import_module", missing)
    with pytest.raises(BackendUnavailable, match=r"missing expelliarmus.*Install snn-deploy\[data\]"):
        read_recordings(tmp_path)


def test_bins_hold_the_events_of_their_time() -> None:
    times = np.array([0.0, 0.0199, 0.02, 0.021, 0.039, 0.059999, 0.5])
    found = Recordings(
        times, np.array([0, 0, 1, 1, 1, 0, 0]), np.array([0, 7]), np.array([0]), np.array([0]), ("a",), (2,)
    )
    np.testing.assert_array_equal(binned(found, 3, 0.02, "counts"), [[[2, 0], [0, 3], [1, 0]]])
    np.testing.assert_array_equal(binned(found, 3, 0.02), [[[1, 0], [0, 1], [1, 0]]])


def test_delayed_copies_and_varied_events() -> None:
    rasters = (np.random.default_rng(0).random((20, STEPS, 3)) < 0.3).astype(np.uint8)
    found = delayed_events(rasters, STEPS).reshape(20, STEPS, 5, 3)
    for delay in range(5):
        np.testing.assert_array_equal(found[:, delay:, delay], rasters[:, : STEPS - delay])
        assert not found[:, :delay, delay].any()
    plain = varied(rasters, np.random.default_rng(1), stretch=0.0, shift=0.0, kept=1.0)
    np.testing.assert_array_equal(plain, rasters)
    slower = varied(rasters, np.random.default_rng(1), stretch=0.0, shift=2.4, kept=0.9)
    assert slower.dtype == rasters.dtype and 0.8 < slower.sum() / rasters.sum() < 0.95
    wide = np.pad(rasters, [(0, 0), (2, 2), (0, 0)])
    begins = [
        next(begin for begin in range(5) if (new <= item[begin : begin + STEPS]).all())
        for item, new in zip(wide, slower, strict=True)
    ]
    assert len(set(begins)) > 2
    ramp = np.arange(STEPS, dtype=np.uint8)[None, :, None].repeat(30, 0)
    speeds = np.diff(
        varied(ramp, np.random.default_rng(2), stretch=0.3, shift=0.0, kept=1.0)[:, :40, 0], axis=1
    )
    assert 0.68 < speeds.mean(axis=1).min() < 0.95 and 1.05 < speeds.mean(axis=1).max() < 1.32


def test_every_take_is_tested_once(tmp_path: Path) -> None:
    task = registry.load_task("events").with_data(stored(tmp_path / "e.npz"))
    tested = []
    for fold in range(task.folds):
        part = task.with_fold(fold)
        assert part.sizes() == {"test": 6}
        assert len(part.data["train"]) == 24
        tested.append(part.data["test"].inputs["events"])
    rasters = binned(task.recordings, STEPS, STEP_S)
    assert sorted(r.tobytes() for r in np.concatenate(tested)) == sorted(r.tobytes() for r in rasters)


def test_without_data_the_command_is_named() -> None:
    with pytest.raises(BackendUnavailable, match=r"Give --data FILE\.npz"):
        registry.load_task("events").sizes()
    with pytest.raises(UsageError, match="this task brings its own data"):
        registry.load_task("lottery").with_data(Path("x.npz"))


def test_folds_go_from_training_to_the_record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("torch")
    from snn_deploy.benchmarks.tasks import events

    kind = events.Events
    small = {"epochs": 4, "teacher_epochs": 2, "reference_epochs": 2, "batch": 8, "hidden": 24, "filters": 12}
    short = kind.recipe.changed(small)
    monkeypatch.setattr(kind, "recipe", short)
    monkeypatch.setattr(kind, "folds", 2)
    path = stored(tmp_path / "e.npz", **letters(takes=20))
    with pytest.raises(SystemExit) as end:
        cli.main(["bench", "events", "--data", str(path), "-o", str(tmp_path / "run"), "--no-parity"])
    assert end.value.code == 0
    found = record.read(tmp_path / "run")
    assert found.n == {"test": 24}
    assert found.seeds == (0,)
    assert (tmp_path / "run" / "model-0-fold-1.pt").is_file()
    for query in ("test", "test: by memory"):
        accuracy = found.metrics[query]["accuracy"]["fixed"]
        assert accuracy.n == 24
        assert found.activity[query].spikes > 5
    assert found.metrics["test: by memory"]["accuracy"]["fixed"].value > 0.6
    assert set(found.margins["test"]) == set(found.baselines["test"])
    assert "logistic regression, 10 bins" in found.baselines["test"]
