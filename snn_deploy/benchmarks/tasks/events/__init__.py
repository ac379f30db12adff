"""Recordings of events, such as tactile Braille letters: which class a recording is of.

``--data`` names an .npz of recordings or a folder of classes (``recordings``). Events are binned into 65
steps of 20 ms, 1 where a channel has any event in a step. Each of 5 folds holds a fifth of the takes of every
class and is tested by a network that trained on the others.

The network is a convolution in time, of axons with delays, and recurrent neurons behind it; a linear map on
the host reads the spikes of both halves of each half of the time. It learns from the labels and from a
conventional network, convolutional in time, that was trained before. Beside its answers stand those of a
memory: the class of the stored training recording whose spike counts are the most similar.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache, partial
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, NonNegativeInt, PositiveInt

from snn_deploy.benchmarks.deployed import Deployed, Readings
from snn_deploy.benchmarks.kinds.classification import ClassificationTask
from snn_deploy.benchmarks.kinds.labelled import TRAIN, rates_read
from snn_deploy.benchmarks.task import Answers, Values
from snn_deploy.benchmarks.tasks.events.binning import binned, delayed
from snn_deploy.benchmarks.tasks.events.recordings import Recordings, read_recordings
from snn_deploy.errors import BackendUnavailable, UsageError
from snn_deploy.train.encoders import Layer, Shape, feed_forward, recurrent_lif
from snn_deploy.train.examples import Examples
from snn_deploy.train.objectives import CrossEntropyOfCounts, Objective, WeightedSum
from snn_deploy.train.readout import Readout
from snn_deploy.train.recipe import Recipe

if TYPE_CHECKING:
    from snn_deploy.train.reference import Reference

STEPS, STEP_S = 65, 0.02
FOLDS = 5
_DELAYS = 5
"""Steps that the convolution spans."""
_TEMPERATURE = 2.0
_QUERY_BY_MEMORY = "test: by memory"
_QUERY = 2_000
_STORED = 5_000


class EventsRecipe(Recipe):
    """``teacher_epochs`` of the conventional network; ``teacher_share`` of the loss is against its answers.
    ``reference_epochs`` of the other conventional one. ``filters`` neurons of the convolution in time."""

    teacher_epochs: NonNegativeInt = 36
    reference_epochs: PositiveInt = 30
    teacher_share: Annotated[float, Field(ge=0, le=1)] = 0.5
    filters: PositiveInt = 64


_RECIPE = EventsRecipe(
    steps=STEPS,
    hidden=128,
    tau_syn_inv=1000.0,
    tau_mem_inv=100.0,
    rate_epochs=0,
    epochs=30,
    batch=32,
    learning_rate=6e-3,
    rate_penalty=0.0,
    spike_budget=440.0,
)


def delayed_events(rasters: NDArray[Any], steps: int, rng: np.random.Generator | int = 0) -> NDArray[Any]:
    """Rasters beside themselves up to 4 steps later, flattened. ``rng`` is not read."""
    return delayed(rasters.reshape(*rasters.shape[:2], -1), _DELAYS)


def flat_events(rasters: NDArray[Any], steps: int, rng: np.random.Generator | int = 0) -> NDArray[Any]:
    """Rasters (items, steps, channels). ``rng`` is not read."""
    return rasters.reshape(*rasters.shape[:2], -1)


def convolutional_recurrent(shape: Shape, recipe: Recipe) -> list[Layer]:
    """LIF neurons of a convolution in time, then all-to-all recurrent ones; batch norm before both."""
    filters = recipe.filters if isinstance(recipe, EventsRecipe) else recipe.hidden
    first = feed_forward(shape, [filters], recipe, norm=True)
    return [*first, *feed_forward((filters,), [recipe.hidden], recipe, norm=True, recurrent=True)]


@lru_cache(maxsize=1)
def _recordings(path: Path, changed: float) -> Recordings:
    """Read once; ``changed``: when the file was, so that another file of this name is read anew."""
    return read_recordings(path)


class Events(ClassificationTask):
    """Classes, shape and number of recordings are those of the data."""

    name = "events"
    split = (
        "5 folds over the takes of each class; every recording is tested once, by a network without its take"
    )
    takes_data = True
    folds = FOLDS
    encoder = "convolutional-recurrent"
    layers = convolutional_recurrent
    coding = delayed_events
    head = True
    readout = Readout(segments=4)
    recipe = _RECIPE
    quick_recipe = _RECIPE.changed({"epochs": 2, "teacher_epochs": 2, "reference_epochs": 2})
    rows = MappingProxyType(
        {
            "recurrent": {
                "layers": recurrent_lif,
                "coding": flat_events,
                "recipe": _RECIPE.changed({"teacher_epochs": 0, "spike_budget": 500.0}),
                "quick_recipe": _RECIPE.changed({"teacher_epochs": 0, "epochs": 3}),
            },
        }
    )

    def __init__(self, data_path: Path | None = None, fold: int = 0) -> None:
        super().__init__(data_path, fold)
        self._taught: NDArray[np.float32] | None = None
        self._teachers: dict[int, Reference] = {}

    @property
    def recordings(self) -> Recordings:
        """What ``--data`` names."""
        if self.data_path is None:
            raise BackendUnavailable(
                "no recordings of events come with a package",
                where=self.name,
                remedy="Give --data FILE.npz, or a folder with a folder of recordings for each class.",
            )
        found = _recordings(
            self.data_path, self.data_path.stat().st_mtime if self.data_path.exists() else 0.0
        )
        if found.take.max() < FOLDS - 1:
            raise UsageError(
                "too few recordings of a class for the folds",
                where=self.data_path,
                found=int(found.take.max()) + 1,
                allowed=f"{FOLDS} or more",
            )
        return found

    @property
    def classes(self) -> tuple[str, ...]:  # type: ignore[override]  # the data's, not the task's
        return self.recordings.classes

    def load(self) -> Mapping[str, Examples]:
        found = self.recordings
        rasters = binned(found, STEPS, STEP_S)
        tested = found.take * FOLDS // (int(found.take.max()) + 1) == self.fold
        return {
            split: Examples({"events": rasters[rows]}, {"label": found.label[rows]})
            for split, rows in ((TRAIN, ~tested), ("test", tested))
        }

    def prepare(self, recipe: Recipe, seed: int) -> None:
        super().prepare(recipe, seed)
        if not isinstance(recipe, EventsRecipe) or not recipe.teacher_epochs:
            self._taught = None
            return
        from scipy.special import softmax

        scores = self._teacher(seed).scores(self._flat(TRAIN))
        self._taught = softmax(scores / _TEMPERATURE, axis=1).astype(np.float32)

    def _epochs(self, of: str) -> int:
        return int(getattr(self.trained_with, f"{of}_epochs", getattr(_RECIPE, f"{of}_epochs")))

    def _teacher(self, seed: int) -> Reference:
        """The conventional network that a seed trains, once."""
        if seed not in self._teachers:
            from snn_deploy.train import reference

            inputs = self._flat(TRAIN)
            self._teachers[seed] = reference.train_reference(
                lambda: reference.cnn_in_time(inputs.shape[2], len(self.classes)),
                inputs,
                self.data[TRAIN].targets[self.target],
                reference.Training(self._epochs("teacher"), learning_rate=3e-3, weight_decay=0.05, batch=64),
                seed,
                augment=partial(varied, stretch=0.2, shift=4.0, kept=0.85),
            )
        return self._teachers[seed]

    def _flat(self, split: str) -> NDArray[np.float32]:
        rasters = self.data[split].inputs[self.tower]
        return rasters.reshape(*rasters.shape[:2], -1).astype(np.float32)

    def augment(self, examples: Examples, rng: np.random.Generator) -> Examples:
        taught = {} if self._taught is None else {"teacher": self._taught}
        rasters = varied(examples.inputs[self.tower], rng)
        return Examples({self.tower: rasters}, {**examples.targets, **taught})

    def objective(self, recipe: Recipe) -> Objective:
        labels = CrossEntropyOfCounts(readout=self.readout, head="head")
        if not isinstance(recipe, EventsRecipe) or not recipe.teacher_epochs:
            return labels
        teacher = CrossEntropyOfCounts(target="teacher", readout=self.readout, head="head")
        return WeightedSum(((1 - recipe.teacher_share, labels), (recipe.teacher_share, teacher)))

    def predictions(self, train: Examples, test: Examples) -> Mapping[str, NDArray[Any]]:
        from snn_deploy.train.reference import logistic_regression

        bins = [
            np.add.reduceat(e.inputs[self.tower].reshape(len(e), STEPS, -1), range(0, STEPS, 7), axis=1)
            for e in (train, test)
        ]
        counts = [array.reshape(len(array), -1).astype(np.float32) for array in bins]
        model = logistic_regression(counts[0], train.targets[self.target])
        return {"logistic regression, 10 bins": model.scores(counts[1])}

    def trained_predictions(self, train: Examples, test: Examples, seed: int) -> Mapping[str, NDArray[Any]]:
        from snn_deploy.train import reference

        inputs, asked = self._flat(TRAIN), self._flat("test")
        gru = reference.train_reference(
            lambda: reference.gru(inputs.shape[2], 128, len(self.classes), dropout=0.3),
            inputs,
            train.targets[self.target],
            reference.Training(self._epochs("reference"), learning_rate=4e-3, batch=64),
            seed,
            augment=varied,
        )
        named = {"GRU, 128 units": gru, "CNN in time, the teacher": self._teacher(seed)}
        return {name: network.scores(asked) for name, network in named.items()}

    # the memory of training recordings

    def queries(self) -> dict[str, str]:
        return {"test": "test", _QUERY_BY_MEMORY: "test"}

    def chance(self) -> dict[str, dict[str, float]]:
        return {query: dict(self.chances()) for query in self.queries()}

    def baselines(self, seed: int) -> dict[str, dict[str, Values]]:
        found = super().baselines(seed)["test"]
        train, test = self.data[TRAIN], self.data["test"]
        scores = self._by_memory(self._flat(TRAIN).sum(1), self._flat("test").sum(1))
        events = {
            "nearest counts of events": self.score(scores, test),
            **self._values(self.simplest(train, test), test),
        }
        return {"test": found, _QUERY_BY_MEMORY: events}

    def answers(self, network: Deployed, engine: str) -> Answers:
        found = super().answers(network, engine)
        asked = found.read["test"]
        stored = network.read(engine, self.tower, self.raster(TRAIN, _STORED, network), self.readout.layer)
        scores = self._by_memory(self._vectors(stored), self._vectors(asked))
        values = {**found.values, _QUERY_BY_MEMORY: self.score(scores, self.data["test"])}
        return Answers(values, {**found.read, _QUERY_BY_MEMORY: asked})

    def _vectors(self, readings: Readings) -> NDArray[np.float32]:
        if readings.raster is None:
            return readings.counts.astype(np.float32)
        return rates_read(self.readout, readings.raster)

    def _by_memory(self, stored: NDArray[np.float32], asked: NDArray[np.float32]) -> NDArray[np.float32]:
        """Scores (asked, classes): the largest cosine with a stored recording of the class."""
        stored, asked = (
            v / np.maximum(np.linalg.norm(v, axis=1, keepdims=True), 1e-9) for v in (stored, asked)
        )
        cosines, labels = asked @ stored.T, self.data[TRAIN].targets[self.target]
        return np.stack([cosines[:, labels == k].max(axis=1) for k in range(len(self.classes))], axis=1)


def varied(
    rasters: NDArray[Any],
    rng: np.random.Generator,
    *,
    stretch: float = 0.1,
    shift: float = 2.0,
    kept: float = 0.9,
) -> NDArray[Any]:
    """Rasters (items, steps, ...) faster or slower by a share of up to ``stretch``, moved by up to ``shift``
    steps, and with a share ``kept`` of their events."""
    items, steps = rasters.shape[:2]
    speed = rng.uniform(1 - stretch, 1 + stretch, (items, 1))
    begin = rng.uniform(-shift, shift, (items, 1))
    source = np.rint((np.arange(steps) - begin) * speed).astype(np.int64)
    inside = (source >= 0) & (source < steps)
    moved = rasters[np.arange(items)[:, None], np.clip(source, 0, steps - 1)]
    inside = inside.reshape(items, steps, *(1,) * (rasters.ndim - 2))
    return np.asarray(moved * inside * (rng.random(rasters.shape, np.float32) < kept), rasters.dtype)
