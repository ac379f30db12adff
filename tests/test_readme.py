"""The README cannot rot: its session runs, its Python runs, and every verb stands in it."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from snn_deploy.cli._verbs import find_verbs

pytest.importorskip("torch")


@pytest.fixture(scope="module")
def readme(root: Path) -> str:
    return (root / "README.md").read_text(encoding="utf-8")


def test_every_verb_stands_in_the_readme(readme: str) -> None:
    prose = re.sub(r"```.*?```", "", readme, flags=re.DOTALL)
    words = set(re.findall(r"[a-z-]+", " ".join(re.findall(r"`([^`]+)`", prose))))
    assert {name for name, _ in find_verbs()} <= words


def test_the_session_and_the_python_run(readme: str, root: Path, tmp_path: Path) -> None:
    block = re.search(r"<!-- session: .*?-->\n```console\n(.*?)```", readme, re.DOTALL)
    assert block is not None
    commands = [line.removeprefix("$ ") for line in block.group(1).splitlines() if line.startswith("$ ")]
    assert len(commands) >= 5
    environment = {**os.environ, "PYTHONPATH": str(root)}
    for command in commands:
        words = shlex.split(command)
        assert words[0] == "snn-deploy"
        done = subprocess.run(
            [sys.executable, "-m", "snn_deploy", *words[1:]],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{command}\n{done.stderr}"
        assert done.stdout, command
    without_task = re.sub(r"<!-- task: .*?-->\n```python\n.*?```", "", readme, flags=re.DOTALL)
    code = "\n".join(re.findall(r"```python\n(.*?)```", without_task, re.DOTALL))
    assert "save_model" in code
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    counts, spikes, synops = map(int, done.stdout.split())
    assert 0 < counts < spikes < synops
