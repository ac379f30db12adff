"""Which choice made a contrastive encoder with a spike bridge learn nothing: latent, L2, rate, task, or norm.

The document changed four things at once. Here each combination is trained from three seeds: channels of the
latent (64, 256), unit length of each latent vector (L2), learning rate (1e-4, 5e-5), labels alone or with
InfoNCE; and, at 64 channels and 1e-4, batch norm before the bridge. Beside each accuracy stand the spikes of
the bridge: where it sends none, no gradient and no information passes it, and the loss stays at ln 2.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from snn_deploy.benchmarks.outcome import BenchOptions, Outcome, Stage
from snn_deploy.benchmarks.report import write_json

_TRAIN, _TEST = 1_500, 1_000
_STEPS, _QUICK_STEPS = 350, 20
_SEEDS = 3
SILENT = 0.5
"""Spikes of the bridge per window below which it counts as silent."""


@dataclass(frozen=True)
class Choice:
    """One row: what of the document's network is kept."""

    latent: int
    unit_norm: bool
    learning_rate: float
    contrast: bool
    norm: bool

    @property
    def name(self) -> str:
        parts = [
            f"latent {self.latent}",
            "L2" if self.unit_norm else "no L2",
            f"{self.learning_rate:.0e}".replace("e-0", "e-"),
            "labels + InfoNCE" if self.contrast else "labels",
        ]
        return ", ".join([*parts, *(["batch norm"] if self.norm else [])])


def choices() -> Iterator[Choice]:
    """All combinations without batch norm, then those of L2 and InfoNCE with it."""
    both = (True, False)
    for latent, unit, rate, contrast in itertools.product((64, 256), both, (1e-4, 5e-5), both):
        yield Choice(latent, unit, rate, contrast, norm=False)
    for unit, contrast in itertools.product(both, repeat=2):
        yield Choice(64, unit, 1e-4, contrast, norm=True)


def study(options: BenchOptions, folder: Path, stage: Stage) -> Outcome:
    """Train every row, and write report.json into ``folder``; a study that was killed goes on there."""
    rows = list(choices())
    seeds = range(options.seed, options.seed + (1 if options.quick else max(options.seeds, _SEEDS)))
    report = run(rows[:1] + rows[-1:] if options.quick else rows, seeds, folder, stage, quick=options.quick)
    write_json(folder / "report.json", report)
    return Outcome(report, text, lambda: None)


def run(
    rows: Sequence[Choice], seeds: Sequence[int], folder: Path, stage: Stage, *, quick: bool = False
) -> dict[str, Any]:
    """Accuracy, area under the curve, loss and spikes of each row, means over seeds with their spread."""
    steps = _QUICK_STEPS if quick else _STEPS
    measured = {}
    for row in rows:
        stage(row.name)
        measured[row.name] = [_once(row, seed, steps, folder) for seed in seeds]
    return {
        "study": "cpc-ablation",
        "steps": steps,
        "windows": {"train": 2 * _TRAIN, "test": 2 * _TEST},
        "seeds": list(seeds),
        "chance": 0.5,
        "rows": [{**asdict(row), "name": row.name, **_summary(measured[row.name])} for row in rows],
        "cause": cause([{**asdict(row), **_summary(measured[row.name])} for row in rows]),
    }


def _once(row: Choice, seed: int, steps: int, folder: Path) -> dict[str, float]:
    """One training, read from the folder where it was finished before."""
    from snn_deploy.benchmarks.tasks.chirps import Chirps
    from snn_deploy.benchmarks.tasks.chirps.signals import windows
    from snn_deploy.train.cpc import CpcTraining, train_cpc
    from snn_deploy.train.examples import Examples
    from snn_deploy.train.recipe import Recipe

    path = folder / f"{row.name.replace(', ', '-').replace(' ', '_')}-{steps}-{seed}.json"
    if path.is_file():
        found: dict[str, float] = json.loads(path.read_text(encoding="utf-8"))
        return found
    train, test = windows(_TRAIN, 10), windows(_TEST, 11)
    labels, asked = (np.repeat([1, 0], len(drawn.snr)) for drawn in (train, test))
    recipe = Recipe(steps=65, tau_syn_inv=1000.0, tau_mem_inv=150.0)
    training = CpcTraining(
        latent=row.latent,
        unit_norm=row.unit_norm,
        norm=row.norm,
        contrast=1.0 if row.contrast else 0.0,
        learning_rate=row.learning_rate,
        batch=32,
        steps=steps,
    )
    trained = train_cpc(train.strain, labels, training, recipe, seed)
    scores = trained.scores(test.strain)
    values = Chirps().score(scores, Examples({"strain": test.strain}, {"label": asked}))
    result = {
        "accuracy": float(values["accuracy"].mean()),
        "AUC": float(values["AUC"].mean()),
        "loss": trained.loss,
        "bridge_spikes": trained.spikes[0],
        "neuron_spikes": trained.spikes[1],
    }
    write_json(path, result)
    return result


def _summary(measured: Sequence[Mapping[str, float]]) -> dict[str, Any]:
    """Means over seeds, and their lowest and highest accuracy."""
    means = {name: float(np.mean([one[name] for one in measured])) for name in measured[0]}
    accuracies = [one["accuracy"] for one in measured]
    return {**means, "accuracy_range": [min(accuracies), max(accuracies)], "seeds": len(measured)}


def cause(rows: Sequence[Mapping[str, Any]]) -> str:
    """What the table says, in a sentence or two."""
    silent = [row for row in rows if row["bridge_spikes"] < SILENT]
    heard = [row for row in rows if row["bridge_spikes"] >= SILENT]
    if not silent or not heard:
        return "No row tells a silent bridge from one that fires."
    means = [100 * float(np.mean([row["accuracy"] for row in part])) for part in (silent, heard)]
    all_unit = all(row["unit_norm"] and not row["norm"] for row in silent)
    return (
        f"The bridge is silent in {len(silent)} of {len(rows)} rows"
        + (", all of them with L2 and without batch norm" if all_unit else "")
        + f": accuracy {means[0]:.1f} % there, {means[1]:.1f} % where it fires."
    )


def text(report: Mapping[str, Any]) -> str:
    """The table, then the cause."""
    lines = [
        f"cpc-ablation: {report['steps']} steps, seeds {', '.join(map(str, report['seeds']))}, "
        f"{report['windows']['test']} windows, chance 50 %",
        f"{'':58}{'accuracy, range':>22}{'AUC':>7}{'loss':>7}{'bridge':>8}{'neurons':>8}",
    ]
    for row in report["rows"]:
        low, high = row["accuracy_range"]
        accuracy = f"{100 * row['accuracy']:.1f} [{100 * low:.1f}, {100 * high:.1f}]"
        lines.append(
            f"{row['name']:58}{accuracy:>22}{row['AUC']:7.3f}{row['loss']:7.3f}"
            f"{row['bridge_spikes']:8.0f}{row['neuron_spikes']:8.0f}"
        )
    return "\n".join([*lines, report["cause"]])
