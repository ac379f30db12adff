"""What every benchmark takes and gives."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

#: Called with a line as each part of a benchmark begins.
Stage = Callable[[str], None]


@dataclass(frozen=True)
class BenchOptions:
    """What ``bench`` can be told; a task ignores what has no meaning for it.

    seeds: networks trained, seeds seed .. seed + seeds - 1. quick: less training, fewer samples.
    certify: compare with Lava.
    """

    encoder: str = "lif"
    profile: str = "loihi2"
    seeds: int = 1
    seed: int = 0
    quick: bool = False
    certify: bool = True


@dataclass(frozen=True)
class Outcome:
    """A report (JSON-able), the function that says it as text, and the check that ends a run.

    verify: raises VerificationMismatch where spikes that must be equal were not; the report is written
    and printed before.
    """

    report: dict[str, Any]
    text: Callable[[Mapping[str, Any]], str]
    verify: Callable[[], None]
