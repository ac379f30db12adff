"""What classification and the prediction of a next step share: examples by split, each with its answer."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping
from functools import cached_property, partial
from math import prod
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from snn_deploy.benchmarks.deployed import Deployed, Readings, Shown
from snn_deploy.benchmarks.task import VALIDATION, Answers, Task, Values, Workload
from snn_deploy.errors import UsageError, Violation
from snn_deploy.hw_profiles.counts import HostCounts
from snn_deploy.train.encoders import ENCODERS, Encoder, Layer, lif, linear
from snn_deploy.train.evaluation import spikes_of, stored_constants
from snn_deploy.train.examples import Examples
from snn_deploy.train.objectives import CrossEntropyOfCounts, Objective
from snn_deploy.train.readout import Readout
from snn_deploy.train.recipe import Recipe

if TYPE_CHECKING:
    from snn_deploy.convert.frontends.norse.description.modules import Towers

TRAIN = "train"
_NOT_REPORTED = {TRAIN, VALIDATION}
_HEAD = "head"
_QUERY, _CALIBRATION, _CHOICE = 2_000, 3_000, 4_000
_CALIBRATION_ITEMS = 64


class LabelledTask(Task):
    """Examples of one tower, each with a target. The network's scores are spike counts, one neuron an
    answer, or a linear map of counts on the host.

    readout: which layer, and which of its steps, are read. head: whether a linear map on the host, trained
    along and stored with the model, turns the rates that are read into scores; a hidden layer and segments
    of time need it. layers: of a network of the task's own, in place of those of ``encoder``.
    """

    readout: ClassVar[Readout] = Readout()
    head: ClassVar[bool] = False
    layers: ClassVar[Encoder | None] = None
    target: ClassVar[str]
    """Name of the target in :class:`Examples`."""

    @abstractmethod
    def load(self) -> Mapping[str, Examples]:
        """Examples by split: "train", the splits that are reported, and "validation" if the best epoch is to
        be chosen by it."""

    @abstractmethod
    def predictions(self, train: Examples, test: Examples) -> Mapping[str, NDArray[Any]]:
        """Baselines: method -> what it answers to ``test`` having seen ``train``."""

    def trained_predictions(self, train: Examples, test: Examples, seed: int) -> Mapping[str, NDArray[Any]]:
        """Baselines that are trained from a seed, for each seed of a run: as ``predictions``. They stand in
        the record of the task's own network, not in those of its rows."""
        return {}

    @abstractmethod
    def answer_count(self) -> int:
        """Number of possible answers."""

    @abstractmethod
    def score(self, scores: NDArray[Any], examples: Examples) -> Values:
        """Values of scores (items, answers)."""

    @abstractmethod
    def simplest(self, train: Examples, test: Examples) -> Mapping[str, NDArray[Any]]:
        """The baselines that every task of this kind has: method -> scores (items, answers)."""

    @abstractmethod
    def chances(self) -> Mapping[str, float]:
        """metric -> what answering at random reaches."""

    @abstractmethod
    def faults(self, split: str, targets: NDArray[Any]) -> list[Violation]:
        """What is wrong with the targets of a split."""

    def host(self, values: NDArray[Any], constants: Mapping[str, NDArray[Any]]) -> NDArray[Any]:
        """What the host makes of values before they are coded, by constants that the model carries."""
        return values

    def augment(self, examples: Examples, rng: np.random.Generator) -> Examples:
        """The training examples of one epoch, with whatever varies drawn afresh."""
        return examples

    @cached_property
    def data(self) -> Mapping[str, Examples]:
        """What ``load`` gave, checked."""
        found = self.load()
        if not isinstance(found, Mapping) or not all(isinstance(e, Examples) for e in found.values()):
            raise UsageError(
                "load gives Examples by split", where=self._where("load"), found=type(found).__name__
            )
        if TRAIN not in found or not set(found) - _NOT_REPORTED:
            raise UsageError(
                "load gives the split 'train' and at least one that is reported",
                where=self._where("load"),
                found=", ".join(found) or "none",
            )
        faults = [fault for split, examples in found.items() for fault in self._faults(split, examples)]
        if faults:
            raise UsageError(faults)
        return found

    def _faults(self, split: str, examples: Examples) -> list[Violation]:
        where = self._where(f"load: {split}")
        if len(examples.inputs) != 1:
            return [Violation("one input, of one tower", where, ", ".join(examples.inputs) or "none")]
        if set(examples.targets) != {self.target}:
            return [Violation("one target", where, ", ".join(examples.targets) or "none", self.target)]
        (tower, values), targets = next(iter(examples.inputs.items())), examples.targets[self.target]
        shapes = {name: np.shape(a) for name, a in ((tower, values), (self.target, targets))}
        if len(values) != len(targets) or not len(values) or np.ndim(values) < 2:
            return [Violation("one row an example in inputs and targets", where, str(shapes))]
        if not np.isfinite(np.asarray(values, np.float64)).all():
            return [Violation("every value is a finite number", where, tower)]
        return [Violation(f.what, where, f.found, f.allowed) for f in self.faults(split, targets)]

    def _where(self, place: str) -> str:
        from snn_deploy.benchmarks.registry import source_of

        return f"{source_of(self)}: {type(self).__name__}.{place}"

    @property
    def tower(self) -> str:
        return next(iter(self.data[TRAIN].inputs))

    def input_shapes(self) -> dict[str, tuple[int, ...]]:
        one = self.data[TRAIN].inputs[self.tower][:1]
        coded = self.raw_coded(self.tower, one, self.recipe.steps, np.random.default_rng(0))
        return {self.tower: coded.shape[2:]}

    def towers(self, encoder: str, recipe: Recipe) -> dict[str, list[Layer]] | None:
        """The task's own layers, or those of ``encoder``; in these, without a head, one output an answer
        takes the place of the last."""
        # by way of the class: as an attribute it would be bound
        own = type(self).layers if encoder == self.encoder else None
        make = own or ENCODERS.get(encoder)
        if make is None:
            return None
        layers, answers = make(self.input_shapes()[self.tower], recipe), self.answer_count()
        if self.head or own:
            return {self.tower: layers}
        return {self.tower: [*layers[:-2], linear(recipe.hidden, answers), lif(answers, recipe)]}

    def head_shapes(self, encoder: str, recipe: Recipe) -> dict[str, list[int]]:
        towers = self.towers(encoder, recipe)
        if not self.head or towers is None:
            return {}
        neurons = [int(str(layer["size"])) for layer in towers[self.tower] if "size" in layer]
        shape = [self.answer_count(), self.readout.segments * neurons[self.readout.layer]]
        return {f"{_HEAD}_weight": shape, f"{_HEAD}_bias": shape[:1]}

    def views(self, rng: np.random.Generator) -> Examples:
        return self.augment(self.data[TRAIN], rng)

    def objective(self, recipe: Recipe) -> Objective:
        head = _HEAD if self.head else ""
        return CrossEntropyOfCounts(target=self.target, readout=self.readout, head=head)

    def tested(self) -> list[str]:
        """The splits that are neither trained on nor chosen by."""
        return [split for split in self.data if split not in _NOT_REPORTED]

    def sizes(self) -> dict[str, int]:
        return {split: len(self.data[split]) for split in self.tested()}

    def queries(self) -> dict[str, str]:
        return {split: split for split in self.tested()}

    def raster(self, split: str, draw: int, shown: Shown, items: int | None = None) -> NDArray[Any]:
        """Input of a split's first items, (items, steps, *shape)."""
        rng = np.random.default_rng([draw + shown.seed, list(self.data).index(split)])
        values = self.host(self.data[split].inputs[self.tower][:items], shown.constants)
        return self.coded(self.tower, values, shown.steps, rng)

    def validate(self, recipe: Recipe) -> Callable[[Towers], float] | None:
        return partial(self._validation_score, recipe) if VALIDATION in self.data else None

    def _validation_score(self, recipe: Recipe, module: Towers) -> float:
        shown = Shown(recipe.steps, stored_constants(module), seed=0)
        fired = spikes_of(module, self.tower, self.raster(VALIDATION, _CHOICE, shown), self.readout.layer)
        readings = Readings(fired.sum(axis=1, dtype=np.int32), fired, ())
        values = self.score(self.scores(shown, readings), self.data[VALIDATION])
        return float(values[self.main_metric].mean())

    def scores(self, shown: Shown, readings: Readings) -> NDArray[Any]:
        """Scores of the answers (items, answers)."""
        if not self.head:
            if readings.raster is None:
                return readings.counts
            counted = self.readout.counted(shown.steps)
            return np.asarray(readings.raster[:, counted].sum(axis=1, dtype=np.int32))
        if readings.raster is None:
            rates = (readings.counts / shown.steps).astype(np.float32)
        else:
            rates = rates_read(self.readout, readings.raster)
        weight, bias = (shown.constants[f"{_HEAD}_{part}"] for part in ("weight", "bias"))
        scores: NDArray[np.float32] = rates @ weight.T + bias
        return scores

    def answers(self, network: Deployed, engine: str) -> Answers:
        recorded = None if self.readout == Readout() else self.readout.layer
        values: dict[str, Values] = {}
        read: dict[str, Readings] = {}
        for split in self.tested():
            raster = self.raster(split, _QUERY, network)
            read[split] = network.read(engine, self.tower, raster, recorded)
            values[split] = self.score(self.scores(network, read[split]), self.data[split])
        return Answers(values, read)

    def baselines(self, seed: int) -> dict[str, dict[str, Values]]:
        train = self.data[TRAIN]
        found: dict[str, dict[str, Values]] = {}
        for split, fixed in self._seedless.items():
            test = self.data[split]
            trained = {} if self.is_row else self.trained_predictions(train, test, seed)
            found[split] = {**fixed, **self._values(trained, test)}
        return found

    @cached_property
    def _seedless(self) -> dict[str, dict[str, Values]]:
        """Values of the baselines in which no seed has a part, by split and method."""
        train, found = self.data[TRAIN], {}
        for split in self.tested():
            test = self.data[split]
            answers = {**self.simplest(train, test), **self.predictions(train, test)}
            found[split] = self._values(answers, test)
        return found

    def _values(self, answers: Mapping[str, NDArray[Any]], test: Examples) -> dict[str, Values]:
        return {
            method: self.score(self._as_scores(method, np.asarray(answer), len(test)), test)
            for method, answer in answers.items()
        }

    def _as_scores(self, method: str, answer: NDArray[Any], items: int) -> NDArray[Any]:
        if answer.shape != (items, self.answer_count()):
            raise UsageError(
                "a baseline gives a score an answer for every item",
                where=self._where(f"predictions: {method}"),
                found=answer.shape,
                allowed=(items, self.answer_count()),
            )
        return answer

    def chance(self) -> dict[str, dict[str, float]]:
        return {query: dict(self.chances()) for query in self.queries()}

    def calibration(self, shown: Shown) -> dict[str, NDArray[Any]]:
        return {self.tower: self.raster(TRAIN, _CALIBRATION, shown, _CALIBRATION_ITEMS)}

    def sample(self, shown: Shown, items: int | None = None) -> dict[str, NDArray[Any]]:
        return {self.tower: self.raster(self.tested()[0], _QUERY, shown)[:items]}

    def workload(self, network: Deployed, answers: Answers) -> Workload:
        split = self.tested()[0]
        items = len(self.data[split])
        readings = answers.read[split]
        macs = int(network.constants[f"{_HEAD}_weight"].size) if self.head else 0
        return Workload(
            split=split,
            item=f"one item of {split}",
            inputs=self.sample(network),
            queries=(split,),
            stored_items=0,
            raw_dimensions=prod(self.data[split].inputs[self.tower].shape[1:]),
            host=HostCounts(items, items * macs, 0, 4 * items * macs),
            work=lambda: self.scores(network, readings).argmax(axis=1),
            macs_per_query=dict.fromkeys(self.sizes(), macs),
        )

    def check_network(self, network: Deployed, path: object) -> None:
        names = [f"{_HEAD}_{part}" for part in ("weight", "bias")] if self.head else []
        missing = [name for name in names if name not in network.constants]
        if missing:
            raise UsageError("the model lacks the linear map of its read-out", where=path, found=missing)
        read = {output.node for output in network.network.outputs}
        neurons = sum(p.neurons for p in network.network.populations if p.node in read)
        if not self.head and neurons != self.answer_count():
            raise UsageError(
                "the model has another number of outputs than the task has answers",
                where=path,
                found=neurons,
                allowed=self.answer_count(),
            )

    @classmethod
    def wrong_facts(cls) -> list[Violation]:
        faults = super().wrong_facts()
        if not cls.head and (cls.readout.layer != -1 or cls.readout.segments > 1):
            faults.append(
                Violation(
                    "a hidden layer and segments are read by a linear map", "readout", allowed="head = True"
                )
            )
        return faults


def rates_read(readout: Readout, raster: NDArray[np.uint8]) -> NDArray[np.float32]:
    """What ``readout`` reads of a layer's raster (items, steps, neurons), as in training: spikes per step
    (items, segments x neurons), segment by segment."""
    window = raster[:, readout.counted(raster.shape[1])]
    parts = np.array_split(window, readout.segments, axis=1)
    return np.concatenate([part.mean(axis=1, dtype=np.float32) for part in parts], axis=1)
