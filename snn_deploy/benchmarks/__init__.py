"""Tasks, metrics, energy accounting and reports; the names that a task of one's own is written with."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from snn_deploy.benchmarks.kinds.classification import ClassificationTask as ClassificationTask
    from snn_deploy.benchmarks.kinds.next_step import NextStepTask as NextStepTask
    from snn_deploy.benchmarks.kinds.retrieval import Direction as Direction
    from snn_deploy.benchmarks.kinds.retrieval import RetrievalTask as RetrievalTask
    from snn_deploy.train.examples import Examples as Examples
    from snn_deploy.train.recipe import Recipe as Recipe

_HOMES = {
    "ClassificationTask": "snn_deploy.benchmarks.kinds.classification",
    "NextStepTask": "snn_deploy.benchmarks.kinds.next_step",
    "RetrievalTask": "snn_deploy.benchmarks.kinds.retrieval",
    "Direction": "snn_deploy.benchmarks.kinds.retrieval",
    "Examples": "snn_deploy.train.examples",
    "Recipe": "snn_deploy.train.recipe",
}
__all__ = [*_HOMES]  # noqa: PLE0604


def __getattr__(name: str) -> Any:
    """Import a name where it is used, so that importing a part of this package stays light."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
