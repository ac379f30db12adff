"""The energy section of a benchmark's record: counts first, then joules as intervals, floor and baselines."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from numpy.typing import NDArray

from snn_deploy.benchmarks.deployed import Deployed
from snn_deploy.benchmarks.neurobench_counts import neurobench_counts
from snn_deploy.benchmarks.rapl import Rapl
from snn_deploy.benchmarks.record import EnergySection
from snn_deploy.benchmarks.task import Answers, Task, Workload
from snn_deploy.deploy.fitting import assess_run
from snn_deploy.engine.result import RunResult
from snn_deploy.hw_profiles import load
from snn_deploy.hw_profiles.assessment import Assessment, Choices
from snn_deploy.hw_profiles.energy import EnergyReport, Joules, per_correct
from snn_deploy.network.quantised import QuantisedNetwork


def energy_section(task: Task, network: Deployed, answers: Answers, profile: str) -> EnergySection:
    """Run the task's workload on the fixed engine and price it under ``profile``.

    answers: those of the fixed engine. Where the profile has no prices but may inherit some, ``inherited``
    holds the same joules under each donor's, labelled in every row.
    """
    work = task.workload(network, answers)
    inputs = {network.inputs[tower]: raster for tower, raster in work.inputs.items()}
    correct = sum(float(answers.values[query][task.main_metric].mean()) for query in work.queries)
    result = network.run("fixed", work.inputs)
    return EnergySection.model_validate(
        {
            "proxy": "event counts of the fixed engine; one query, mean over queries",
            "item": work.item,
            "split": work.split,
            "host_multiply_accumulates": dict(work.macs_per_query),
            **priced_run(network.network, result, inputs, profile, work, correct, task.answer),
        }
    )


def priced_run(  # noqa: PLR0917  the facts of a run
    network: QuantisedNetwork,
    result: RunResult,
    inputs: Mapping[str, NDArray[Any]],
    profile: str,
    work: Workload,
    correct_per_item: float,
    answer: str,
) -> dict[str, Any]:
    """Counts, joules, latency, baselines and break-even of a run.

    inputs: what was run, input name -> (samples, steps, ...). correct_per_item: right answers that an item
    yields on average; ``answer`` is what they are called.
    """
    flat = {name: raster.reshape(*raster.shape[:2], -1) for name, raster in inputs.items()}
    choices = Choices(stored_items=work.stored_items, dimensions=work.raw_dimensions)
    own = assess_run(network, result, flat, profile, choices, host=work.host)
    described = own.as_dict()
    donors = load(profile).energy.inheritable_from
    heirs = {
        name: assess_run(network, result, flat, profile, choices, inherit=name, host=work.host)
        for name in donors
    }
    kept = (
        "profile", "fits", "cores", "chips", "board", "counts", "latency",
        "baselines", "reference_energy", "break_even",
    )  # fmt: skip
    return {
        **{key: described[key] for key in kept},
        "priced": _joules(own.energy, correct_per_item),
        "inherited": {name: _joules(heir.energy, correct_per_item) for name, heir in heirs.items()},
        "host_energy": Rapl().measure(work.work).as_dict(),
        "neurobench_compatible": neurobench_counts(network, result, flat),
        "statement": _statement(own, heirs, correct_per_item, answer),
    }


def _joules(report: EnergyReport, correct: float) -> dict[str, Any]:
    """The report of a chip's energy, and what a right answer costs."""
    parts = {"marginal": report.marginal, "floor": report.floor, "total": report.total}
    each = {name: _per_correct(report, joules, correct) for name, joules in parts.items()}
    return {
        **report.as_dict(),
        "per_correct": {k: "unavailable" if v is None else asdict(v) for k, v in each.items()},
    }


def _per_correct(report: EnergyReport, joules: Joules | None, correct: float) -> Joules | None:
    return None if joules is None else per_correct(report.per_item(joules), correct)


def _statement(own: Assessment, heirs: Mapping[str, Assessment], correct: float, answer: str) -> str:
    """One line for people: marginal joules of a right answer, with interval and label, or why not."""
    name = own.fit.profile.name
    priced = _per_correct(own.energy, own.energy.marginal, correct)
    if priced is not None:
        return f"{_interval(priced)} a {answer} by the cores of {name} (proxy; without the floor)"
    said = [f"unavailable: no public source prices an operation of {name}"]
    for heir in heirs.values():
        joules = _per_correct(heir.energy, heir.energy.marginal, correct)
        if joules is not None:
            said.append(f"{_interval(joules)} a {answer} by prices {heir.energy.label} (proxy; no floor)")
    return "; ".join(said)


def _interval(joules: Joules) -> str:
    return f"{joules.nominal:.2e} J [{joules.low:.2e}, {joules.high:.2e}]"
