"""Retrieval: find the stored item that belongs to a query, across modalities, by read-outs of spikes."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from snn_deploy.benchmarks.deployed import Deployed, Readings, Shown
from snn_deploy.benchmarks.metrics import retrieval
from snn_deploy.benchmarks.metrics.chains import six_hop_recall
from snn_deploy.benchmarks.metrics.estimate import Estimator
from snn_deploy.benchmarks.record import Chain
from snn_deploy.benchmarks.task import VALIDATION, Answers, Task, Values, Workload
from snn_deploy.deploy.memory import on_minus_off
from snn_deploy.errors import UsageError, Violation
from snn_deploy.hw_profiles.counts import HostCounts
from snn_deploy.train.evaluation import spikes_of, stored_constants
from snn_deploy.train.objectives import NtXent, Objective
from snn_deploy.train.recipe import Recipe

if TYPE_CHECKING:
    from snn_deploy.convert.frontends.norse.description.modules import Towers

#: Spikes are drawn from disjoint seeds, so that no query is the raster of the item it looks for.
GALLERY, QUERY, CALIBRATION = 1_000, 2_000, 3_000
_CALIBRATION_ITEMS = 64

Scores = Mapping[str, NDArray[np.floating[Any]]]
"""Method -> scores (queries, stored), in which the right answer of query k is stored item k."""


@dataclass(frozen=True)
class Direction:
    """One kind of query: the modality that is shown, and the one that is stored.

    splits: those in which it is asked, all that are reported where empty.
    """

    name: str
    query: str
    gallery: str
    splits: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Embedded:
    """Items as vectors (items, n), and the read-outs that they were made of."""

    vectors: NDArray[np.float32]
    readings: Readings


class RetrievalTask(Task):
    """Items that have several modalities; row k of each modality is item k.

    splits: names of the splits, energy being counted on ``priced``; one named "validation"
    chooses the best epoch and is not reported. modalities: name -> the
    tower that encodes it. directions: what is asked. chained: (split, modality) whose items are linked into
    chains of associations, or None. item: what one sample of the energy's run is: all towers once.
    raw_dimensions: length of a query that no network has seen.

    Two towers embed by NT-Xent unless ``objective`` says otherwise; an embedding is ON minus OFF counts.
    """

    splits: ClassVar[tuple[str, ...]]
    modalities: ClassVar[Mapping[str, str]]
    directions: ClassVar[tuple[Direction, ...]]
    chained: ClassVar[tuple[str, str] | None] = None
    item: ClassVar[str] = "one item, all towers, a query each"
    raw_dimensions: ClassVar[int]
    answer = "correct recall"
    readout_name: ClassVar[Literal["counts", "on_off_counts"]] = "on_off_counts"

    @abstractmethod
    def items(self, split: str) -> int:
        """How many items a split has."""

    @abstractmethod
    def values(
        self, split: str, modality: str, rng: np.random.Generator, constants: Mapping[str, NDArray[Any]]
    ) -> NDArray[Any]:
        """What the coding takes, (items, *shape); noise is drawn from ``rng``, constants are the model's."""

    @abstractmethod
    def scores(self, split: str, draw: int) -> Mapping[str, Scores]:
        """direction -> score matrices of baselines on the queries of ``draw``, as :meth:`rng` draws them."""

    def objective(self, recipe: Recipe) -> Objective:
        return NtXent(recipe.temperature)

    @property
    def metrics(self) -> Mapping[str, Estimator]:
        return retrieval.METRICS

    def subsets(self) -> Mapping[str, tuple[str, NDArray[np.bool_]]]:
        """Further splits: name -> (split, which of its items are asked); all of its items stay stored."""
        return {}

    @classmethod
    def reported(cls) -> tuple[str, ...]:
        """The splits but "validation"."""
        return tuple(split for split in cls.splits if split != VALIDATION)

    def validate(self, recipe: Recipe) -> Callable[[Towers], float] | None:
        return partial(self._validation_score, recipe) if VALIDATION in self.splits else None

    def _validation_score(self, recipe: Recipe, module: Towers) -> float:
        """The mean of the main metric over the directions."""
        shown = Shown(recipe.steps, stored_constants(module), seed=0)

        def vectors(modality: str, draw: int) -> NDArray[np.float32]:
            raster = self.raster(VALIDATION, modality, draw, shown)
            fired = spikes_of(module, self.modalities[modality], raster)
            return self.vectors(Readings(fired.sum(axis=1, dtype=np.int32), fired, ()))

        values = [
            retrieval.values(retrieval.ranks(vectors(d.query, QUERY), vectors(d.gallery, GALLERY)))
            for d in self.directions
        ]
        return float(np.mean([found[self.main_metric] for found in values]))

    def sizes(self) -> dict[str, int]:
        whole = {split: self.items(split) for split in self.reported()}
        return {**whole, **{name: int(asked.sum()) for name, (_, asked) in self.subsets().items()}}

    def queries(self) -> dict[str, str]:
        return {query: split for query, (split, _, _) in self._asked().items()}

    def _asked(self) -> dict[str, tuple[str, str, Direction]]:
        """Query -> (its split, the split whose items are stored, direction)."""
        stored = {
            **{split: split for split in self.reported()},
            **{n: s for n, (s, _) in self.subsets().items()},
        }
        return {
            f"{split}: {direction.name}": (split, whole, direction)
            for split, whole in stored.items()
            for direction in self.directions
            if not direction.splits or whole in direction.splits
        }

    def _chosen(self, split: str, values: Values) -> Values:
        """The values of a subset's items, of all others as they are."""
        if split not in self.subsets():
            return values
        chosen = self.subsets()[split][1]
        return {metric: of_items[chosen] for metric, of_items in values.items()}

    def rng(self, draw: int, split: str, modality: str) -> np.random.Generator:
        """The generator of a modality's noise and spikes in one draw."""
        unknown = {split} - set(self.splits) or {modality} - set(self.modalities)
        if unknown:
            raise UsageError(
                "unknown split or modality",
                where=self.name,
                found=f"{split}, {modality}",
                allowed=f"{', '.join(self.splits)}; {', '.join(self.modalities)}",
            )
        place = [self.splits.index(split), list(self.modalities).index(modality)]
        return np.random.default_rng([draw, *place])

    def raster(self, split: str, modality: str, draw: int, shown: Shown) -> NDArray[Any]:
        """Input of a modality's tower, (items, steps, *shape); ``draw`` draws noise and spikes."""
        rng = self.rng(draw, split, modality)
        values = self.values(split, modality, rng, shown.constants)
        if len(values) != self.items(split):
            raise UsageError(
                "the values of a modality are not one row an item",
                where=f"{self.name}: {split}, {modality}",
                found=len(values),
                allowed=self.items(split),
            )
        return self.coded(self.modalities[modality], values, shown.steps, rng)

    def read(self, network: Deployed, engine: str, split: str, modality: str, draw: int) -> Readings:
        """Read-outs of a split's items in one modality."""
        raster = self.raster(split, modality, draw + network.seed, network)
        return network.read(engine, self.modalities[modality], raster)

    def vectors(self, readings: Readings) -> NDArray[np.float32]:
        """Embeddings (items, n) of read-outs."""
        if self.readout_name == "counts":
            return readings.counts.astype(np.float32)
        return on_minus_off(readings.counts)

    def embed(self, network: Deployed, engine: str, split: str, modality: str, draw: int) -> Embedded:
        """A split's items in one modality as vectors; ``draw`` draws noise and spikes."""
        readings = self.read(network, engine, split, modality, draw)
        return Embedded(self.vectors(readings), readings)

    def answers(self, network: Deployed, engine: str) -> Answers:
        values: dict[str, Values] = {}
        read: dict[str, Readings] = {}
        found: dict[tuple[str, str, int], Embedded] = {}
        ranks: dict[tuple[str, str], Values] = {}

        def embedded(split: str, modality: str, draw: int) -> Embedded:
            key = (split, modality, draw)
            if key not in found:
                found[key] = self.embed(network, engine, *key)
            return found[key]

        for query, (split, whole, direction) in self._asked().items():
            asked = embedded(whole, direction.query, QUERY)
            if (whole, direction.name) not in ranks:
                stored = embedded(whole, direction.gallery, GALLERY)
                ranks[whole, direction.name] = retrieval.values(
                    retrieval.ranks(asked.vectors, stored.vectors)
                )
            values[query] = self._chosen(split, ranks[whole, direction.name])
            read[query] = asked.readings
        return Answers(values, read)

    def baselines(self, seed: int) -> dict[str, dict[str, Values]]:
        of_split = {split: self.scores(split, QUERY + seed) for split in self.reported()}
        return {
            query: {
                method: self._chosen(split, retrieval.values(retrieval.ranks_of_scores(matrix)))
                for method, matrix in of_split[whole].get(direction.name, {}).items()
            }
            for query, (split, whole, direction) in self._asked().items()
        }

    def chance(self) -> dict[str, dict[str, float]]:
        return {query: retrieval.chance(self.items(whole)) for query, (_, whole, _) in self._asked().items()}

    def calibration(self, shown: Shown) -> dict[str, NDArray[Any]]:
        return self._paired(self.reported()[0], CALIBRATION, shown, _CALIBRATION_ITEMS)

    def sample(self, shown: Shown, items: int | None = None) -> dict[str, NDArray[Any]]:
        return self._paired(self.priced, QUERY, shown, items)

    @property
    def priced(self) -> str:
        """The split that energy is counted on: the last that is reported."""
        return self.reported()[-1]

    def _of_towers(self, split: str) -> dict[str, Direction]:
        """The first direction of a split that asks each tower."""
        asked = [d for d in self.directions if not d.splits or split in d.splits]
        return {self.modalities[direction.query]: direction for direction in reversed(asked)}

    def _paired(self, split: str, draw: int, shown: Shown, items: int | None) -> dict[str, NDArray[Any]]:
        """The first items of a split, each tower asked as its first direction asks it, tower -> raster."""
        return {
            tower: self.raster(split, direction.query, draw + shown.seed, shown)[:items]
            for tower, direction in self._of_towers(split).items()
        }

    def workload(self, network: Deployed, answers: Answers) -> Workload:
        split = self.priced
        directions = [d for d in self.directions if d in self._of_towers(split).values()]
        asked = self.vectors(answers.read[f"{split}: {directions[0].name}"])
        items, dimensions = asked.shape
        queries = len(directions) * items
        macs = queries * items * dimensions
        return Workload(
            split=split,
            item=self.item,
            inputs=self.sample(network),
            queries=tuple(f"{split}: {direction.name}" for direction in directions),
            stored_items=items,
            raw_dimensions=self.raw_dimensions,
            host=HostCounts(queries, macs, 0, 4 * macs),
            work=lambda: retrieval.ranks(asked, asked),
            macs_per_query={split: dimensions * n for split, n in self.sizes().items()},
        )

    def chain(self, network: Deployed) -> Chain | None:
        if self.chained is None:
            return None
        stored, cues = (
            self.embed(network, "fixed", *self.chained, draw).vectors for draw in (GALLERY, QUERY)
        )
        return six_hop_recall(stored, cues, network.seed)

    @classmethod
    def required_facts(cls) -> tuple[str, ...]:
        return (*super().required_facts(), "splits", "modalities", "directions", "raw_dimensions")

    @classmethod
    def wrong_facts(cls) -> list[Violation]:
        asked = {name for d in cls.directions for name in (d.query, d.gallery)}
        asked |= {cls.chained[1]} if cls.chained else set()
        unknown = sorted(asked - set(cls.modalities))
        faults = super().wrong_facts()
        if not cls.reported():
            faults.append(Violation("no split that is reported", "splits", ", ".join(cls.splits) or "none"))
        if unknown:
            faults.append(
                Violation("unknown modality", "directions", ", ".join(unknown), ", ".join(cls.modalities))
            )
        return faults
