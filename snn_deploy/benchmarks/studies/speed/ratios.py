"""The figures of ``bench speed`` that count: quotients of what one run measured, and what they must reach."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

_VAR_GET, _OUR_LAYOUT = "stream read by Var.get, end to end", "our layout, end to end"


def ratios(entry: Mapping[str, Any]) -> dict[str, Any]:
    """One network's ratios; entry: "engine", "peers" and, where it was measured, "lava".

    over peers, over kernels: our fastest kernel over each, {row: {batch: ratio}}. over Lava: our best
    batch over each way to run Lava. kernels over Lava's run, kernels over the fastest: each kernel's best
    batch. What has no measurement is left out.
    """
    engine, peers = entry["engine"], entry["peers"].get("samples_per_second", {})
    kernels, fastest = engine["samples_per_second"], engine["kernel"]
    ours = kernels[fastest]
    best = {name: max(by_batch.values()) for name, by_batch in kernels.items()}
    others = {name: by_batch for name, by_batch in kernels.items() if name != fastest}
    found: dict[str, Any] = {
        "over peers": _by_batch(ours, peers),
        "over kernels": _by_batch(ours, others),
        "kernels over the fastest": {name: best[name] / best[fastest] for name in others},
        "ns per neuron-step": 1e9 / best[fastest] / engine["neuron_steps"],
        "synops per second": best[fastest] * engine["synops_stored"],
        "marginal synops per second": marginal(engine["densities"]),
    }
    if engine["threads"]:
        found["two threads over one"] = engine["threads"]["two"] / engine["threads"]["one"]
    lava = entry.get("lava", {}).get("samples_per_second")
    if lava:
        found["over Lava"] = {way: best[fastest] / speed for way, speed in lava.items()}
        found["kernels over Lava's run"] = {name: speed / lava["run"] for name, speed in best.items()}
        if _VAR_GET in lava:
            found["Lava, our layout over Var.get"] = lava[_OUR_LAYOUT] / lava[_VAR_GET]
    ceiling = engine["machine"]["additions_per_second"].get(fastest)
    if ceiling:
        found["share of load-and-add"] = found["synops per second"] / ceiling
        found["marginal share of load-and-add"] = found["marginal synops per second"] / ceiling
    return found


def marginal(densities: Sequence[Mapping[str, float]]) -> float:
    """Stored synaptic operations a second of those that the densest input adds to the sparsest.

    What a step costs without spikes is in both times, so this is the speed of the accumulation alone.
    """
    first, last = densities[0], densities[-1]
    return (last["synops_stored"] - first["synops_stored"]) / (last["seconds"] - first["seconds"])


def _by_batch(
    ours: Mapping[str, float], others: Mapping[str, Mapping[str, float]]
) -> dict[str, dict[str, float]]:
    return {
        name: {batch: ours[batch] / speed for batch, speed in by_batch.items()}
        for name, by_batch in others.items()
    }


@dataclass(frozen=True)
class Target:
    """A ratio that must reach ``limit``; ``path``: where :func:`ratios` holds it."""

    network: str
    title: str
    path: tuple[str, ...]
    limit: float

    def value(self, found: Mapping[str, Any]) -> float | None:
        """The ratio, or None where this run did not measure it."""
        value: Any = found
        for key in self.path:
            value = value.get(key) if isinstance(value, Mapping) else None
        return None if value is None else float(value)


def _batches(network: str, row: str, limits: Mapping[str, float]) -> list[Target]:
    return [
        Target(network, f"over {row}, batch {batch}", ("over peers", row, batch), limit)
        for batch, limit in limits.items()
    ]


_FF = "feed-forward"
TARGETS = (
    Target(_FF, "over stock Lava streaming, run only", ("over Lava", "run"), 4000),
    Target(_FF, "the same, Lava on one core too", ("over Lava", "run, on one core"), 4000),
    Target(_FF, "over stock Lava streaming, end to end", ("over Lava", "end to end"), 5000),
    *_batches(_FF, "Norse", {"1": 400, "32": 35, "256": 20}),
    *_batches(_FF, "Norse torch.compile", {"1": 130, "32": 20, "256": 14}),
    *_batches(_FF, "JAX spyx", {"32": 7, "256": 7}),
    *_batches(_FF, "JAX by hand", {"32": 7, "256": 7}),
    Target(_FF, "share of load-and-add, overall", ("share of load-and-add",), 0.5),
    Target(_FF, "NumPy kernel over Lava's run", ("kernels over Lava's run", "numpy"), 100),
    Target(_FF, "portable C kernel over Lava's run", ("kernels over Lava's run", "portable"), 1000),
    Target(_FF, "AVX2 kernel over AVX-512", ("kernels over the fastest", "avx2"), 0.5),
    Target(_FF, "two threads over one", ("two threads over one",), 1.8),
    *_batches("recurrent", "Norse", {"1": 350, "32": 30, "256": 20}),
    *_batches("convolutional", "Norse", {"128": 5}),
)


def judged(ratios_of: Mapping[str, Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Every target that this run measured; ratios_of: network -> :func:`ratios`."""
    rows = []
    for target in TARGETS:
        value = target.value(ratios_of.get(target.network, {}))
        if value is not None:
            rows.append(
                {
                    "network": target.network,
                    "title": target.title,
                    "at_least": target.limit,
                    "value": value,
                    "holds": value >= target.limit,
                }
            )
    return rows
