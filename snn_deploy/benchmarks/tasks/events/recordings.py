"""Recordings of events, read from files: our npz form, and what tonic and expelliarmus read.

- ``.npz`` with many recordings: ``time_s`` and ``channel`` of all events, ``start`` (recordings + 1) offsets
  into both, ``label`` of each recording and, if there are any, ``recording``, the number of the take, and
  ``n_channels``.
- A folder of classes, ``CLASS/FILE``, a recording a file: ``.aedat`` (DVS128), ``.aedat4``, ``.bin``
  (N-MNIST, ATIS) by tonic; ``.dat`` and ``.raw`` (EVT2, EVT3) by expelliarmus; ``.npy`` with t, x, y, p.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from snn_deploy.errors import BackendUnavailable, UnsafeFile, UsageError, Violation
from snn_deploy.files import read_npz

_INSTALL = "Install snn-deploy[data]."
_SHOWN = 5
"""Faults of one kind that are named."""


@dataclass(frozen=True, eq=False)
class Recordings:
    """Events of many recordings, one behind the other.

    time_s: seconds since the beginning of the recording, float64 (events,). address: number of the sensor's
    cell, row-major in ``shape``, (events,). start: (recordings + 1,) offsets of each. label: number of the
    class in ``classes``, take: which repetition of its class a recording is, both (recordings,).
    """

    time_s: NDArray[np.float64]
    address: NDArray[np.int64]
    start: NDArray[np.int64]
    label: NDArray[np.int64]
    take: NDArray[np.int64]
    classes: tuple[str, ...]
    shape: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.label)


def read_recordings(path: Path) -> Recordings:
    """Read an .npz of recordings or a folder of classes.

    Raises UsageError where there is nothing of the kind, where times are not sorted, coordinates lie outside
    the sensor or a recording has no events, each with file and row; UnsafeFile for damaged files,
    BackendUnavailable where the package that reads a format is missing.
    """
    if path.is_dir():
        return _folder(path)
    if path.suffix != ".npz":
        raise UsageError(
            "recordings are an .npz file, or a folder with a folder for each class",
            where=path,
            found=path.suffix or "no suffix",
        )
    return _npz(path)


def _npz(path: Path) -> Recordings:
    stored = read_npz(path, "file of events")
    missing = sorted({"time_s", "channel", "start", "label"} - set(stored))
    if missing:
        raise UsageError(
            "a file of events lacks arrays",
            where=path,
            found=", ".join(sorted(stored)),
            allowed="time_s, channel, start, label; and recording, n_channels",
            remedy=f"Add {', '.join(missing)}.",
        )
    time_s, channel = stored["time_s"].astype(np.float64), stored["channel"]
    start, label = stored["start"], stored["label"]
    take = stored.get("recording", _counted_within(label))
    lengths = {"channel": len(channel), "time_s": len(time_s)}
    whole = np.issubdtype(channel.dtype, np.integer) and np.issubdtype(start.dtype, np.integer)
    offsets = start.ndim == 1 and len(start) > 1 and start[0] == 0 and start[-1] == len(time_s)
    if not (
        whole and offsets and len(set(lengths.values())) == 1 and len(label) == len(take) == len(start) - 1
    ):
        raise UsageError(
            "the arrays of a file of events do not belong together",
            where=path,
            found=", ".join(f"{name} {array.dtype} {array.shape}" for name, array in stored.items()),
            allowed="time_s, channel (events,), start (recordings + 1,) from 0 on, label (recordings,)",
        )
    channels = int(stored["n_channels"]) if "n_channels" in stored else int(channel.max(initial=0)) + 1
    classes, numbers = np.unique(label.astype(str), return_inverse=True)
    found = Recordings(
        time_s, channel.astype(np.int64), start.astype(np.int64), numbers, take.astype(np.int64),
        tuple(classes.tolist()), (channels,),
    )  # fmt: skip
    _check(found, lambda recording, row: f"{path}: recording {recording}, event {row}")
    return found


def _folder(path: Path) -> Recordings:
    files = sorted(file for file in path.glob("*/*") if file.suffix in _READERS)
    if not files:
        raise UsageError(
            "no recordings in this folder",
            where=path,
            allowed=f"CLASS/FILE with the suffix {', '.join(_READERS)}",
        )
    read = [_READERS[file.suffix](file) for file in files]
    shape = _sensor([events for events, _ in read], [stated for _, stated in read])
    labels = np.array([file.parent.name for file in files])
    classes, numbers = np.unique(labels, return_inverse=True)
    lengths = [len(events["t"]) for events, _ in read]
    joined = {name: np.concatenate([events[name] for events, _ in read]) for name in "txyp"}
    found = Recordings(
        joined["t"],
        (joined["p"] * shape[1] + joined["y"]) * shape[2] + joined["x"],
        np.concatenate([[0], np.cumsum(lengths)]),
        numbers,
        _counted_within(labels),
        tuple(classes.tolist()),
        shape,
    )
    _check_coordinates(files, joined, found.start, shape)
    _check(found, lambda recording, row: f"{files[recording]}: event {row}")
    return found


def _counted_within(labels: NDArray[Any]) -> NDArray[np.int64]:
    """Which one of its label each is: 0, 1, ..."""
    take = np.zeros(len(labels), np.int64)
    for label in np.unique(labels):
        take[labels == label] = np.arange(np.count_nonzero(labels == label))
    return take


def _check(found: Recordings, place: Callable[[int, int], str]) -> None:
    """Refuse recordings without events, times that go back or are no number, and addresses off the sensor."""
    faults: list[Violation] = []
    lengths = np.diff(found.start)
    if (lengths < 0).any():
        raise UsageError("the offsets of the recordings go back", where=place(int((lengths < 0).argmax()), 0))
    for recording in np.flatnonzero(lengths == 0)[:_SHOWN]:
        faults.append(Violation("the recording has no events", place(int(recording), 0)))
    of = np.repeat(np.arange(len(found)), lengths)
    back = np.flatnonzero((np.diff(found.time_s) < 0) & (of[1:] == of[:-1])) + 1
    bad = np.flatnonzero(~np.isfinite(found.time_s) | (found.time_s < 0))
    off = np.flatnonzero((found.address < 0) | (found.address >= np.prod(found.shape)))
    for what, rows, values, allowed in (
        ("the times are not sorted", back, found.time_s, "seconds that do not fall"),
        ("a time is no number of seconds", bad, found.time_s, "0 or more"),
        ("a channel lies outside the sensor", off, found.address, f"0 .. {np.prod(found.shape) - 1}"),
    ):
        for row in rows[:_SHOWN]:
            where = place(int(of[row]), int(row - found.start[of[row]]))
            faults.append(Violation(what, where, str(values[row]), allowed))
    if faults:
        raise UsageError(faults)


def _check_coordinates(
    files: list[Path], joined: dict[str, NDArray[Any]], start: NDArray[np.int64], shape: tuple[int, ...]
) -> None:
    faults = []
    for name, size in zip("pyx", shape, strict=True):
        outside = np.flatnonzero((joined[name] < 0) | (joined[name] >= size))
        for row in outside[:_SHOWN]:
            file = int(np.searchsorted(start, row, side="right")) - 1
            where = f"{files[file]}: event {row - start[file]}"
            faults.append(
                Violation(
                    f"{name} lies outside the sensor", where, str(joined[name][row]), f"0 .. {size - 1}"
                )
            )
    if faults:
        raise UsageError(faults)


Events = dict[str, NDArray[Any]]
"""t (seconds), x, y, p of the events of one file."""


def _sensor(read: list[Events], stated: list[tuple[int, int] | None]) -> tuple[int, int, int]:
    """(polarities, height, width): as the files state it, or as large as the largest coordinates."""
    known = [size for size in stated if size is not None]
    if known:
        return (2, max(height for height, _ in known), max(width for _, width in known))
    return (
        2,
        max(int(events["y"].max(initial=0)) for events in read) + 1,
        max(int(events["x"].max(initial=0)) for events in read) + 1,
    )


def _structured(events: NDArray[Any], path: Path, second: float = 1e-6) -> Events:
    """Fields of a structured array; times in units of ``second``, from the first event on."""
    missing = {"t", "x", "y", "p"} - set(events.dtype.names or ())
    if missing:
        raise UsageError(
            "events have the fields t, x, y, p", where=path, found=", ".join(events.dtype.names or ("none",))
        )
    times = events["t"].astype(np.float64) * second
    return {
        "t": times - times[0] if len(times) else times,
        **{name: events[name].astype(np.int64) for name in ("x", "y", "p")},
    }


def _package(name: str, path: Path) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise BackendUnavailable(
            "the package that reads this file is not installed",
            where=path,
            found=f"missing {error.name or name}",
            remedy=_INSTALL if error.name in (None, "tonic", "expelliarmus") else f"pip install {error.name}",
        ) from error


def _by(reader: Callable[[Path], tuple[Any, tuple[int, int] | None]]) -> Callable[[Path], tuple[Events, Any]]:
    """A reader whose faults are one error that names the file."""

    def read(path: Path) -> tuple[Events, Any]:
        try:
            events, size = reader(path)
        except (UsageError, BackendUnavailable):
            raise
        except Exception as error:  # whatever a parser of foreign bytes stumbles over
            raise UnsafeFile(
                "not a readable file of events", where=path, found=f"{type(error).__name__}: {error}"
            ) from error
        return _structured(np.asarray(events), path), size

    return read


def _aedat(path: Path) -> tuple[Any, tuple[int, int] | None]:
    shape, events = _package("tonic.io", path).read_dvs_128(str(path))
    return events, (int(shape[0]), int(shape[1]))


def _aedat4(path: Path) -> tuple[Any, None]:
    return _package("tonic.io", path).read_aedat4(str(path)), None


def _nmnist(path: Path) -> tuple[Any, None]:
    tonic = _package("tonic.io", path)
    return tonic.read_mnist_file(str(path), dtype=tonic.events_struct), None


def _wizard(encoding: str, path: Path) -> tuple[Any, None]:
    return _package("expelliarmus", path).Wizard(encoding=encoding).read(path), None


def _raw(path: Path) -> tuple[Any, None]:
    with path.open("rb") as file:
        header = file.read(4096).lower()
    return _wizard("evt2" if b"evt 2.0" in header else "evt3", path)


def _npy(path: Path) -> tuple[Any, None]:
    return np.load(path, allow_pickle=False), None


_READERS: dict[str, Callable[[Path], tuple[Events, Any]]] = {
    ".aedat": _by(_aedat),
    ".aedat4": _by(_aedat4),
    ".bin": _by(_nmnist),
    ".dat": _by(lambda path: _wizard("dat", path)),
    ".raw": _by(_raw),
    ".npy": _by(_npy),
}


def suffixes() -> Iterator[str]:
    """Suffixes of the files that a folder of classes may hold."""
    return iter(_READERS)
