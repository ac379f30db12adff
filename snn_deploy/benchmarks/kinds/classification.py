"""Classification: which class an example is of, by the output neuron with the most spikes."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from snn_deploy.benchmarks.deployed import Deployed
from snn_deploy.benchmarks.kinds.labelled import LabelledTask
from snn_deploy.benchmarks.metrics import classification
from snn_deploy.benchmarks.metrics.estimate import Estimator, proportion
from snn_deploy.benchmarks.report import figures
from snn_deploy.benchmarks.task import Values
from snn_deploy.errors import Violation
from snn_deploy.train.examples import Examples


class ClassificationTask(LabelledTask):
    """Examples whose target "label" is the number of their class, (items,), from 0.

    classes: names of the classes, in order. top: depths k at which the right class is looked for beside the
    first place, such as (5,).
    """

    classes: ClassVar[tuple[str, ...]]
    top: ClassVar[tuple[int, ...]] = ()
    target = "label"

    @abstractmethod
    def predictions(self, train: Examples, test: Examples) -> Mapping[str, NDArray[Any]]:
        """Baselines: method -> class of each item of ``test``, (items,), or scores (items, classes)."""

    @property
    def metrics(self) -> Mapping[str, Estimator]:
        return dict.fromkeys(self._depths(), proportion)

    def answer_count(self) -> int:
        return len(self.classes)

    def score(self, scores: NDArray[Any], examples: Examples) -> Values:
        labels = examples.targets[self.target]
        return {name: classification.hit_at(scores, labels, k) for name, k in self._depths().items()}

    def simplest(self, train: Examples, test: Examples) -> dict[str, NDArray[Any]]:
        frequency = np.bincount(train.targets[self.target], minlength=len(self.classes))
        return {"most frequent class": np.tile(frequency, (len(test), 1))}

    def chances(self) -> dict[str, float]:
        return {name: k / len(self.classes) for name, k in self._depths().items()}

    def _depths(self) -> dict[str, int]:
        return {"accuracy": 1, **{f"top-{k}": k for k in self.top}}

    def faults(self, split: str, targets: NDArray[Any]) -> list[Violation]:
        whole = targets.ndim == 1 and np.issubdtype(targets.dtype, np.integer)
        if whole and targets.min() >= 0 and targets.max() < len(self.classes):
            return []
        found = f"{targets.dtype}, shape {targets.shape}"
        if targets.size:
            found += f", range [{targets.min()}, {targets.max()}]"
        return [
            Violation("labels are numbers of classes", found=found, allowed=f"0 .. {len(self.classes) - 1}")
        ]

    def _as_scores(self, method: str, answer: NDArray[Any], items: int) -> NDArray[Any]:
        if answer.shape == (items,) and np.issubdtype(answer.dtype, np.integer):
            answer = np.eye(len(self.classes))[answer]
        return super()._as_scores(method, answer, items)

    def pictures(self, network: Deployed) -> dict[str, str]:
        split = next(iter(self.sizes()))
        readings = self.answers(network, "fixed").read[split]
        labels = self.data[split].targets[self.target]
        table = classification.confusion(self.scores(network, readings), labels, len(self.classes))
        return {
            f"Classes of {split} (rows) by what the integers answered": figures.table(table, self.classes)
        }

    @classmethod
    def required_facts(cls) -> tuple[str, ...]:
        return (*super().required_facts(), "classes")
