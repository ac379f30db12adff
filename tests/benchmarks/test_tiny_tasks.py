"""Tasks of every kind from training to the record: graded input, a sequence, a linear map on the host."""

from __future__ import annotations

from pathlib import Path

import pytest

from snn_deploy import cli
from snn_deploy.benchmarks import record

pytest.importorskip("torch")

GRADED = '''"""Three patterns of signed numbers under noise, shown as they are."""
import numpy as np
from snn_deploy.benchmarks import ClassificationTask, Examples, Recipe
from snn_deploy.train.coding import direct_code


class Patterns(ClassificationTask):
    name = "patterns"
    split = "drawn"
    classes = ("a", "b", "c")
    coding = direct_code
    graded_bits = 5
    recipe = quick_recipe = Recipe(
        steps=12, hidden=20, pairs=6, rate_epochs=0, epochs=12, batch=16, learning_rate=0.02, rate_high=0.4
    )

    def load(self):
        rng = np.random.default_rng(2)
        patterns = rng.integers(-9, 10, (3, 10))

        def drawn(n):
            labels = np.arange(n) % 3
            values = patterns[labels] + rng.integers(-3, 4, (n, 10))
            return Examples({"x": values.astype(np.float32)}, {"label": labels})

        return {"train": drawn(96), "test": drawn(60)}

    def predictions(self, train, test):
        return {}
'''
HEAD = "head = True\n    readout = Readout(layer=0, segments=2)"
HEADED = GRADED.replace('name = "patterns"', f'name = "headed"\n    {HEAD}').replace(
    "import direct_code\n", "import direct_code\nfrom snn_deploy.train.readout import Readout\n"
)
MELODY = '''"""A tune of four notes that goes round, with wrong notes between."""
import numpy as np
from snn_deploy.benchmarks import Examples, NextStepTask, Recipe


class Tune(NextStepTask):
    name = "tune"
    split = "drawn"
    members = ("do", "re", "mi", "fa")
    recall_at = (1,)
    recipe = quick_recipe = Recipe(
        steps=8, hidden=24, rate_epochs=0, epochs=15, batch=16, learning_rate=0.03, rate_high=0.5
    )

    def load(self):
        rng = np.random.default_rng(3)

        def drawn(n):
            notes = (rng.integers(0, 4, (n, 1)) + np.arange(9)) % 4
            windows = np.eye(4, dtype=np.uint8)[notes[:, :8]]
            windows[rng.random(windows.shape) < 0.02] ^= 1
            return Examples({"notes": windows}, {"next": np.eye(4, dtype=np.uint8)[notes[:, 8]]})

        return {"train": drawn(96), "test": drawn(60)}

    def predictions(self, train, test):
        return {}
'''


def bench(source: str, folder: Path) -> object:
    path = folder / "mine.py"
    path.write_text(source, encoding="utf-8")
    with pytest.raises(SystemExit) as end:
        cli.main(["bench", str(path), "-o", str(folder / "run"), "--quick"])
    return end.value.code


@pytest.mark.parametrize("source", [GRADED, HEADED, MELODY], ids=["graded", "head", "next step"])
def test_a_tiny_task_goes_through_training_conversion_and_lava(source: str, tmp_path: Path) -> None:
    assert bench(source, tmp_path) == 0
    found = record.read(tmp_path / "run")
    (values,) = found.metrics["test"].values()
    (chance,) = found.chance["test"].values()
    assert values["fixed"].n == 60
    assert values["float"].value > 1.5 * chance
    assert abs(values["float"].value - values["fixed"].value) <= 3 / 60  # 8-bit weights turn few answers
    assert found.parity is not None
    assert found.parity.equal
    assert all(layer.spikes > 0 for layer in found.parity.layers)
    assert found.activity["test"].spikes > 5
    assert (tmp_path / "run" / "curve-0.svg").is_file()
    assert not list((tmp_path / "run").glob("*.training"))


@pytest.mark.parametrize("name", ["keys", "items", "train", "float"])
def test_a_tower_that_torch_has_no_name_for_is_one_error(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert bench(MELODY.replace('"notes"', f'"{name}"'), tmp_path) == 2
    assert f"torch keeps this name for itself; found {name}" in capsys.readouterr().err
