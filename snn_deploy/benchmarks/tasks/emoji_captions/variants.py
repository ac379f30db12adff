"""The encoders of emoji-captions with facts of their own, by the name that --encoder takes."""

from __future__ import annotations

from snn_deploy.benchmarks.task import Task
from snn_deploy.benchmarks.tasks.emoji_captions.convolutional import Convolutional, DenseDirect, Sparse
from snn_deploy.benchmarks.tasks.emoji_captions.document import DenseRate

VARIANTS: dict[str, type[Task]] = {
    kind.encoder: kind for kind in (Convolutional, Sparse, DenseDirect, DenseRate)
}
