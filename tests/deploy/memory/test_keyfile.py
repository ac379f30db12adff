"""Keys from .npz files: right ones read, damaged and dangerous ones refused."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import pytest

from snn_deploy.deploy.memory.keyfile import read_keys, read_links, read_metas, read_texts
from snn_deploy.errors import UnsafeFile, UsageError


@pytest.fixture
def counts(tmp_path: Path) -> Path:
    path = tmp_path / "out.npz"
    np.savez_compressed(path, counts=np.arange(24, dtype=np.int32).reshape(3, 8), other=np.ones(3))
    return path


def test_keys_are_the_array_or_on_minus_off(counts: Path) -> None:
    assert read_keys(counts).keys.tolist() == np.arange(24).reshape(3, 8).tolist()
    assert read_keys(counts, on_off=True).keys.tolist() == [[-4.0] * 4] * 3
    assert read_keys(counts).ids is None and read_keys(counts).encoder is None


def test_the_array_of_keys_is_found_without_being_told(tmp_path: Path) -> None:
    path, keys = tmp_path / "k.npz", np.ones((2, 3))
    for names, found in (
        (["keys", "counts", "spikes"], "keys"),
        (["spikes", "counts"], "counts"),
        (["counts.image", "spikes.image"], "counts.image"),
    ):
        np.savez(path, **{name: keys * n for n, name in enumerate(names)})
        assert read_keys(path).keys[0, 0] == names.index(found)
    np.savez(path, **{"counts.a": keys, "counts.b": keys, "encoder.b": np.array("sha256:1 b")}, ids=[4, 7])
    with pytest.raises(UsageError, match=r"not clear.*counts\.a, counts\.b"):
        read_keys(path)
    named = read_keys(path, array="counts.b")
    assert (named.ids, named.encoder) == ([4, 7], "sha256:1 b")
    np.savez(path, spikes=keys)
    with pytest.raises(UsageError, match="no array of keys"):
        read_keys(path)
    np.savez(path, keys=keys, ids=[0.5, 1.5])
    with pytest.raises(UsageError, match="not ids"):
        read_keys(path)


def test_links_are_pairs_and_maybe_weights(tmp_path: Path) -> None:
    path = tmp_path / "l.npz"
    np.savez(path, links=[[1, 2], [2, 3]])
    assert read_links(path) == ([(1, 2), (2, 3)], None)
    np.savez(path, links=[[1, 2], [2, 3]], weights=[0.5, 2])
    assert read_links(path) == ([(1, 2), (2, 3)], [0.5, 2.0])
    for arrays, message in (
        ({"links": [[1, 2, 3]]}, "not links"),
        ({"links": [[0.5, 1]]}, "not links"),
        ({"links": [[1, 2]], "weights": [1.0, 2.0]}, "not weights"),
        ({"other": [1]}, "no such array"),
    ):
        np.savez(path, **arrays)
        with pytest.raises(UsageError, match=message):
            read_links(path)


def test_texts_are_lines_or_objects(tmp_path: Path) -> None:
    lines, objects = tmp_path / "t.txt", tmp_path / "t.jsonl"
    lines.write_text("one\ntwo \u2028 still two\n", "utf-8")
    assert read_texts(lines) == (["one", "two \u2028 still two"], [None, None])
    objects.write_text('{"text": "one", "n": 1}\n{"text": "two"}\n', "utf-8")
    assert read_texts(objects) == (["one", "two"], [{"n": 1}, None])
    objects.write_text('{"n": 1}\n', "utf-8")
    with pytest.raises(UsageError, match="no text"):
        read_texts(objects)


def test_missing_files_and_arrays_are_usage_errors(counts: Path) -> None:
    with pytest.raises(UsageError, match=r"no such \.npz file"):
        read_keys(counts.with_name("none.npz"))
    with pytest.raises(UsageError, match=r"no such array.*counts, other"):
        read_keys(counts, array="spikes")


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
    deep = "[" * 100_000 + "]" * 100_000
    path.write_text('{"a": 1}\nnull\n{}\n', "utf-8")
    assert read_metas(path) == [{"a": 1}, None, {}]
    for line, message in (
        ("{", ":2.*not JSON"),
        (deep, ":2.*not JSON"),
        ("[1]", ":2.*not a JSON object"),
        ("", ":2.*not JSON"),
    ):
        path.write_text("{}\n" + line + "\n", "utf-8")
        with pytest.raises(UsageError, match=message):
            read_metas(path)
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UsageError, match="not a text file"):
        read_metas(path)
    with pytest.raises(UsageError, match="no such text file"):
        read_metas(tmp_path / "none")
