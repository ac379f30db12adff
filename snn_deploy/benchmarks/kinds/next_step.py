"""The next step of a sequence, a set: which of many things happen next, by the most active outputs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from snn_deploy.benchmarks.kinds.labelled import LabelledTask
from snn_deploy.benchmarks.metrics.estimate import Estimator, mean
from snn_deploy.benchmarks.metrics.sequence import recall_of_sets
from snn_deploy.benchmarks.task import Values
from snn_deploy.errors import Violation
from snn_deploy.train.coding import event_code
from snn_deploy.train.examples import Examples


class NextStepTask(LabelledTask):
    """Windows of a sequence, 0/1 (items, steps, width), whose target "next" is the step that follows, 0/1
    (items, members).

    members: names of what a step may hold, one output each. recall_at: depths k of Recall@k of sets, the
    first the main one. The loss is cross-entropy against the set, its members equally likely.
    """

    members: ClassVar[tuple[str, ...]]
    recall_at: ClassVar[tuple[int, ...]] = (5,)
    target = "next"
    coding = event_code

    @property
    def metrics(self) -> Mapping[str, Estimator]:
        return {f"recall@{k}": mean for k in self.recall_at}

    def answer_count(self) -> int:
        return len(self.members)

    def score(self, scores: NDArray[Any], examples: Examples) -> Values:
        sets = examples.targets[self.target]
        return {f"recall@{k}": recall_of_sets(scores, sets, k) for k in self.recall_at}

    def simplest(self, train: Examples, test: Examples) -> dict[str, NDArray[Any]]:
        frequency = train.targets[self.target].mean(axis=0)
        found = {"frequency": np.tile(frequency, (len(test), 1))}
        windows = next(iter(test.inputs.values()))
        if windows.ndim == 3 and windows.shape[2] == len(self.members):
            # the last step again, filled up by frequency, which is below 1
            found["persistence"] = 2.0 * windows[:, -1] + frequency
        return found

    def chances(self) -> dict[str, float]:
        return {f"recall@{k}": min(1.0, k / len(self.members)) for k in self.recall_at}

    def faults(self, split: str, targets: NDArray[Any]) -> list[Violation]:
        if targets.shape[1:] == (len(self.members),) and np.isin(targets, (0, 1)).all():
            return []
        return [
            Violation(
                "the next step is a set, 0/1",
                found=f"{targets.dtype}, shape {targets.shape}",
                allowed=f"0 and 1, (items, {len(self.members)})",
            )
        ]

    @classmethod
    def required_facts(cls) -> tuple[str, ...]:
        return (*super().required_facts(), "members")
