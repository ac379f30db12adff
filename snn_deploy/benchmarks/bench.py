"""The one driver: train or take a model, convert, certify, run each engine, score, count, record.

What is measured is the task's (:mod:`snn_deploy.benchmarks.task`); how, is here, the same for every task.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from snn_deploy.benchmarks import record, registry
from snn_deploy.benchmarks.deployed import Deployed
from snn_deploy.benchmarks.energy import energy_section
from snn_deploy.benchmarks.metrics.estimate import Estimate, mean
from snn_deploy.benchmarks.models import encoder_of, given_network, model_of, trained_network
from snn_deploy.benchmarks.outcome import BenchOptions, Outcome, Stage
from snn_deploy.benchmarks.task import Answers, Task, Values
from snn_deploy.benchmarks.training import state_beside
from snn_deploy.deploy.certificate import Certificate
from snn_deploy.deploy.parity import TARGET_NEURON_STEPS, compare
from snn_deploy.errors import UsageError, Violation

ENGINES = ("float", "fixed")


def run_bench(name: str, options: BenchOptions, folder: Path, stage: Stage) -> Outcome:
    """Run a task, by name or path, or a study, and write its report into ``folder``.

    stage: called with a line as each part begins. Raises UsageError for an unknown name and for an own task
    that is not complete, and what training, conversion and Lava raise.
    """
    if name in registry.studies():
        folder.mkdir(parents=True, exist_ok=True)
        return registry.load_study(name)(options, folder, stage)
    try:
        task = registry.load_task(name)
    except UsageError as error:
        raise UsageError(_with_studies(violation) for violation in error.violations) from None
    _check(options)
    task = task.with_encoder(options.encoder or encoder_of(options.model) or task.encoder)
    folder.mkdir(parents=True, exist_ok=True)
    with registry.blaming(registry.source_of(task)):
        return _run(task, options, folder, stage)


def _with_studies(violation: Violation) -> Violation:
    """An unknown task may have been meant as a study."""
    if violation.what != "unknown task":
        return violation
    allowed = ", ".join([*registry.tasks(), *registry.studies(), "or a path ending in .py"])
    return Violation(violation.what, violation.where, violation.found, allowed)


def _check(options: BenchOptions) -> None:
    if options.model is None and (options.dt is not None or options.reset is not None):
        raise UsageError("a trained model states these itself", where="--dt, --reset", remedy="Give --model.")
    if options.model is not None and options.seeds > 1:
        raise UsageError("one model is one network", where="--seeds", found=options.seeds, allowed="1")
    if options.model is not None and options.encoder is not None:
        raise UsageError("the model has its own encoder", where="--encoder", found=options.encoder)


@dataclass(frozen=True, eq=False)
class _Seed:
    """One network, kept until the record is made."""

    network: Deployed
    answers: Mapping[str, Answers]
    chain: record.Chain | None
    trained_baselines: Mapping[str, Mapping[str, Values]]
    seconds: Mapping[str, float]

    @property
    def seed(self) -> int:
        return self.network.seed


class _Laps:
    """Seconds of the parts of a run."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def lap(self, name: str) -> Iterator[None]:
        start = time.perf_counter()
        yield
        self.seconds[name] = time.perf_counter() - start


def _run(task: Task, options: BenchOptions, folder: Path, stage: Stage) -> Outcome:
    from snn_deploy.benchmarks.report.page import write_page
    from snn_deploy.benchmarks.report.text import record_text

    laps = _Laps()
    with laps.lap("total"):
        seeds = range(options.seed, options.seed + options.seeds)
        runs = [_one_seed(task, options, seed, folder, stage) for seed in seeds]
        with laps.lap("parity"):
            certificate = _certify(task, runs[0].network, stage) if options.certify else None
        stage("baselines")
        parts = _record(task, options, runs, certificate)
    seconds = {f"seed {r.seed}: {name}": lap for r in runs for name, lap in r.seconds.items()}
    found = record.Record.model_validate({**parts, "seconds": {**seconds, **laps.seconds}})
    stage("drawing the report")
    record.write(found, folder)
    page = write_page(folder, found, task, runs[0].network)
    if options.model is None:
        for run in runs:
            state_beside(model_of(folder, run.seed)).unlink(missing_ok=True)
    return Outcome(
        {**found.document(), "page": str(page)},
        record_text,
        lambda: None if certificate is None else certificate.require_equal(str(folder)),
    )


def _one_seed(task: Task, options: BenchOptions, seed: int, folder: Path, stage: Stage) -> _Seed:
    laps = _Laps()
    if options.model is None:
        network = trained_network(task, options, seed, folder, stage, laps.lap)
    else:
        with laps.lap("convert"):
            stage(f"taking {options.model}")
            network = given_network(task, options, options.model, folder)
    answers = {}
    for engine in ENGINES:
        stage(f"seed {seed}: {task.main_metric} on the {engine} engine")
        with laps.lap(f"{engine} engine"):
            answers[engine] = _checked(task, task.answers(network, engine))
    with laps.lap("chains"):
        chain = task.chain(network)
    with laps.lap("trained baselines"):
        baselines = task.trained_baselines(network)
    return _Seed(network, answers, chain, baselines, laps.seconds)


def _checked(task: Task, answers: Answers) -> Answers:
    """The answers, if every query has every metric with one finite value an item."""
    sizes = task.sizes()
    wanted = {
        (query, metric): (sizes[split],) for query, split in task.queries().items() for metric in task.metrics
    }
    found = {(q, m): np.shape(v) for q, values in answers.values.items() for m, v in values.items()}
    faults = [
        Violation(
            "a figure needs one value an item",
            where=f"{registry.source_of(task)}: {query}: {metric}",
            found=str(found.get((query, metric), "none")),
            allowed=str(wanted.get((query, metric), "none")),
        )
        for query, metric in dict.fromkeys([*wanted, *found])
        if found.get((query, metric)) != wanted.get((query, metric))
    ]
    if faults:
        raise UsageError(faults)
    return answers


def _certify(task: Task, network: Deployed, stage: Stage) -> Certificate:
    neurons = sum(population.neurons for population in network.network.populations)
    samples = -(-TARGET_NEURON_STEPS // (neurons * network.steps))
    stage(f"parity with Lava on {samples} queries")
    rasters = task.sample(network, samples)
    return compare(network.artifact, {network.inputs[tower]: raster for tower, raster in rasters.items()})


def _record(
    task: Task, options: BenchOptions, runs: list[_Seed], certificate: Certificate | None
) -> dict[str, object]:
    """Every field of the record but the seconds."""
    first = runs[0]
    queries = list(task.queries())
    return {
        "task": task.name,
        "about": registry.about(registry.source_of(task)),
        "n": dict(task.sizes()),
        "seeds": tuple(run.seed for run in runs),
        "split": task.split,
        "metrics": {query: _metrics(task, query, runs) for query in queries},
        "drop": {query: _drop(task, [query], runs) for query in queries},
        "drop_pooled": _drop(task, queries, runs),
        "chance": {query: dict(values) for query, values in task.chance().items()},
        "baselines": _baselines(task, options.seed, runs),
        "chain": first.chain,
        "activity": {query: first.answers["fixed"].read[query].activity() for query in queries},
        "energy": energy_section(task, first.network, first.answers["fixed"], options.profile),
        "parity": None if certificate is None else certificate.to_json(),
        "quantisation": dict(first.network.network.report),
        "versions": dict(first.network.artifact.provenance["versions"]),
        "config": record.Config(
            encoder=first.network.artifact.provenance.get("encoder", ""),
            profile=options.profile,
            seeds=options.seeds,
            seed=options.seed,
            quick=options.quick,
            certify=options.certify,
            model=None if options.model is None else options.model.name,
            dt=options.dt,
            reset=options.reset,
        ),
    }


def _stack(query: str, metric: str, engine: str, runs: list[_Seed]) -> NDArray[np.float64]:
    """Values (seeds, items)."""
    return np.stack([run.answers[engine].values[query][metric] for run in runs])


def _metrics(task: Task, query: str, runs: list[_Seed]) -> dict[str, dict[str, Estimate]]:
    """The items are the independent unit: their values are means over seeds."""
    return {
        name: {engine: estimate(_stack(query, name, engine, runs).mean(axis=0)) for engine in ENGINES}
        for name, estimate in task.metrics.items()
    }


def _drop(task: Task, queries: list[str], runs: list[_Seed]) -> Estimate:
    """The main metric lost from float to fixed over all items of ``queries``, paired: each counts once."""
    before, after = (
        np.concatenate([_stack(query, task.main_metric, engine, runs) for query in queries], axis=1)
        for engine in ENGINES
    )
    return mean((before - after).mean(axis=0))


def _baselines(task: Task, seed: int, runs: list[_Seed]) -> dict[str, dict[str, dict[str, Estimate]]]:
    found = {query: dict(methods) for query, methods in task.baselines(seed).items()}
    for query, methods in runs[0].trained_baselines.items():
        for method in methods:
            of_seeds = [run.trained_baselines[query][method] for run in runs]
            means = {name: np.mean([values[name] for values in of_seeds], axis=0) for name in task.metrics}
            found.setdefault(query, {})[method] = means
    missing = [query for query in task.queries() if not found.get(query)]
    if missing:
        raise UsageError(
            "every query needs the simplest baseline that could beat the network",
            where=f"{registry.source_of(task)}: baselines",
            found="none for " + ", ".join(missing),
        )
    return {
        query: {method: _estimates(task, values) for method, values in methods.items()}
        for query, methods in found.items()
    }


def _estimates(task: Task, values: Values) -> dict[str, Estimate]:
    return {name: estimate(values[name]) for name, estimate in task.metrics.items()}
