"""Keys from .npz files: right ones read, damaged and dangerous ones refused."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import pytest

from snn_deploy.deploy.memory.keyfile import read_filter, read_key, read_keys, read_metas
from snn_deploy.errors import UnsafeFile, UsageError


@pytest.fixture
def counts(tmp_path: Path) -> Path:
    path = tmp_path / "out.npz"
    np.savez_compressed(path, counts=np.arange(24, dtype=np.int32).reshape(3, 8), other=np.ones(3))
    return path


def test_keys_are_the_array_or_on_minus_off(counts: Path) -> None:
    assert read_keys(counts).tolist() == np.arange(24).reshape(3, 8).tolist()
    assert read_keys(counts, on_off=True).tolist() == [[-4.0] * 4] * 3
    assert read_key(counts, 2).tolist() == list(range(16, 24))


def test_missing_files_arrays_and_rows_are_usage_errors(counts: Path) -> None:
    with pytest.raises(UsageError, match="no such file"):
        read_keys(counts.with_name("none.npz"))
    with pytest.raises(UsageError, match=r"no such array.*counts, other"):
        read_keys(counts, array="spikes")
    for row in (-1, 3):
        with pytest.raises(UsageError, match=rf"no such row.*row {row} of shape \(3, 8\)"):
            read_key(counts, row)
    with pytest.raises(UsageError, match="no such row"):
        read_key(counts, 0, array="other")


def test_damage_is_unsafe(counts: Path, tmp_path: Path) -> None:
    whole = counts.read_bytes()
    for torn in (b"", b"text", whole[: len(whole) // 2], whole[:60] + b"\xff" * 60 + whole[120:]):
        counts.write_bytes(torn)
        with pytest.raises(UnsafeFile):
            read_keys(counts)


def test_a_pickle_is_never_loaded(tmp_path: Path) -> None:
    path = tmp_path / "evil.npz"

    class Evil:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return Path.touch, (tmp_path / "ran",)  # type: ignore[return-value]

    np.savez(path, counts=np.array([Evil()], dtype=object))
    with pytest.raises(UnsafeFile, match="pickled"):
        read_keys(path)
    assert not (tmp_path / "ran").exists()


def test_a_header_that_promises_more_than_the_file_holds_is_unsafe(tmp_path: Path) -> None:
    path = tmp_path / "bomb.npz"
    header = b"{'descr': '<f8', 'fortran_order': False, 'shape': (4000000000, 1000), }"
    header += b" " * (117 - len(header)) + b"\n"
    npy = b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + bytes(64)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("counts.npy", npy)
    with pytest.raises(UnsafeFile, match="promises 32000000000000 bytes"):
        read_keys(path)


def test_metas_are_objects_or_null(tmp_path: Path) -> None:
    path = tmp_path / "metas.jsonl"
    path.write_text('{"a": 1}\nnull\n{}\n', "utf-8")
    assert read_metas(path) == [{"a": 1}, None, {}]
    for line, message in (("{", ":2.*not JSON"), ("[1]", ":2.*not a JSON object"), ("", ":2.*not JSON")):
        path.write_text("{}\n" + line + "\n", "utf-8")
        with pytest.raises(UsageError, match=message):
            read_metas(path)
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UsageError, match="not a text file"):
        read_metas(path)
    with pytest.raises(UsageError, match="no such file"):
        read_metas(tmp_path / "none")


def test_filters_are_json_or_text() -> None:
    assert read_filter([]) is None
    assert read_filter(["a=1", "b=red fox", 'c="1"', "d=", "e=x=y"]) == {
        "a": 1,
        "b": "red fox",
        "c": "1",
        "d": "",
        "e": "x=y",
    }
    for pair in ("a", "=1"):
        with pytest.raises(UsageError, match="name=value"):
            read_filter([pair])
