"""Everything a profile says about a network in one value: fit, placement, counts, energy, latency."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from snn_deploy.hw_profiles.baselines import Baseline, BreakEven, baselines, break_even
from snn_deploy.hw_profiles.counts import Counts, HostCounts, count
from snn_deploy.hw_profiles.description import Activity, NetworkDescription
from snn_deploy.hw_profiles.energy import EnergyReport, energy
from snn_deploy.hw_profiles.fit import FitReport, fit
from snn_deploy.hw_profiles.latency import Latency, core_load, latency
from snn_deploy.hw_profiles.placement import Mesh, Placement, anneal, place, traffic
from snn_deploy.hw_profiles.registry import load
from snn_deploy.hw_profiles.schema import Profile

ARITHMETIC_PROFILE = "cpu45nm"
"""Prices baselines, and the network beside them, where a chip has no prices of arithmetic."""


@dataclass(frozen=True)
class Choices:
    """What a caller may choose.

    chips, cores: at most so many. co_locate: small layers share cores. annealed, seed: improve the
    placement. step_seconds: length of a step, for idle power. stored_items, dimensions: the memory that a
    search over raw embeddings would go through.
    """

    chips: int | None = None
    cores: int | None = None
    co_locate: bool = True
    annealed: bool = False
    seed: int = 0
    step_seconds: float | None = None
    stored_items: int = 0
    dimensions: int = 0


DEFAULT_CHOICES = Choices()


@dataclass(frozen=True, eq=False)
class Assessment:
    """The answer. placement is None where the profile has no mesh.

    reference_energy: the same run under the profile that prices the baselines.
    """

    fit: FitReport
    placement: Placement | None
    placed_at_random: float | None
    counts: Counts
    energy: EnergyReport
    latency: Latency
    reference_energy: EnergyReport
    baselines: tuple[Baseline, ...]
    break_even: BreakEven | None

    def as_dict(self) -> dict[str, Any]:
        """A record for JSON."""
        even = self.break_even
        return {
            **self.fit.as_dict(),
            "placement": None if self.placement is None else self._placement(self.placement),
            "counts": self.counts.as_dict(),
            "energy": self.energy.as_dict(),
            "latency": self.latency.as_dict(),
            "reference_energy": self.reference_energy.as_dict(),
            "baselines": [asdict(baseline) for baseline in self.baselines],
            "break_even": None if even is None else asdict(even),
        }

    def _placement(self, placement: Placement) -> dict[str, Any]:
        cores = [
            {
                "core": core.index,
                "tile": placement.sites[core.index].tolist(),
                "layers": [
                    {"name": part.layer, "start": part.start, "stop": part.stop} for part in core.slices
                ],
                "use": core.use,
            }
            for core in self.fit.partition.cores
        ]
        return {
            "order": placement.order,
            "tiles": placement.tiles,
            "hops_per_step": placement.total_hops,
            "hops_per_step_at_random": self.placed_at_random,
            "hops_per_packet": placement.hops_per_packet,
            "packets_per_spike": placement.packets_per_spike,
            "packets_per_step": placement.traffic.packets,
            "interchip_packets_per_step": placement.interchip_packets,
            "cores": cores,
        }


def assess(
    network: NetworkDescription,
    profile: Profile,
    activity: Activity,
    choices: Choices = DEFAULT_CHOICES,
    host: HostCounts | None = None,
) -> Assessment:
    """Check, cut, place, count and price a network under a profile. Too large a network is no error here."""
    report = fit(
        network,
        profile,
        chips=choices.chips,
        cores=choices.cores,
        activity=activity,
        co_locate=choices.co_locate,
    )
    packets = traffic(network, report.partition, activity)
    mesh = Mesh.of(profile)
    placement = at_random = None
    if mesh is not None:
        placement = place(packets, mesh, report.chips)
        at_random = place(packets, mesh, report.chips, "random", choices.seed).total_hops
        if choices.annealed:
            placement = anneal(placement, report.chips, choices.seed)
    counts = count(network, profile, report.partition, activity, placement=placement, host=host)
    load_of_cores = core_load(network, profile, report.partition, packets, activity)
    reference = profile if profile.arithmetic is not None else load(ARITHMETIC_PROFILE)
    prices = reference.arithmetic
    spiking = energy(count(network, reference, report.partition, activity), reference)
    return Assessment(
        fit=report,
        placement=placement,
        placed_at_random=at_random,
        counts=counts,
        energy=energy(counts, profile, choices.step_seconds),
        latency=latency(
            load_of_cores, profile, placement.tiles if placement is not None else 1, activity.steps
        ),
        reference_energy=spiking,
        baselines=()
        if prices is None
        else baselines(
            network,
            prices,
            spiking,
            activity.steps,
            stored_items=choices.stored_items,
            dimensions=choices.dimensions,
        ),
        break_even=None if prices is None else break_even(network, prices, activity),
    )
