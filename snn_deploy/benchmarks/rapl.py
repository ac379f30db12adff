"""Energy of this machine's processor, from Intel's running average power limit (RAPL), where it exists.

Linux shows counters of microjoules under /sys/class/powercap/intel-rapl:N; they wrap around at
max_energy_range_uj. Without them (another processor, a virtual machine, no permission) the answer is
"not measured", with the reason, and never an estimate.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

POWERCAP = Path("/sys/class/powercap")
CONFIDENCE = 1.96
"""Half-width of a 95 % interval of the mean, in standard errors, under a normal distribution."""


@dataclass(frozen=True)
class Measured:
    """Joules of one call above the idle power: mean and 95 % interval over ``repeats`` calls.

    joules None: not measured, for ``reason``.
    """

    joules: float | None
    low: float | None = None
    high: float | None = None
    repeats: int = 0
    idle_watts: float | None = None
    reason: str = ""

    def as_dict(self) -> dict[str, object]:
        """A record for JSON; "not measured" and the reason where there is no counter."""
        if self.joules is None:
            return {"status": "not measured", "reason": self.reason}
        return {"status": "measured", "unit": "J", **vars(self)}


class Rapl:
    """The package counters of a machine; ``folder`` is where Linux shows them."""

    def __init__(self, folder: Path = POWERCAP) -> None:
        self._domains = sorted(path for path in folder.glob("intel-rapl:*") if path.name.count(":") == 1)
        self.reason = ""
        try:
            self._ranges = [int((path / "max_energy_range_uj").read_text()) for path in self._domains]
            self.read()
        except (OSError, ValueError) as error:
            self._domains, self.reason = [], f"RAPL cannot be read: {error}"
        if not self._domains and not self.reason:
            self.reason = f"no RAPL: {folder} has no intel-rapl domain"

    @property
    def available(self) -> bool:
        return bool(self._domains)

    def read(self) -> list[int]:
        """The counter of each package in microjoules."""
        return [int((path / "energy_uj").read_text()) for path in self._domains]

    def joules_between(self, before: list[int], after: list[int]) -> float:
        """Energy of all packages between two readings; a counter may have wrapped around once."""
        spans = zip(before, after, self._ranges, strict=True)
        return sum((b - a) % (limit + 1) for a, b, limit in spans) * 1e-6

    def measure(self, call: Callable[[], object], repeats: int = 10, idle_seconds: float = 1.0) -> Measured:
        """Run ``call`` several times and return what it took above the idle power measured just before."""
        if not self.available:
            return Measured(None, reason=self.reason)
        before, start = self.read(), time.perf_counter()
        time.sleep(idle_seconds)
        idle = self.joules_between(before, self.read()) / (time.perf_counter() - start)
        energies = []
        for _ in range(repeats):
            before, start = self.read(), time.perf_counter()
            call()
            seconds = time.perf_counter() - start
            energies.append(self.joules_between(before, self.read()) - idle * seconds)
        mean = sum(energies) / repeats
        spread = sum((energy - mean) ** 2 for energy in energies) / max(repeats - 1, 1)
        half = CONFIDENCE * (spread / repeats) ** 0.5
        return Measured(mean, mean - half, mean + half, repeats, idle)
