"""What a check found: use, bound, verdict, where, and the way out."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any, Literal

from snn_deploy.errors import Violation
from snn_deploy.hw_profiles.quantity import Limit

Verdict = Literal["ok", "tight", "over", "unknown limit"]
TIGHT = 0.9
"""Above this share of a limit vendors' compilers have refused what the limit itself allows."""


@dataclass(frozen=True)
class Finding:
    """One limit against one network.

    where names the layer and core with the largest use. soft: the source doubts the bound, or the use
    is a worst case; going over it warns and does not refuse.
    """

    limit: str
    where: str
    used: float
    bound: float | None
    unit: str
    verdict: Verdict
    soft: bool = False
    remedy: str = ""
    note: str = ""
    status: str = ""
    source: tuple[str, ...] = ()

    @property
    def percent(self) -> float | None:
        """Use as a share of the bound, in percent."""
        if self.bound is None:
            return None
        return 100.0 * self.used / self.bound if self.bound else (0.0 if self.used == 0 else float("inf"))

    def as_dict(self) -> dict[str, Any]:
        """A record for JSON, with the percentage; null where it is unknown, and for a use without end."""
        endless = {"used": self.used, "percent": self.percent}
        return {**asdict(self), **{k: None if v == float("inf") else v for k, v in endless.items()}}

    def violation(self) -> Violation:
        """The finding as an error: what, where, found, allowed, and what to do."""
        side = "at least" if self.bound is not None and self.used < self.bound else "at most"
        return Violation(
            self.limit.replace("_", " "),
            self.where,
            f"{self.used:g} {self.unit}",
            "unknown" if self.bound is None else f"{side} {self.bound:g} {self.unit}",
            self.remedy,
        )


def judge(used: float, bound: float | None) -> Verdict:
    """ok, tight above 90 %, over above 100 %, or unknown limit."""
    if bound is None:
        return "unknown limit"
    if used > bound:
        return "over"
    return "tight" if used > TIGHT * bound else "ok"


def against(
    name: str, limit: Limit | None, uses: Iterable[tuple[str, float]], remedy: str, note: str = ""
) -> list[Finding]:
    """Judge the largest of several (where, use) against a limit; nothing where the chip has none."""
    worst = max(uses, key=lambda pair: pair[1], default=None)
    if limit is None or worst is None:
        return []
    where, used = worst
    return [
        Finding(
            name,
            where,
            used,
            limit.value,
            limit.unit,
            judge(used, limit.value),
            limit.soft,
            remedy,
            "; ".join(text for text in (note, limit.note) if text),
            limit.status,
            limit.source,
        )
    ]
