"""What chords and lottery share: windows of a sequence of sets, the spiking networks and their baselines."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import PositiveInt

from snn_deploy.benchmarks.kinds.next_step import NextStepTask
from snn_deploy.train.coding import rate_code
from snn_deploy.train.encoders import Layer, Shape, feed_forward, lif, linear, recurrent_lif
from snn_deploy.train.examples import Examples
from snn_deploy.train.objectives import BinaryCrossEntropyOfCounts, Objective
from snn_deploy.train.readout import Readout
from snn_deploy.train.recipe import Recipe

WINDOW = 21
MEMBERS = 39
HIDDEN = 128
_REPEATS = 4
"""How often a rate-coded window is shown: T of the document."""
_AT_ONCE = 6
"""Sets that the feed-forward network sees: with the whole window it learns the training works by heart."""
_CERTAINTY = 0.8
"""Probability of a spike where a window holds a 1; at 1 rate coding would be the window repeated."""

_RIDGE = 100.0
"""Weight of the penalty, in squared spikes; recall is flat from 30 to 300."""


class WindowRecipe(Recipe):
    """``reference_epochs`` of the conventional networks beside the spiking one."""

    reference_epochs: PositiveInt = 12


_RECIPE = WindowRecipe(
    steps=8,
    hidden=HIDDEN,
    tau_syn_inv=1000.0,
    tau_mem_inv=500.0,
    rate_epochs=0,
    epochs=20,
    batch=128,
    learning_rate=4e-3,
    rate_penalty=0.0,
    drop=0.2,
    spike_budget=170.0,
)
_FEED_FORWARD = _RECIPE.changed({"steps": 1, "spike_budget": 38.0, "drop": 0.0, "weight_decay": 0.3})
_DOCUMENT = _RECIPE.changed(
    {"steps": WINDOW, "tau_mem_inv": 50.0, "spike_budget": None, "drop": 0.0, "epochs": 10}
)


def last_steps(windows: NDArray[Any], steps: int, rng: np.random.Generator | int = 0) -> NDArray[Any]:
    """The last ``steps`` steps of windows (items, steps, width). ``rng`` is not read."""
    return windows[:, -steps:]


def at_once(windows: NDArray[Any], steps: int, rng: np.random.Generator | int = 0) -> NDArray[Any]:
    """The last 6 sets of windows together in every step, (items, steps, 6, width). ``rng`` is not read."""
    return np.repeat(windows[:, None, -_AT_ONCE:], steps, axis=1)


def repeated_rates(windows: NDArray[Any], steps: int, rng: np.random.Generator) -> NDArray[Any]:
    """Windows one after the other, as often as fills ``steps``, each 1 a spike with probability 0.8."""
    rates = np.tile(windows, (1, steps // windows.shape[1], 1)) * np.float32(_CERTAINTY)
    return rate_code(rates, 1, rng)[:, 0]


def feed_forward_lif(shape: Shape, recipe: Recipe) -> list[Layer]:
    """One layer of LIF neurons behind a batch norm."""
    return feed_forward(shape, [recipe.hidden], recipe, norm=True)


def document_lif(shape: Shape, recipe: Recipe) -> list[Layer]:
    """The document's: recurrent LIF neurons without norm, the input weights with a bias."""
    cells = {**lif(recipe.hidden, recipe), "type": "RecurrentLIFCell"}
    return [linear(shape[0], recipe.hidden, bias=True), cells]


def _binary(self: NextStepTask, recipe: Recipe) -> Objective:
    return BinaryCrossEntropyOfCounts(target=self.target, readout=self.readout, head="head")


class WindowTask(NextStepTask):
    """Windows of 21 sets, 0/1 (items, 21, 39): which members come next.

    The network sees the last 8 sets, one a step, and a linear map on the host reads the spikes of its last
    step. ``rows`` are the feed-forward network, which sees the last 6 sets in one step, and the document's
    recipe, with the window shown once or rate-coded over T x W steps, in which the network keeps its state
    and is read at the end of each window.
    """

    coding = last_steps
    encoder = "recurrent"
    layers = recurrent_lif
    head = True
    readout = Readout(last=1)
    recipe = _RECIPE
    quick_recipe = _RECIPE.changed({"epochs": 4, "reference_epochs": 2})
    rows = MappingProxyType(
        {
            "feed-forward": {
                "coding": at_once,
                "layers": feed_forward_lif,
                "recipe": _FEED_FORWARD,
                "quick_recipe": _FEED_FORWARD.changed({"epochs": 6}),
            },
            "document": {
                "layers": document_lif,
                "objective": _binary,
                "recipe": _DOCUMENT,
                "quick_recipe": _DOCUMENT.changed({"epochs": 3}),
            },
            "document-rate": {
                "coding": repeated_rates,
                "layers": document_lif,
                "objective": _binary,
                "readout": Readout(every=WINDOW),
                "recipe": _DOCUMENT.changed({"steps": _REPEATS * WINDOW}),
                "quick_recipe": _DOCUMENT.changed({"steps": _REPEATS * WINDOW, "epochs": 2}),
            },
        }
    )

    def predictions(self, train: Examples, test: Examples) -> Mapping[str, NDArray[Any]]:
        return {"uniform": np.zeros((len(test), MEMBERS)), "ridge regression": self._ridge(train, test)}

    def _ridge(self, train: Examples, test: Examples) -> NDArray[np.float64]:
        """Scores of (X'X + r I)^-1 X'Y, X the windows and a constant, Y the sets that follow."""
        x, asked = (_design(examples.inputs[self.tower]) for examples in (train, test))
        weights = np.linalg.solve(x.T @ x + _RIDGE * np.eye(x.shape[1]), x.T @ train.targets[self.target])
        return np.asarray(asked @ weights)

    def trained_predictions(self, train: Examples, test: Examples, seed: int) -> Mapping[str, NDArray[Any]]:
        from snn_deploy.train import reference

        networks = {
            f"MLP, {HIDDEN} units": lambda: reference.mlp((WINDOW, MEMBERS), HIDDEN, MEMBERS, dropout=0.5),
            f"GRU, {HIDDEN} units": lambda: reference.gru(MEMBERS, HIDDEN, MEMBERS, dropout=0.3),
        }
        held_out = self.data["validation"]
        return {
            name: reference.train_reference(
                build,
                train.inputs[self.tower],
                train.targets[self.target],
                reference.Training(getattr(self.trained_with, "reference_epochs", 12), learning_rate=4e-3),
                seed,
                validation=(held_out.inputs[self.tower], held_out.targets[self.target]),
            ).scores(test.inputs[self.tower])
            for name, build in networks.items()
        }


def _design(windows: NDArray[Any]) -> NDArray[np.float64]:
    return np.column_stack([windows.reshape(len(windows), -1), np.ones(len(windows))])


def windows_of(sets: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Windows (items, 21, members) of a sequence of sets (steps, members), and the set that follows each.

    A window that nothing follows, because the next set is empty, is left out.
    """
    views = np.lib.stride_tricks.sliding_window_view(sets, WINDOW, axis=0)[: len(sets) - WINDOW]
    coming = sets[WINDOW:]
    some = coming.any(axis=1)
    return np.ascontiguousarray(views.swapaxes(1, 2)[some]), coming[some]
