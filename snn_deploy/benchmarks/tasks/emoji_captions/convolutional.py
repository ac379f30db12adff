"""Encoders of emoji-captions that begin from an ANN: one step of graded input, texts on the host.

A network begins from the ANN of its shape. The hidden layers' spikes go through a linear map on the host,
stored with the model, as do the two towers for texts: one for captions, trained with the ANN and then kept,
and its copy for paraphrases.
"""

from __future__ import annotations

import itertools
from collections.abc import Collection, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from snn_deploy.benchmarks.deployed import Deployed, Shown
from snn_deploy.benchmarks.kinds.retrieval import CALIBRATION, QUERY, Embedded
from snn_deploy.benchmarks.task import Answers, Values, Workload
from snn_deploy.benchmarks.tasks.emoji_captions.coding import whitened
from snn_deploy.benchmarks.tasks.emoji_captions.data import SIDE, load_data
from snn_deploy.benchmarks.tasks.emoji_captions.questions import EmojiQuestions, silent
from snn_deploy.benchmarks.tasks.emoji_captions.splits import (
    SEEN,
    Ink,
    Vectors,
    lost_pixels,
)
from snn_deploy.errors import UsageError
from snn_deploy.hw_profiles.counts import HostCounts
from snn_deploy.train.coding import direct_code
from snn_deploy.train.contrast import PicturesAndTexts, tower_maps
from snn_deploy.train.encoders import Layer, convolutional, feed_forward
from snn_deploy.train.examples import Examples
from snn_deploy.train.objectives import Objective
from snn_deploy.train.recipe import Recipe

if TYPE_CHECKING:
    from snn_deploy.convert.frontends.norse.description.modules import Towers

LEVELS = 63
"""Ink is shown as a whole number of 0 to 63: with 8-bit weights more would pass what Loihi's input holds."""
_WIDTH, _HIDDEN = 512, 1024
"""Length of an embedding and of a text, and hidden units of the text towers."""
_CALIBRATION_ITEMS = 64
_PARAPHRASE_STEPS, _QUICK_STEPS = 800, 100
_OTHERS = 2
"""Captions of other concepts for each example of a batch, against which its pictures are compared too."""
ANN = "ann"
"""As an engine: the ANN that the network's training began from."""


class ConvRecipe(Recipe):
    """paraphrase_steps: of training the text tower for paraphrases."""

    paraphrase_steps: int = _PARAPHRASE_STEPS


class Convolutional(EmojiQuestions):
    """5x5 and two 3x3 convolutions of stride 2 with 32, 128 and 256 channels, T = 1.

    The budget counts the spikes of training pictures under drop, three quarters of those of clean ones.
    """

    encoder = "conv"
    item = "one drawing"
    stages: ClassVar[tuple[tuple[int, int, int], ...]] = ((32, 5, 2), (128, 3, 2), (256, 3, 2))
    """Channels, kernel and stride of each convolution."""
    coding = direct_code
    graded_bits = 7
    readout_name = "counts"
    recipe = ConvRecipe(
        start="ann",
        steps=1,
        rate_epochs=120,
        epochs=64,
        batch=128,
        rate_learning_rate=2e-3,
        learning_rate=1e-3,
        weight_decay=0.02,
        warm_up=0.15,
        slope=2.5,
        tau_syn_inv=1000,
        tau_mem_inv=1000,
        rate_penalty=0,
        spike_budget=3000,
        budget_scale=1000,
        drop=0.2,
    )
    quick_recipe = recipe.changed({"rate_epochs": 2, "epochs": 1, "paraphrase_steps": _QUICK_STEPS})

    # training

    def input_shapes(self) -> dict[str, tuple[int, ...]]:
        return {"image": (3, SIDE, SIDE)}

    def towers(self, encoder: str, recipe: Recipe) -> dict[str, list[Layer]]:
        return {"image": convolutional((3, SIDE, SIDE), self.stages, recipe)}

    @cached_property
    def outputs(self) -> int:
        """Neurons of the last layer, which the host reads."""
        layers = self.towers(self.encoder, self.recipe)["image"]
        return next(int(str(layer["size"])) for layer in reversed(layers) if "size" in layer)

    @property
    def macs(self) -> int:
        """Multiply-accumulates of the ANN for a drawing, the linear map on the host included."""
        side, inputs, total = SIDE, 3, 0
        for channels, kernel, stride in self.stages:
            side //= stride
            total += side * side * channels * kernel * kernel * inputs
            inputs = channels
        return total + self.outputs * _WIDTH

    def head_shapes(self, encoder: str, recipe: Recipe) -> dict[str, list[int]]:
        shapes: dict[str, list[int]] = {}
        maps = {"head": (_WIDTH, self.outputs)}
        for tower in ("text", "query"):
            hidden, out = tower_maps(tower)
            maps |= {hidden: (_HIDDEN, _WIDTH), out: (_WIDTH, _HIDDEN)}
        for name, shape in maps.items():
            shapes |= {f"{name}_weight": [*shape], f"{name}_bias": [shape[0]]}
        return shapes

    def views(self, rng: np.random.Generator) -> Examples:
        from snn_deploy.train.augment import Augmentation

        data, vary = load_data(), Augmentation()
        drawn = np.stack([data.hands[hand][data.seen] for hand in self.training_hands])
        n, rows = len(data.seen), np.arange(len(data.seen))
        one = rng.integers(0, len(drawn), n)
        other = (one + (rng.integers(1, len(drawn), n) if len(drawn) > 1 else 0)) % len(drawn)
        pictures = {
            name: levels(vary(drawn[hand, rows], rng)) / LEVELS
            for name, hand in (("image", one), ("image/other", other))
        }
        text = whitened(data.text[data.seen], self.whitening)
        others = np.stack([text[rng.permutation(n)] for _ in range(_OTHERS)], axis=1)
        return Examples(pictures, {"text": text, "others": others})

    def objective(self, recipe: Recipe) -> Objective:
        return PicturesAndTexts(recipe.temperature)

    def frozen_heads(self) -> Collection[str]:
        return tower_maps("text")

    def finish(self, module: Towers, recipe: Recipe, seed: int) -> None:
        """The first weights take whole numbers from here on; the text tower's copy learns paraphrases."""
        from snn_deploy.train.paraphrases import divide_first_weights, learn_paraphrases, set_constants

        constants = dict(module.constants.named_buffers())
        divide_first_weights(module, "image", LEVELS)
        data = load_data()
        texts = [data.text, *(data.paraphrases[name] for name in ("even", "even alone") if data.paraphrases)]
        learned = learn_paraphrases(
            constants,
            "text",
            [whitened(text[data.seen], self.whitening) for text in texts],
            steps=recipe.paraphrase_steps if isinstance(recipe, ConvRecipe) else _PARAPHRASE_STEPS,
            temperature=recipe.temperature,
            seed=seed,
        )
        set_constants(constants, {f"query{n.removeprefix('text')}": v for n, v in learned.items()})

    # answers

    def values(
        self, split: str, modality: str, rng: np.random.Generator, constants: Mapping[str, NDArray[Any]]
    ) -> NDArray[np.float32]:
        return levels(_channels_first(self.ink(split, modality, rng)))

    def drawings(
        self, network: Deployed, engine: str, ink: Ink, rng: np.random.Generator, lost: float
    ) -> Embedded:
        if engine == ANN:
            return self._by_ann(network, lost_pixels(ink, lost, rng))
        raster = self.coded("image", levels(_channels_first(ink)), network.steps, rng)
        readings = network.read(engine, "image", raster, lost=lost)
        rates = (readings.counts / network.steps).astype(np.float32)
        return Embedded(_through("head", rates, network.constants), readings)

    def texts(
        self, network: Deployed, engine: str, text: Vectors, rng: np.random.Generator, *, named: bool
    ) -> Embedded:
        hidden, out = tower_maps("text" if named else "query")
        vectors = np.maximum(_through(hidden, whitened(text, network.constants), network.constants), 0)
        return Embedded(_through(out, vectors, network.constants), silent(len(text)))

    def _by_ann(self, network: Deployed, ink: Ink) -> Embedded:
        from snn_deploy.train.evaluation import outputs_of, stored_constants

        if network.ann is None:
            raise UsageError("the ANN of this network is not at hand", where=self.name)
        outputs = outputs_of(network.ann, "image", levels(_channels_first(ink)) / LEVELS)
        return Embedded(_through("head", outputs, stored_constants(network.ann)), silent(len(ink)))

    def trained_baselines(self, network: Deployed) -> dict[str, dict[str, Values]]:
        if network.ann is None:
            return {}
        asked = self.answers(network, ANN).values
        return {query: {self._ann_name: values} for query, values in asked.items()}

    @property
    def _ann_name(self) -> str:
        return f"ANN of the same shape ({self.macs / 1e6:.1f} M multiply-accumulates)"

    # what is measured

    def calibration(self, shown: Shown) -> dict[str, NDArray[Any]]:
        raster = self.raster(SEEN, "noisy image", CALIBRATION + shown.seed, shown)
        return {"image": raster[:_CALIBRATION_ITEMS]}

    def sample(self, shown: Shown, items: int | None = None) -> dict[str, NDArray[Any]]:
        return {"image": self.raster(self.priced, "image", QUERY + shown.seed, shown)[:items]}

    def workload(self, network: Deployed, answers: Answers) -> Workload:
        query = f"{self.priced}: image to caption"
        readings = answers.read[query]
        items, width = len(readings.counts), _WIDTH
        macs = items * (width * self.outputs + items * width)
        return Workload(
            split=self.priced,
            item=self.item,
            inputs=self.sample(network),
            queries=(query,),
            stored_items=items,
            raw_dimensions=self.raw_dimensions,
            host=HostCounts(items, macs, 0, 4 * macs),
            work=lambda: _through("head", readings.counts.astype(np.float32), network.constants),
            macs_per_query={split: width * (self.outputs + n) for split, n in self.sizes().items()},
        )

    def check_network(self, network: Deployed, path: object) -> None:
        missing = [
            name
            for name in self.head_shapes(type(self).encoder, self.recipe)
            if name not in network.constants
        ]
        if missing:
            raise UsageError("the model lacks linear maps on the host", where=path, found=", ".join(missing))


class Sparse(Convolutional):
    """The same shape with at most 1,000 spikes for each drawing."""

    encoder = "conv-1k"
    recipe = Convolutional.recipe.changed({"spike_budget": 740, "budget_scale": 250})
    quick_recipe = Convolutional.quick_recipe.changed({"spike_budget": 740, "budget_scale": 250})


class DenseDirect(Convolutional):
    """Fully connected layers of 256 and 128 neurons on the same input, T = 1."""

    encoder = "dense-direct"
    widths: ClassVar[tuple[int, ...]] = (256, 128)

    def towers(self, encoder: str, recipe: Recipe) -> dict[str, list[Layer]]:
        return {"image": feed_forward((3, SIDE, SIDE), self.widths, recipe, norm=True)}

    @property
    def macs(self) -> int:
        widths = (3 * SIDE * SIDE, *self.widths, _WIDTH)
        return sum(before * behind for before, behind in itertools.pairwise(widths))


def levels(ink: NDArray[np.float32]) -> NDArray[np.float32]:
    """Ink in [0, 1] as whole numbers."""
    return np.asarray(np.rint(LEVELS * ink), np.float32)


def _channels_first(ink: Ink) -> Ink:
    return np.ascontiguousarray(ink.transpose(0, 3, 1, 2))


def _through(name: str, values: Vectors, constants: Mapping[str, NDArray[Any]]) -> Vectors:
    """A linear map on the host."""
    return np.asarray(values @ constants[f"{name}_weight"].T + constants[f"{name}_bias"], np.float32)
