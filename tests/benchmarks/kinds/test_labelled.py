"""What labelled tasks read of a raster equals what training read; what own data lack is said."""

from __future__ import annotations

import numpy as np
import pytest

from snn_deploy.benchmarks import ClassificationTask, Examples, NextStepTask, Recipe
from snn_deploy.benchmarks.kinds.labelled import rates_read
from snn_deploy.benchmarks.task import Task
from snn_deploy.errors import UsageError
from snn_deploy.train.coding import direct_code
from snn_deploy.train.readout import Readout


@pytest.mark.parametrize(
    "readout",
    [Readout(), Readout(last=1), Readout(last=0.5, segments=3), Readout(segments=4), Readout(every=5)],
)
def test_rates_are_those_of_training(readout: Readout) -> None:
    torch = pytest.importorskip("torch")
    raster = (np.random.default_rng(0).random((5, 13, 4)) < 0.4).astype(np.uint8)
    layer = torch.from_numpy(raster).transpose(0, 1).float()
    found = rates_read(readout, raster)
    np.testing.assert_allclose(found, readout([layer]).numpy(), atol=1e-6)  # an ulp of a mean
    assert len(np.unique(found)) > 1


class Letters(ClassificationTask):
    name = "letters"
    split = "by hand"
    recipe = quick_recipe = Recipe(steps=6)
    classes = ("a", "b", "c")
    top = (2,)

    def load(self):
        inputs = np.random.default_rng(0).random((9, 4)).astype(np.float32)
        labels = np.arange(9) % 3
        return {
            "train": Examples({"pen": inputs[:6]}, {"label": labels[:6]}),
            "test": Examples({"pen": inputs[6:]}, {"label": labels[6:]}),
        }

    def predictions(self, train, test):
        return {"constant": np.zeros(len(test), int)}


def with_data(**splits: Examples) -> Task:
    class Wrong(Letters):
        def load(self):
            return splits

    return Wrong()


RIGHT = Letters().load()["train"]
INK = RIGHT.inputs["pen"]


@pytest.mark.parametrize(
    ("splits", "said"),
    [
        ({"train": RIGHT}, "at least one that is reported"),
        ({"train": RIGHT, "test": Examples({"pen": INK}, {"label": np.full(6, 3)})}, "numbers of classes"),
        ({"train": RIGHT, "test": Examples({"pen": INK}, {"label": np.zeros(6)})}, "numbers of classes"),
        (
            {"train": RIGHT, "test": Examples({"pen": INK[:5]}, {"label": np.zeros(6, int)})},
            "one row an example",
        ),
        ({"train": RIGHT, "test": Examples({"pen": INK}, {"lable": np.zeros(6, int)})}, "found lable"),
        ({"train": RIGHT, "test": Examples({"pen": np.full_like(INK, np.nan)}, RIGHT.targets)}, "finite"),
    ],
)
def test_wrong_data_are_named_by_file_and_split(splits: dict[str, Examples], said: str) -> None:
    with pytest.raises(UsageError, match=said) as caught:
        with_data(**splits).sizes()
    assert f"{__file__}: Wrong.load" in str(caught.value)


def test_values_and_chance_of_a_classification() -> None:
    task = Letters()
    assert task.sizes() == {"test": 3}
    assert task.chance() == {"test": {"accuracy": 1 / 3, "top-2": 2 / 3}}
    found = task.baselines(0)["test"]
    assert list(found) == ["most frequent class", "constant"]
    assert found["constant"]["accuracy"].tolist() == [1, 0, 0]
    assert found["most frequent class"]["accuracy"].tolist() == [1 / 3] * 3  # they tie


class Melody(NextStepTask):
    name = "melody"
    split = "by hand"
    recipe = quick_recipe = Recipe(steps=3)
    members = ("do", "re", "mi")
    recall_at = (1,)

    def load(self):
        windows = np.random.default_rng(0).integers(0, 2, (8, 3, 3)).astype(np.uint8)
        coming = np.eye(3, dtype=np.uint8)[[0, 1, 0, 0, 2, 0, 1, 0]]
        return {
            "train": Examples({"keys": windows[:5]}, {"next": coming[:5]}),
            "test": Examples({"keys": windows[5:]}, {"next": coming[5:]}),
        }

    def predictions(self, train, test):
        return {}


def test_frequency_and_persistence_of_a_melody() -> None:
    task = Melody()
    assert task.input_shapes() == {"keys": (3,)}
    found = task.baselines(0)["test"]
    assert found["frequency"]["recall@1"].tolist() == [1, 0, 1]  # "do" is the most frequent
    last = task.load()["test"].inputs["keys"][:, -1]
    guess = (last + np.array([0.3, 0.2, 0.1])).argmax(axis=1)
    assert found["persistence"]["recall@1"].tolist() == (guess == [0, 1, 0]).astype(float).tolist()


class Graded(Letters):
    coding = direct_code
    graded_bits = 5


def test_graded_input_is_whole_numbers_of_its_bits() -> None:
    task, rng = Graded(), np.random.default_rng(0)
    found = task.coded("pen", np.arange(8, dtype=np.float32).reshape(2, 4), 6, rng)
    assert (found.dtype, found.shape) == (np.int32, (2, 6, 4))
    assert np.all(found[1, 3] == [4, 5, 6, 7])
    for wrong in (np.full((2, 4), 0.5), np.full((2, 4), 16.0), np.full((2, 4), -17.0)):
        with pytest.raises(UsageError, match="whole numbers"):
            task.coded("pen", wrong, 6, rng)
    with pytest.raises(UsageError, match="shape that input_shapes states"):
        task.coded("pen", np.zeros((2, 3)), 6, rng)
