"""Files are written whole or not at all."""

from __future__ import annotations

import os
import stat

import pytest

from snn_deploy.errors import UsageError
from snn_deploy.files import atomic_write, existing_file


def test_a_finished_file_replaces_the_old_one_with_the_usual_mode(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")
    with atomic_write(path) as temporary:
        temporary.write_text("new")
        assert path.read_text() == "old"
        assert temporary.suffix == ".txt"
    assert path.read_text() == "new"
    assert [p.name for p in tmp_path.iterdir()] == ["a.txt"]
    umask = os.umask(0)
    os.umask(umask)
    assert stat.S_IMODE(path.stat().st_mode) == 0o666 & ~umask


@pytest.mark.parametrize("error", [ValueError("bad"), KeyboardInterrupt()])
def test_an_error_leaves_the_old_file_and_nothing_else(tmp_path, error):
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(type(error)), atomic_write(path) as temporary:
        temporary.write_text("half")
        raise error
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["a.txt"]


def test_a_file_system_that_refuses_is_a_usage_error(tmp_path):
    with pytest.raises(UsageError, match=r"cannot be written.*No space"), atomic_write(tmp_path / "a"):
        raise OSError(28, "No space left on device")
    assert not list(tmp_path.iterdir())
    with pytest.raises(UsageError, match="does not exist"), atomic_write(tmp_path / "none" / "a"):
        pass


def test_existing_file_names_what_it_should_be(tmp_path):
    with pytest.raises(UsageError, match="no such model file"):
        existing_file(tmp_path / "none", "model file")
    with pytest.raises(UsageError, match="not a file"):
        existing_file(tmp_path, "model file")
