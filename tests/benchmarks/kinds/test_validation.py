"""The split "validation" chooses the epoch, by the scores that an engine reads, and is not reported."""

from __future__ import annotations

from types import MappingProxyType

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from snn_deploy.benchmarks import ClassificationTask, Direction, Examples, Recipe, RetrievalTask  # noqa: E402
from snn_deploy.benchmarks.deployed import Shown  # noqa: E402
from snn_deploy.benchmarks.training import train  # noqa: E402
from snn_deploy.train.readout import Readout  # noqa: E402

RECIPE = Recipe(
    steps=16, hidden=24, pairs=8, rate_epochs=5, epochs=6, batch=8, learning_rate=0.02, rate_high=0.3
)


class Patches(ClassificationTask):
    """Three random patterns of twelve pixels under noise."""

    name = "patches"
    split = "drawn"
    recipe = quick_recipe = RECIPE
    classes = ("a", "b", "c")

    def load(self):
        rng = np.random.default_rng(4)
        patterns = rng.choice([0.1, 0.6], (3, 12))

        def drawn(n):
            labels = np.arange(n) % 3
            inks = np.clip(patterns[labels] + rng.normal(0, 0.2, (n, 12)), 0, 1)
            return Examples({"ink": inks.astype(np.float32)}, {"label": labels})

        return {"train": drawn(48), "validation": drawn(90), "test": drawn(30)}

    def predictions(self, train, test):
        return {}


class HeadedPatches(Patches):
    head = True
    readout = Readout(layer=0, last=0.5, segments=2)


@pytest.mark.parametrize("kind", [Patches, HeadedPatches])
def test_the_best_epoch_by_the_validation_split_is_kept(kind):
    task = kind()
    trained, _ = train(task, "lif", RECIPE, 0)
    scores = [epoch.score for epoch in trained.history if epoch.stage == "spikes"]
    assert len(set(scores)) > 2
    assert trained.best_epoch == 1 + int(np.argmax(scores))
    assert max(scores) == pytest.approx(accuracy(task, trained.module))
    assert max(scores) > 0.5


def accuracy(task, module):
    """Of Norse's own steps, on the raster that the task shows; read and compared here anew."""
    values = task.data["validation"].inputs["ink"]
    rng = np.random.default_rng([4_000, 1])  # the split's own draw
    raster = torch.from_numpy(task.coding_of("ink")(values, RECIPE.steps, rng)).transpose(0, 1).float()
    with torch.no_grad():
        if task.head:
            hidden = [*module.tower("ink")][:2]
            state, fired = None, []
            for step in raster:
                current = hidden[0](step)
                spikes, state = hidden[1](current, state)
                fired.append(spikes)
            halves = torch.stack(fired)[8:].reshape(2, 4, len(values), -1).mean(1)
            weight, bias = (module.constants.get_buffer(f"head_{part}") for part in ("weight", "bias"))
            scores = torch.cat([*halves], 1) @ weight.t() + bias
        else:
            scores = module("ink", raster).sum(0)
    assert scores.std() > 0
    labels = torch.from_numpy(task.data["validation"].targets["label"])
    own = scores.gather(1, labels[:, None])
    better, equal = (scores > own).sum(1), (scores == own).sum(1)
    return float(((better == 0) / equal).mean())  # a tie counts as its chance


def test_it_is_not_reported():
    task = Patches()
    assert task.sizes() == {"test": 30}
    assert list(task.queries()) == list(task.baselines(0)) == list(task.chance()) == ["test"]


class Twins(RetrievalTask):
    """Two noisy views of random codes."""

    name = "twins"
    split = "drawn"
    recipe = quick_recipe = RECIPE.changed(
        {"rate_epochs": 60, "hidden": 48, "pairs": 24, "temperature": 0.2, "batch": 16}
    )
    splits = ("validation", "seen")
    modalities = MappingProxyType({"left": "left", "right": "right"})
    directions = (Direction("left to right", "left", "right"),)
    raw_dimensions = 20

    def input_shapes(self):
        return {"left": (20,), "right": (20,)}

    def items(self, split):
        return {"validation": 24, "seen": 32}[split]

    def values(self, split, modality, rng, constants):
        codes = np.random.default_rng(1).choice([0.05, 0.6], (32, 20))[: self.items(split)]
        return np.clip(codes + rng.normal(0, 0.1, codes.shape), 0, 1).astype(np.float32)

    def views(self, rng):
        return Examples({side: self.values("seen", side, rng, {}) for side in ("left", "right")})

    def scores(self, split, draw):
        return {"left to right": {"constant": np.zeros((self.items(split),) * 2, np.float32)}}


def test_retrieval_is_validated_by_its_main_metric():
    task = Twins()
    assert list(task.sizes()) == ["seen"]
    assert list(task.queries()) == list(task.baselines(0)) == ["seen: left to right"]
    trained, _ = train(task, "lif", task.recipe, 0)
    scores = [epoch.score for epoch in trained.history if epoch.stage == "spikes"]
    assert len(set(scores)) > 1
    assert trained.best_epoch == 1 + int(np.argmax(scores))
    assert max(scores) > 4 / 24  # four times chance


def test_without_such_a_split_the_last_epoch_is_kept():
    class Unvalidated(Patches):
        def load(self):
            return {name: examples for name, examples in super().load().items() if name != "validation"}

    trained, _ = train(Unvalidated(), "lif", RECIPE, 0)
    assert trained.best_epoch == RECIPE.epochs
    assert {epoch.score for epoch in trained.history} == {None}


class Halves(Twins):
    """Twins of which every second is also asked alone, and one direction that only one split has."""

    splits = ("seen", "more")
    directions = (
        Direction("left to right", "left", "right"),
        Direction("right to left", "right", "left", ("more",)),
    )

    def items(self, split):
        return 32

    def subsets(self):
        return {"more, even": ("more", np.arange(32) % 2 == 0)}

    def scores(self, split, draw):
        right = np.eye(32, dtype=np.float32) * (np.arange(32) % 4 == 0)  # every fourth is found
        names = ["left to right", "right to left"] if split == "more" else ["left to right"]
        return {name: {"every fourth": right} for name in names}


def test_each_tower_is_priced_and_calibrated_as_its_first_direction_asks_it():
    task = Halves()
    shown = Shown(4, {}, 0)
    both = task.sample(shown)
    assert set(both) == {"left", "right"}
    assert np.array_equal(both["right"], task.raster("more", "right", 2000, shown))
    assert set(task.calibration(shown)) == {"left"}  # "seen" asks no right twin


def test_a_subset_asks_some_items_of_a_split_among_all_that_are_stored():
    task = Halves()
    assert task.sizes() == {"seen": 32, "more": 32, "more, even": 16}
    assert list(task.queries()) == [
        "seen: left to right",
        "more: left to right",
        "more: right to left",
        "more, even: left to right",
        "more, even: right to left",
    ]
    chance = task.chance()
    assert chance["more, even: left to right"] == chance["more: left to right"]
    found = {query: methods["every fourth"]["recall@1"] for query, methods in task.baselines(0).items()}
    assert [(len(values), values.mean()) for values in found.values()] == [(32, 0.25)] * 3 + [(16, 0.5)] * 2
