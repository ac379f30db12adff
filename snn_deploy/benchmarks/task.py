"""What a task says, whatever its kind. To add a task, write one file: a class of facts on a base that works.

The bases are :class:`~snn_deploy.benchmarks.kinds.retrieval.RetrievalTask`,
:class:`~snn_deploy.benchmarks.kinds.classification.ClassificationTask` and
:class:`~snn_deploy.benchmarks.kinds.next_step.NextStepTask`; the first line of the module's docstring is the
task's line in ``snn-deploy tasks``. The driver, the command line, the reports and the tests know a task by
:class:`Task` alone.
"""

from __future__ import annotations

import inspect
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from snn_deploy.benchmarks.deployed import Deployed, Readings, Shown
from snn_deploy.benchmarks.metrics.estimate import Estimator
from snn_deploy.benchmarks.record import Chain
from snn_deploy.errors import UsageError, Violation
from snn_deploy.hw_profiles.counts import HostCounts
from snn_deploy.train.coding import Coding, rate_code
from snn_deploy.train.encoders import Layer
from snn_deploy.train.examples import Examples
from snn_deploy.train.objectives import Objective
from snn_deploy.train.recipe import Recipe

if TYPE_CHECKING:
    from snn_deploy.convert.frontends.norse.description.modules import Towers

VALIDATION = "validation"
"""Name of the split by which the best epoch is chosen, where a task has one; it is not reported."""

Values = Mapping[str, NDArray[np.float64]]
"""What each item of a query scored: metric -> (items,)."""


@dataclass(frozen=True, eq=False)
class Answers:
    """What one engine answered: values and read-outs by query."""

    values: Mapping[str, Values]
    read: Mapping[str, Readings]


@dataclass(frozen=True, eq=False)
class Workload:
    """One run that energy is counted on.

    split: where its samples come from. item: what a sample is. inputs: tower -> raster (samples, steps, ...).
    queries: what is asked of each sample. stored_items: vectors in the memory, 0 without one.
    raw_dimensions: length of an item that no network has seen. host: the host's work in the whole run;
    work: the same, to be run and measured. macs_per_query: of the host, by split.
    """

    split: str
    item: str
    inputs: Mapping[str, NDArray[Any]]
    queries: tuple[str, ...]
    stored_items: int
    raw_dimensions: int
    host: HostCounts
    work: Any
    macs_per_query: Mapping[str, int]


class Task(ABC):
    """The facts of a task that every kind has.

    name: as the command line knows it. split: how the splits were set apart, in a sentence or two.
    recipe, quick_recipe: the numbers of training, in full and in under a minute. encoder: kind of spiking
    encoder, where ``--encoder`` names none. coding: how values become the input of each step, one function
    of :mod:`snn_deploy.train.coding` for all towers or one for each. graded_bits: 0 where inputs are spikes;
    else the inputs are whole numbers of so many bits, sign included. answer: what a right answer is called.
    """

    name: ClassVar[str]
    split: ClassVar[str]
    recipe: ClassVar[Recipe]
    quick_recipe: ClassVar[Recipe]
    encoder: ClassVar[str] = "lif"
    coding: ClassVar[Coding | Mapping[str, Coding]] = rate_code
    graded_bits: ClassVar[int] = 0
    answer: ClassVar[str] = "correct answer"
    readout_name: ClassVar[Literal["counts", "on_off_counts"]] = "counts"
    """How spikes become a vector, as the model's description says it."""

    def with_encoder(self, encoder: str) -> Task:
        """The task with the facts that go with an encoder, where it has some of their own."""
        return self

    # what training needs

    @abstractmethod
    def input_shapes(self) -> Mapping[str, tuple[int, ...]]:
        """Shape of what each tower is shown in one step."""

    def towers(self, encoder: str, recipe: Recipe) -> Mapping[str, list[Layer]] | None:
        """Layers of each tower, written with :mod:`snn_deploy.train.encoders`; None: those of ``encoder``."""
        return None

    @abstractmethod
    def views(self, rng: np.random.Generator) -> Examples:
        """One epoch of training examples, with whatever varies drawn afresh."""

    @abstractmethod
    def objective(self, recipe: Recipe) -> Objective:
        """What training makes small."""

    def head_shapes(self, recipe: Recipe) -> Mapping[str, list[int]]:
        """Shapes of the constants that are trained: linear maps on the host."""
        return {}

    def constants(self) -> Mapping[str, NDArray[Any]]:
        """Arrays that the input coding needs, fitted on training data and stored with the model."""
        return {}

    def validate(self, recipe: Recipe) -> Callable[[Towers], float] | None:
        """A function of the module that scores it on held-out data, to keep the best epoch; None keeps the
        last. The kinds score the split "validation" by the main metric, where a task has such a split."""
        return None

    def frozen_heads(self) -> Collection[str]:
        """Linear maps on the host that the first stage of training alone changes."""
        return ()

    def finish(self, module: Towers, recipe: Recipe, seed: int) -> None:  # noqa: B027  most tasks need none
        """What is done to a trained module before it is stored, in place."""

    def metadata(self) -> Mapping[str, Any]:
        """What else a trained model shall say of its data."""
        return {}

    # what the driver needs

    @property
    @abstractmethod
    def metrics(self) -> Mapping[str, Estimator]:
        """Name -> how a figure is estimated from the values of its items; the first is the main one."""

    @abstractmethod
    def sizes(self) -> Mapping[str, int]:
        """Items of each split that is reported."""

    @abstractmethod
    def queries(self) -> Mapping[str, str]:
        """What is asked: name of a query -> its split."""

    @abstractmethod
    def answers(self, network: Deployed, engine: str) -> Answers:
        """Ask every query on an engine."""

    @abstractmethod
    def baselines(self, seed: int) -> Mapping[str, Mapping[str, Values]]:
        """query -> method -> values of what does without a spiking network, on the same queries."""

    def trained_baselines(self, network: Deployed) -> Mapping[str, Mapping[str, Values]]:
        """The same for networks that were trained along with this one, seed by seed."""
        return {}

    @abstractmethod
    def chance(self) -> Mapping[str, Mapping[str, float]]:
        """query -> metric -> what answering at random reaches."""

    @abstractmethod
    def calibration(self, shown: Shown) -> dict[str, NDArray[Any]]:
        """Training items, tower -> raster, to quantise by: nothing that is asked later."""

    @abstractmethod
    def sample(self, shown: Shown, items: int | None = None) -> dict[str, NDArray[Any]]:
        """The first ``items`` items that energy is counted on (all by default), tower -> raster."""

    @abstractmethod
    def workload(self, network: Deployed, answers: Answers) -> Workload:
        """The run that energy is counted on; ``answers`` are those of the fixed engine."""

    def chain(self, network: Deployed) -> Chain | None:
        """Recall of chains of associations, where the task has a memory for them."""
        return None

    def pictures(self, network: Deployed) -> Mapping[str, str]:
        """Title -> SVG of what only this task can show."""
        return {}

    def check_network(self, network: Deployed, path: object) -> None:  # noqa: B027  any network may do
        """Raise UsageError where a network from ``path`` cannot answer."""

    # whether the facts are there

    @classmethod
    def required_facts(cls) -> tuple[str, ...]:
        """Names of the attributes that a task must set."""
        return ("name", "split", "recipe", "quick_recipe")

    @classmethod
    def missing_facts(cls) -> list[str]:
        """Those that it does not."""
        return [name for name in cls.required_facts() if not hasattr(cls, name)]

    @classmethod
    def wrong_facts(cls) -> list[Violation]:
        """Facts that cannot be, ``where`` the attribute."""
        faults = []
        if not (isinstance(cls.name, str) and re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", cls.name)):
            faults.append(Violation("a name", "name", repr(cls.name), "a-z, 0-9 and single hyphens"))
        if not (isinstance(cls.split, str) and cls.split.strip()):
            faults.append(Violation("says how the splits were set apart", "split", repr(cls.split)))
        for fact in ("recipe", "quick_recipe"):
            if not isinstance(getattr(cls, fact), Recipe):
                faults.append(
                    Violation("numbers of training", fact, repr(getattr(cls, fact)), "a Recipe(...)")
                )
        return faults

    # what the bases share

    @property
    def main_metric(self) -> str:
        return next(iter(self.metrics))

    def coding_of(self, tower: str) -> Coding:
        """The function that codes a tower's values."""
        coding = type(self).coding  # by way of the class: as an attribute it would be bound
        return coding if callable(coding) else coding[tower]

    def raw_coded(
        self, tower: str, values: NDArray[Any], steps: int, rng: np.random.Generator
    ) -> NDArray[Any]:
        """What the coding gives, as training is shown it; its errors name the task's file."""
        try:
            return self.coding_of(tower)(values, steps, rng)
        except UsageError as error:
            raise UsageError(
                Violation(v.what, f"{inspect.getfile(type(self))}: {tower}", v.found, v.allowed, v.remedy)
                for v in error.violations
            ) from None

    def coded(self, tower: str, values: NDArray[Any], steps: int, rng: np.random.Generator) -> NDArray[Any]:
        """Input of a tower (samples, steps, *shape): uint8 spikes, or int32 where graded."""
        raster = self.raw_coded(tower, values, steps, rng)
        wanted = self._shapes[tower]
        if raster.shape[2:] != wanted:
            raise UsageError(
                "the values have not the shape that input_shapes states",
                where=f"{self.name}: {tower}",
                found=raster.shape[2:],
                allowed=wanted,
            )
        if not self.graded_bits:
            return raster.astype(np.uint8, copy=False)
        limit = 1 << (self.graded_bits - 1)
        whole = np.rint(values)
        if not (np.array_equal(whole, values) and whole.min() >= -limit and whole.max() < limit):
            raise UsageError(
                "graded input is whole numbers",
                where=f"{self.name}: {tower}",
                found=f"range [{values.min():g}, {values.max():g}]",
                allowed=f"integers of {self.graded_bits} bits, {-limit} .. {limit - 1}",
                remedy="Scale and round the values, in training too, or set graded_bits.",
            )
        return raster.astype(np.int32)

    @cached_property
    def _shapes(self) -> Mapping[str, tuple[int, ...]]:
        return {name: tuple(shape) for name, shape in self.input_shapes().items()}
