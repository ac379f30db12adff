"""What training makes small: frozen values that turn the activity of layers and a batch into a loss.

An objective names the targets that it reads (``targets``) and the constants of the model that it trains
along (``heads``). To add one, write such a class: nothing else needs to know it. torch is imported inside
functions, so that a task can name its objective without it.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from snn_deploy.errors import UsageError
from snn_deploy.train.readout import Readout, on_minus_off, through

if TYPE_CHECKING:
    import torch

    from snn_deploy.train.examples import Batch, Layers


MEAN_RATES = Readout()
"""The last layer, all steps."""


class Objective(Protocol):
    """Loss of a batch, a scalar tensor, from the activity of every layer of neurons."""

    @property
    def targets(self) -> tuple[str, ...]:
        """Targets that the examples must hold."""

    @property
    def heads(self) -> tuple[str, ...]:
        """Linear maps that are trained: "name" stands for the constants name_weight and name_bias."""

    def __call__(self, layers: Layers, batch: Batch) -> torch.Tensor: ...


@dataclass(frozen=True)
class NtXent:
    """Symmetric NT-Xent: embeddings of one row are close, and far from those of the other rows.

    pairs: names of inputs whose embeddings belong together, the two towers where empty; a name that is no
    input is a target, fixed embeddings (samples, width). An embedding is what ``readout`` reads, ON minus
    OFF where ``on_off``. Losses of several pairs are summed.
    """

    temperature: float
    pairs: tuple[tuple[str, str], ...] = ()
    readout: Readout = MEAN_RATES
    on_off: bool = True
    targets: tuple[str, ...] = ()
    heads: tuple[str, ...] = ()

    def __call__(self, layers: Layers, batch: Batch) -> torch.Tensor:
        pairs = self.pairs or tuple(itertools.pairwise(layers))
        if not pairs or (not self.pairs and len(layers) != 2):
            raise UsageError(
                "NT-Xent needs two towers, or the pairs that belong together",
                where="objective",
                found=", ".join(layers),
            )
        losses = (
            nt_xent(
                self._embedding(first, layers, batch),
                self._embedding(second, layers, batch),
                self.temperature,
            )
            for first, second in pairs
        )
        return _sum(losses)

    def _embedding(self, name: str, layers: Layers, batch: Batch) -> torch.Tensor:
        if name not in layers:
            return batch.targets[name]
        rates = self.readout(layers[name])
        return on_minus_off(rates) if self.on_off else rates


@dataclass(frozen=True)
class CrossEntropyOfCounts:
    """Cross-entropy of a classifier that compares spike counts.

    The logits are ``gain`` times the rates that ``readout`` reads, or a linear map of these rates where
    ``head`` names one. target: the target with the class of each example, (samples), or with weights of
    all classes, (samples, classes), which are normalised: a set of right answers, or a teacher's
    probabilities. input: the input whose tower is read, the only one where empty.
    """

    target: str = "label"
    input: str = ""
    readout: Readout = MEAN_RATES
    head: str = ""
    gain: float = 10.0

    @property
    def targets(self) -> tuple[str, ...]:
        return (self.target,)

    @property
    def heads(self) -> tuple[str, ...]:
        return (self.head,) if self.head else ()

    def __call__(self, layers: Layers, batch: Batch) -> torch.Tensor:
        rates = self.readout(layers[_the_input(self.input, layers)])
        logits = through(self.head, rates, batch.constants) if self.head else self.gain * rates
        return cross_entropy(logits, batch.targets[self.target])


@dataclass(frozen=True)
class NextStep:
    """What comes next, predicted in every step from the spikes of that step.

    The logits of step t, ``gain`` times the spikes of ``layer`` or a linear map of them where ``head``
    names one, are compared with step t + 1 of the target, a raster (samples, steps, outputs) in which
    several outputs may be active: binary cross-entropy. target: its name, the coded input where empty.
    Reads spikes only: the recipe's rate_epochs must be 0.
    """

    target: str = ""
    input: str = ""
    layer: int = -1
    head: str = ""
    gain: float = 10.0

    @property
    def targets(self) -> tuple[str, ...]:
        return (self.target,) if self.target else ()

    @property
    def heads(self) -> tuple[str, ...]:
        return (self.head,) if self.head else ()

    def __call__(self, layers: Layers, batch: Batch) -> torch.Tensor:
        from torch.nn import functional

        name = _the_input(self.input, layers)
        spikes = Readout(self.layer).chosen(layers[name])
        raster = batch.targets[self.target] if self.target else batch.inputs[name]
        if spikes.ndim < 3 or raster.ndim < 3 or raster.shape[1] != len(spikes) or len(spikes) < 2:
            raise UsageError(
                "the next step is predicted from spikes in time, for a target in time",
                where="objective",
                found=f"activity {tuple(spikes.shape)}, target {tuple(raster.shape)}",
                allowed="spikes (steps, samples, neurons), target (samples, steps, outputs), 2 steps or more",
                remedy="Set rate_epochs to 0, and give events or a target raster.",
            )
        sent = spikes[:-1].flatten(2)
        logits = through(self.head, sent, batch.constants) if self.head else self.gain * sent
        coming = raster[:, 1:].flatten(2).transpose(0, 1).to(logits.dtype)
        return functional.binary_cross_entropy_with_logits(logits, coming)


@dataclass(frozen=True)
class Reconstruction:
    """Mean squared error of a linear map of the rates (``head``), or of the rates, against a target.

    target: its name, values (samples, *shape); the input itself where empty.
    """

    target: str = ""
    input: str = ""
    readout: Readout = MEAN_RATES
    head: str = ""

    @property
    def targets(self) -> tuple[str, ...]:
        return (self.target,) if self.target else ()

    @property
    def heads(self) -> tuple[str, ...]:
        return (self.head,) if self.head else ()

    def __call__(self, layers: Layers, batch: Batch) -> torch.Tensor:
        from torch.nn import functional

        name = _the_input(self.input, layers)
        rates = self.readout(layers[name])
        found = through(self.head, rates, batch.constants) if self.head else rates
        wanted = batch.targets[self.target] if self.target else batch.inputs[name]
        return functional.mse_loss(found, wanted.flatten(1).to(found.dtype))


@dataclass(frozen=True)
class WeightedSum:
    """Several objectives at once, such as labels and a teacher: sum of weight times loss."""

    terms: tuple[tuple[float, Objective], ...]

    @property
    def targets(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(name for _, term in self.terms for name in term.targets))

    @property
    def heads(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(name for _, term in self.terms for name in term.heads))

    def __call__(self, layers: Layers, batch: Batch) -> torch.Tensor:
        return _sum(weight * term(layers, batch) for weight, term in self.terms)


def readers(objective: Objective, tower: str) -> list[str]:
    """The linear maps of an objective that read the rates of this tower."""
    if isinstance(objective, WeightedSum):
        return list(dict.fromkeys(head for _, term in objective.terms for head in readers(term, tower)))
    head, read = getattr(objective, "head", ""), getattr(objective, "input", "") or tower
    return [head] if head and read == tower else []


def cross_entropy(logits: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """-mean_n sum_k q_nk log softmax_k(logits_n), with q of classes (n) or of weights (n, k) over their sum.

    A row whose weights are all zero counts as no example.
    """
    from torch.nn import functional

    if target.ndim == 1:
        return functional.cross_entropy(logits, target.long())
    weights = target.to(logits.dtype)
    total = weights.sum(1, keepdim=True)
    share = weights / total.where(total > 0, 1)
    stated = (total > 0).sum().clamp(min=1)
    return -(share * functional.log_softmax(logits, 1)).sum() / stated


def nt_xent(a: torch.Tensor, b: torch.Tensor, temperature: float) -> torch.Tensor:
    """Symmetric NT-Xent of paired rows (n, d): row k of ``a`` belongs to row k of ``b`` and to no other.

    s_kl = cos(a_k, b_l) / temperature ;
    L = -1/(2n) sum_k [ log softmax_l(s_kl)|l=k + log softmax_l(s_lk)|l=k ]
    (Sohn 2016; Chen et al. 2020, with the negatives taken across the two modalities).
    Raises UsageError for fewer than two pairs, which have no negatives.
    """
    import torch
    from torch.nn import functional

    if len(a) < 2:
        raise UsageError("contrastive training needs at least two pairs", found=len(a))
    similarity = functional.normalize(a, dim=1) @ functional.normalize(b, dim=1).t() / temperature
    target = torch.arange(len(a), device=a.device)
    forward = functional.cross_entropy(similarity, target)
    backward = functional.cross_entropy(similarity.t(), target)
    return (forward + backward) / 2


def _sum(losses: Iterable[torch.Tensor]) -> torch.Tensor:
    first, *others = losses
    for loss in others:
        first = first + loss
    return first


def _the_input(name: str, layers: Layers) -> str:
    """The input that an objective reads; UsageError where it names none and there are several."""
    found = name or next(iter(layers))
    if found not in layers or (not name and len(layers) > 1):
        raise UsageError(
            "the objective reads one input",
            where="objective",
            found=name or "none",
            allowed=", ".join(layers),
        )
    return found
