"""Epochs of examples, each drawn on a second core while the epoch before it trains."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from snn_deploy.train.examples import Examples, Views


class Ahead:
    """Draws of ``views``, one ahead of the reader. ``state`` is the generator's before the latest draw."""

    def __init__(self, views: Views, rng: np.random.Generator) -> None:
        self.state: Any = None
        self._views, self._rng = views, rng
        self._pool = ThreadPoolExecutor(1)
        self._start()

    def next(self) -> Examples:
        """The examples of one more epoch."""
        examples, self.state = self._future.result(), self._before
        self._start()
        return examples

    def rewind(self, state: Any) -> None:
        """Draw next what was drawn from this state of the generator."""
        self._future.result()
        self._rng.bit_generator.state = state
        self._start()

    def _start(self) -> None:
        self._before = self._rng.bit_generator.state
        self._future = self._pool.submit(self._views, self._rng)

    def __enter__(self) -> Ahead:
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown(cancel_futures=True)
