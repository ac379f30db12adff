"""The figures that quantisation must reach on inputs that calibration did not see."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

FEED_FORWARD, RECURRENT = "feed-forward 40-64-10", "recurrent 40-64-10"
HEAVY, SLOW = "heavy-tailed 256-256rec-128-512", "tau_mem = 300 dt, 40-64-32"


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


TARGETS = (
    Target(FEED_FORWARD, 8, "1", "hidden count error", "<=", 0.004),
    Target(FEED_FORWARD, 8, "1", "task loss", "<=", 0.01),
    Target(FEED_FORWARD, 4, "5", "hidden count error", "<=", 0.045),
    Target(FEED_FORWARD, 4, "5", "task loss", "<=", 0.015),
    Target(RECURRENT, 8, "1", "hidden count error", "<=", 0.011),
    Target(RECURRENT, 8, "1", "task loss", "<=", 0.01),
    Target(RECURRENT, 4, "5", "hidden count error", "<=", 0.045),
    Target(RECURRENT, 4, "5", "task loss", "<=", 0.015),
    Target(HEAVY, 8, "5", "hidden count error", "<=", 0.032),
    Target(HEAVY, 8, "5", "output count error", "<=", 0.05),
    Target(HEAVY, 8, "5", "hidden spike Jaccard", ">=", 0.78),
    Target(HEAVY, 8, "5", "synaptic operations", "<=", 1.2),
    Target(HEAVY, 8, "5", "cosine with float", ">=", 0.997),
    Target(HEAVY, 8, "5", "top-10 overlap", ">=", 0.96),
    Target(HEAVY, 4, "5", "hidden count error", "<=", 0.10),
    Target(HEAVY, 4, "5", "task loss", "<=", 0.015),
    Target(HEAVY, 4, "5", "cosine with float", ">=", 0.99),
    Target(HEAVY, 4, "5", "top-10 overlap", ">=", 0.92),
    Target(SLOW, 8, "1", "count bias", "|.| <=", 0.003),
)
"""Limits of the mean; figures without one are printed beside them."""
