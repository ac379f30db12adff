"""Chirps in detector noise: whether two masses spiralled together in a second of whitened strain.

Windows of 1 s at 2,048 Hz hold the noise of an interferometer, drawn by numpy and whitened; half of them hold
a chirp whose signal-to-noise ratio is uniform in 4 .. 16. An item is one window with a chirp and one without.
``--data`` names a strain file (HDF5 of GWOSC) whose noise is taken instead.

The all-spiking network reads the samples as graded spikes, in one step. The row "cpc" is a contrastive
predictive encoder on the host, a spike bridge and recurrent neurons, trained as one.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property, lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, NonNegativeFloat, PositiveInt

from snn_deploy.benchmarks.deployed import Deployed
from snn_deploy.benchmarks.kinds.classification import ClassificationTask
from snn_deploy.benchmarks.kinds.labelled import TRAIN
from snn_deploy.benchmarks.metrics.classification import hit_at
from snn_deploy.benchmarks.metrics.estimate import Estimator, mean
from snn_deploy.benchmarks.task import VALIDATION, Answers, Values
from snn_deploy.benchmarks.tasks.chirps import detectors
from snn_deploy.benchmarks.tasks.chirps.signals import SAMPLES, Windows, windows
from snn_deploy.train.coding import direct_code, event_code
from snn_deploy.train.encoders import Layer, Shape, convolutional, recurrent_lif
from snn_deploy.train.examples import Examples
from snn_deploy.train.host import bridge_spikes
from snn_deploy.train.readout import Readout
from snn_deploy.train.recipe import Recipe

PAIRS = {TRAIN: 3_000, VALIDATION: 500, "test": 2_000}
BANDS = ((4, 6), (6, 8), (8, 12), (12, 16))
FALSE_ALARMS = 0.01
_SEEDS = {TRAIN: 0, VALIDATION: 1, "test": 2}
_BITS, _LEVELS = 8, 20.0
"""Levels of graded input to one standard deviation of white noise."""
_STAGES = ((16, 31, 4), (32, 15, 4), (64, 9, 4))


class ChirpsRecipe(Recipe):
    """``latent`` channels of the encoder on the host, ``cpc_epochs`` of its training, ``contrast`` the weight
    of InfoNCE in it, ``cpc_budget`` spikes per window of bridge and neurons in it. ``reference_epochs`` of
    the conventional network beside them."""

    latent: PositiveInt = 64
    cpc_epochs: PositiveInt = 5
    contrast: NonNegativeFloat = 0.0
    reference_epochs: PositiveInt = 6
    cpc_budget: Annotated[float, Field(gt=0)] = 1400.0


_RECIPE = ChirpsRecipe(
    steps=1,
    tau_syn_inv=1000.0,
    tau_mem_inv=1000.0,
    rate_epochs=0,
    epochs=7,
    batch=64,
    learning_rate=4e-3,
    rate_penalty=0.0,
    spike_budget=480.0,
)
_CPC = _RECIPE.changed(
    {"steps": 65, "tau_mem_inv": 150.0, "epochs": 2, "learning_rate": 1e-3, "spike_budget": 700.0}
)


def convolutional_lif(shape: Shape, recipe: Recipe) -> list[Layer]:
    """Three convolutions with LIF neurons behind batch norms."""
    return convolutional(shape, _STAGES, recipe)


@lru_cache(maxsize=4)
def _windows(split: str, path: Path | None) -> Windows:
    return windows(PAIRS[split], _SEEDS[split], path)


class Chirps(ClassificationTask):
    """on_host: whether a contrastive predictive encoder on the host makes spikes of the windows."""

    name = "chirps"
    split = (
        "test: 2,000 windows with a chirp and 2,000 without, of noise of their own; an item is one of each. "
        "Splits by SNR hold the chirps of that range, each with its window without"
    )
    classes = ("noise", "chirp")
    takes_data = True
    on_host: ClassVar[bool] = False
    graded_bits = _BITS
    coding = direct_code
    encoder = "convolutional"
    layers = convolutional_lif
    head = True
    readout = Readout()
    recipe = _RECIPE
    quick_recipe = _RECIPE.changed({"epochs": 2, "reference_epochs": 1})
    rows = MappingProxyType(
        {
            "cpc": {
                "on_host": True,
                "graded_bits": 0,
                "coding": event_code,
                "layers": recurrent_lif,
                "recipe": _CPC.changed({"hidden": 128}),
                "quick_recipe": _CPC.changed({"hidden": 128, "epochs": 1, "cpc_epochs": 1}),
            },
        }
    )

    def __init__(self, data_path: Path | None = None, fold: int = 0) -> None:
        super().__init__(data_path, fold)
        self._trained: dict[str, NDArray[np.float32]] = {}
        self._begun: dict[str, Any] = {}

    def load(self) -> Mapping[str, Examples]:
        found = {}
        for split, pairs in PAIRS.items():
            strain = _windows(split, self.data_path).strain
            if not self.on_host:
                limit = 2 ** (_BITS - 1) - 1
                strain = np.clip(np.rint(strain[:, None] * _LEVELS), -limit, limit)
            labels = np.repeat([1, 0], pairs)
            found[split] = Examples({"strain": strain.astype(np.float32)}, {"label": labels})
        return found

    def input_shapes(self) -> dict[str, tuple[int, ...]]:
        return {"strain": (type(self).recipe.latent,) if self.on_host else (1, SAMPLES)}

    # the encoder on the host

    def prepare(self, recipe: Recipe, seed: int) -> None:
        super().prepare(recipe, seed)
        if not (self.on_host and isinstance(recipe, ChirpsRecipe)):
            return
        from snn_deploy.train.cpc import CpcTraining, encoder_arrays, train_cpc

        train = self.data[TRAIN]
        strain, labels = train.inputs[self.tower], train.targets[self.target]
        training = CpcTraining(
            latent=recipe.latent,
            hidden=recipe.hidden,
            contrast=recipe.contrast,
            epochs=recipe.cpc_epochs,
            budget=recipe.cpc_budget,
        )
        found = train_cpc(strain, labels, training, recipe, seed).network
        heads = {f"head_{part}": getattr(found.scores, part).detach().numpy() for part in ("weight", "bias")}
        self._trained = {**encoder_arrays(found), **heads}
        own = found.towers.state_dict()
        self._begun = {name.replace("towers.spikes.", "towers.strain."): value for name, value in own.items()}
        self.__dict__.pop("_bridged", None)

    def constants(self) -> Mapping[str, NDArray[Any]]:
        return self._trained

    def start(self) -> Mapping[str, Any]:
        return self._begun

    def host(self, values: NDArray[Any], constants: Mapping[str, NDArray[Any]]) -> NDArray[Any]:
        return bridge_spikes(values, constants) if self.on_host else values

    @cached_property
    def _bridged(self) -> Examples:
        train = self.data[TRAIN]
        return Examples({self.tower: bridge_spikes(train.inputs[self.tower], self._trained)}, train.targets)

    def views(self, rng: np.random.Generator) -> Examples:
        return self._bridged if self.on_host else super().views(rng)

    # scores

    @property
    def metrics(self) -> Mapping[str, Estimator]:
        return dict.fromkeys(("accuracy", "AUC", "detection at 1 % false alarms"), mean)

    def chances(self) -> dict[str, float]:
        return dict(zip(self.metrics, (0.5, 0.5, FALSE_ALARMS), strict=True))

    def score(self, scores: NDArray[Any], examples: Examples) -> Values:
        """Values of pairs: mean of both windows being right; share of the noise windows that score lower than
        the chirp, a tie a half, whose mean is the area under the curve; whether the chirp scores higher than
        all but 1 % of them."""
        labels = examples.targets[self.target]
        hits = hit_at(scores, labels)
        output = scores[:, 1] - scores[:, 0]
        chirps, noise = output[labels == 1], np.sort(output[labels == 0])
        below, not_above = (np.searchsorted(noise, chirps, side=side) for side in ("left", "right"))
        threshold = noise[len(noise) - 1 - int(FALSE_ALARMS * len(noise))]
        values = (
            (hits[labels == 1] + hits[labels == 0]) / 2,
            (below + not_above) / (2 * len(noise)),
            (chirps > threshold).astype(np.float64),
        )
        return dict(zip(self.metrics, values, strict=True))

    def _rows(self) -> dict[str, NDArray[np.int64]]:
        """Pairs of each split that is reported."""
        snr = _windows("test", self.data_path).snr
        bands = {f"SNR {low} to {high}": (snr >= low) & (snr < high) for low, high in BANDS}
        return {
            "test": np.arange(len(snr)),
            **{name: np.flatnonzero(chosen) for name, chosen in bands.items()},
        }

    def _by_snr(self, values: Values) -> dict[str, Values]:
        return {
            split: {metric: found[rows] for metric, found in values.items()}
            for split, rows in self._rows().items()
        }

    def sizes(self) -> dict[str, int]:
        return {split: len(rows) for split, rows in self._rows().items()}

    def queries(self) -> dict[str, str]:
        return {split: split for split in self._rows()}

    def answers(self, network: Deployed, engine: str) -> Answers:
        found = super().answers(network, engine)
        return Answers(self._by_snr(found.values["test"]), dict.fromkeys(self._rows(), found.read["test"]))

    def baselines(self, seed: int) -> dict[str, dict[str, Values]]:
        banded = {method: self._by_snr(values) for method, values in super().baselines(seed)["test"].items()}
        return {split: {method: found[split] for method, found in banded.items()} for split in self._rows()}

    def predictions(self, train: Examples, test: Examples) -> Mapping[str, NDArray[Any]]:
        shown, labels = _windows(TRAIN, self.data_path).strain, train.targets[self.target]
        asked = _windows("test", self.data_path).strain
        few = np.r_[: len(shown) : 3]  # a threshold needs no more
        return {
            name: detectors.as_scores(detect(shown[few]), labels[few], detect(asked))
            for name, detect in (
                ("energy", detectors.energy),
                ("matched filter, 80 templates", detectors.matched_filter),
            )
        }

    def trained_predictions(self, train: Examples, test: Examples, seed: int) -> Mapping[str, NDArray[Any]]:
        from snn_deploy.train import reference

        held_out = self.data[VALIDATION].targets[self.target]
        epochs = getattr(self.trained_with, "reference_epochs", 6)
        network = reference.train_reference(
            lambda: reference.cnn_of_samples(answers=2),
            _windows(TRAIN, self.data_path).strain,
            train.targets[self.target],
            reference.Training(epochs, learning_rate=3e-3, batch=64),
            seed,
            validation=(_windows(VALIDATION, self.data_path).strain, held_out),
        )
        return {"CNN": network.scores(_windows("test", self.data_path).strain)}
