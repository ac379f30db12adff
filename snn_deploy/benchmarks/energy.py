"""The energy section of a benchmark report: counts first, then joules as intervals, floor and baselines."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from snn_deploy.benchmarks.neurobench_counts import neurobench_counts
from snn_deploy.benchmarks.rapl import Measured
from snn_deploy.deploy.fitting import assess_run
from snn_deploy.engine.result import RunResult
from snn_deploy.hw_profiles import load
from snn_deploy.hw_profiles.assessment import Assessment, Choices
from snn_deploy.hw_profiles.counts import HostCounts
from snn_deploy.hw_profiles.energy import EnergyReport, Joules, per_correct
from snn_deploy.network.quantised import QuantisedNetwork


@dataclass(frozen=True)
class Recalls:
    """What the run was for.

    correct_per_item: right answers that an item of the run yields on average. stored_items: vectors in
    the memory. raw_dimensions: length of an item that no network has seen. host: the memory's work in the
    whole run. host_energy: the measured energy of that work, if this machine can measure.
    """

    correct_per_item: float
    stored_items: int
    raw_dimensions: int
    host: HostCounts
    host_energy: Measured


def energy_section(
    network: QuantisedNetwork,
    result: RunResult,
    inputs: Mapping[str, NDArray[np.uint8]],
    profile: str,
    recalls: Recalls,
) -> dict[str, Any]:
    """Counts, joules, latency, baselines and break-even of a run under ``profile``, for JSON.

    Where the profile has no prices but may inherit some, ``inherited`` holds the same joules under each
    donor's, labelled in every row.
    """
    choices = Choices(stored_items=recalls.stored_items, dimensions=recalls.raw_dimensions)
    answer = assess_run(network, result, inputs, profile, choices, host=recalls.host)
    record = answer.as_dict()
    donors = load(profile).energy.inheritable_from
    heirs = {name: assess_run(network, result, inputs, profile, choices, inherit=name) for name in donors}
    return {
        **{key: record[key] for key in ("profile", "fits", "cores", "chips", "board", "counts", "latency")},
        "priced": _joules(answer.energy, recalls),
        "inherited": {name: _joules(heir.energy, recalls) for name, heir in heirs.items()},
        "baselines": record["baselines"],
        "reference_energy": record["reference_energy"],
        "break_even": record["break_even"],
        "host_energy": recalls.host_energy.as_dict(),
        "neurobench_compatible": neurobench_counts(network, result),
        "statement": _statement(answer, heirs, recalls),
    }


def _joules(report: EnergyReport, recalls: Recalls) -> dict[str, Any]:
    """The report of a chip's energy, and what a correct recall costs."""
    parts = {"marginal": report.marginal, "floor": report.floor, "total": report.total}
    correct = {name: _per_correct(report, joules, recalls) for name, joules in parts.items()}
    return {
        **report.as_dict(),
        "per_correct_recall": {k: "unavailable" if v is None else asdict(v) for k, v in correct.items()},
    }


def _per_correct(report: EnergyReport, joules: Joules | None, recalls: Recalls) -> Joules | None:
    return None if joules is None else per_correct(report.per_item(joules), recalls.correct_per_item)


def _statement(answer: Assessment, heirs: Mapping[str, Assessment], recalls: Recalls) -> str:
    """One line for people: marginal joules of a correct recall, with interval and label, or why not."""
    name = answer.fit.profile.name
    own = _per_correct(answer.energy, answer.energy.marginal, recalls)
    if own is not None:
        return f"{_interval(own)} a correct recall by the cores of {name} (proxy; without the floor)"
    said = [f"unavailable: no public source prices an operation of {name}"]
    for heir in heirs.values():
        joules = _per_correct(heir.energy, heir.energy.marginal, recalls)
        if joules is not None:
            said.append(
                f"{_interval(joules)} a correct recall by prices {heir.energy.label} (proxy; no floor)"
            )
    return "; ".join(said)


def _interval(joules: Joules) -> str:
    return f"{joules.nominal:.2e} J [{joules.low:.2e}, {joules.high:.2e}]"
