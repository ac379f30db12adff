"""What every benchmark takes and gives."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

#: Called with a line as each part of a benchmark begins.
Stage = Callable[[str], None]


@dataclass(frozen=True)
class BenchOptions:
    """What ``bench`` can be told; a study ignores what has no meaning for it.

    encoder: None is the task's own. seeds: networks trained, seeds seed .. seed + seeds - 1. quick: less
    training, fewer samples. certify: compare with Lava. model: a trained model to take instead of training:
    model.pt, .safetensors, graph.nir, or a converted .snn. dt (seconds), reset: where the file states none.
    data: file or folder of data that no package brings.
    """

    encoder: str | None = None
    profile: str = "loihi2"
    seeds: int = 1
    seed: int = 0
    quick: bool = False
    certify: bool = True
    model: Path | None = None
    dt: float | None = None
    reset: str | None = None
    data: Path | None = None


@dataclass(frozen=True)
class Outcome:
    """A report (JSON-able), the function that says it as text, and the check that ends a run.

    verify: raises VerificationMismatch where spikes that must be equal were not; the report is written
    and printed before.
    """

    report: dict[str, Any]
    text: Callable[[Mapping[str, Any]], str]
    verify: Callable[[], None]
