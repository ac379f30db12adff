"""The figures that quantisation must reach on inputs that calibration did not see."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

FEED_FORWARD, RECURRENT = "feed-forward 40-64-10", "recurrent 40-64-10"
SLOW = "tau_mem = 300 dt, 40-64-32"
HEAVY = "heavy-tailed 256-256rec-128-512"
HEAVY_4, HEAVY_STRONG = "the same, 4 degrees of freedom", "the same, strong recurrence"


@dataclass(frozen=True)
class Target:
    """One limit: the mean over samples and seeds (or its magnitude) must not lie beyond ``limit``."""

    subject: str
    bits: int
    level: str
    metric: str
    sense: Literal["<=", ">=", "|.| <="]
    limit: float

    def holds(self, value: float) -> bool:
        """Whether ``value`` keeps to the limit."""
        if self.sense == ">=":
            return value >= self.limit
        return (abs(value) if self.sense == "|.| <=" else value) <= self.limit


def _heavy_tailed(subject: str) -> tuple[Target, ...]:
    """The same limits for every network with heavy tails, whether it can keep them or not."""
    return (
        Target(subject, 8, "5", "hidden count error", "<=", 0.032),
        Target(subject, 8, "5", "output count error", "<=", 0.05),
        Target(subject, 8, "5", "hidden spike Jaccard", ">=", 0.78),
        Target(subject, 8, "5", "synaptic operations", "<=", 1.2),
        Target(subject, 8, "5", "cosine with float", ">=", 0.997),
        Target(subject, 8, "5", "top-10 overlap", ">=", 0.96),
        Target(subject, 4, "5", "hidden count error", "<=", 0.10),
        Target(subject, 4, "5", "task loss", "<=", 0.015),
        Target(subject, 4, "5", "cosine with float", ">=", 0.99),
        Target(subject, 4, "5", "top-10 overlap", ">=", 0.92),
    )


TARGETS = (
    Target(FEED_FORWARD, 8, "1", "hidden count error", "<=", 0.004),
    Target(FEED_FORWARD, 8, "1", "task loss", "<=", 0.01),
    Target(FEED_FORWARD, 4, "5", "hidden count error", "<=", 0.045),
    Target(FEED_FORWARD, 4, "5", "task loss", "<=", 0.015),
    Target(RECURRENT, 8, "1", "hidden count error", "<=", 0.011),
    Target(RECURRENT, 8, "1", "task loss", "<=", 0.01),
    Target(RECURRENT, 4, "5", "hidden count error", "<=", 0.045),
    Target(RECURRENT, 4, "5", "task loss", "<=", 0.015),
    *_heavy_tailed(HEAVY),
    *_heavy_tailed(HEAVY_4),
    *_heavy_tailed(HEAVY_STRONG),
    Target(SLOW, 8, "1", "count bias", "|.| <=", 0.003),
)
"""Limits of the mean; figures without one are printed beside them."""
