"""What drawings recalled, for the page of emoji-captions."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from snn_deploy.benchmarks.deployed import Deployed
from snn_deploy.benchmarks.kinds.retrieval import GALLERY, QUERY, Direction
from snn_deploy.benchmarks.metrics.retrieval import DEPTH
from snn_deploy.benchmarks.report import figures
from snn_deploy.benchmarks.tasks.emoji_captions.data import load_data
from snn_deploy.benchmarks.tasks.emoji_captions.questions import EmojiQuestions
from snn_deploy.deploy.memory import unit_vectors

_EXAMPLES = 8
_TOP = 5


def recalled_captions(
    task: EmojiQuestions, network: Deployed, split: str, direction: Direction, ink: NDArray[np.float32]
) -> str:
    """Drawings of a split beside the captions they recalled on the fixed engine.

    ink: the drawings as the queries showed them, (items, side, side, 3) in [0, 1].
    """
    asked = task.embed(network, "fixed", split, direction.query, QUERY)
    stored = task.embed(network, "fixed", split, direction.gallery, GALLERY)
    scores = unit_vectors(asked.vectors).vectors @ unit_vectors(stored.vectors).vectors.T
    data = load_data()
    rows = task.concepts(split)
    drawings = np.asarray(255 * ink).astype(np.uint8)
    shown = []
    for item in np.random.default_rng(network.seed).choice(len(rows), _EXAMPLES, replace=False):
        order = np.argsort(-scores[item], kind="stable")
        rank = int(np.flatnonzero(order == item)[0]) + 1
        recalled = [data.captions[rows[i]] for i in order[:_TOP]]
        shown.append((drawings[item], data.captions[rows[item]], recalled, rank if rank <= DEPTH else 0))
    return figures.recalled_drawings(shown)
