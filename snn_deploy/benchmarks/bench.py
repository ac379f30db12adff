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
from snn_deploy.benchmarks.deployed import Deployed, activity_of, sum_of_layers
from snn_deploy.benchmarks.energy import energy_section
from snn_deploy.benchmarks.metrics.estimate import Estimate, Estimator, mean, mean_of_units
from snn_deploy.benchmarks.models import encoder_of, given_network, model_of, of, trained_network
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
        task = registry.load_task(name).with_data(options.data)
    except UsageError as error:
        raise UsageError(_with_studies(violation) for violation in error.violations) from None
    _check(options)
    task = task.for_encoder(options.encoder if options.model is None else encoder_of(options.model))
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
class _Run:
    """One network, of a seed and a fold, kept until the record is made."""

    task: Task
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
        one = options.quick or options.model is not None
        folds = [task.with_fold(fold) for fold in range(1 if one else task.folds)]
        runs = [_one_network(part, options, seed, folder, stage) for seed in seeds for part in folds]
        with laps.lap("parity"):
            certificate = _certify(runs[0].task, runs[0].network, stage) if options.certify else None
        stage("baselines")
        parts = _record(task, options, runs, certificate)
    seconds = {f"{of(r.task, r.seed)}: {name}": lap for r in runs for name, lap in r.seconds.items()}
    found = record.Record.model_validate({**parts, "seconds": {**seconds, **laps.seconds}})
    stage("drawing the report")
    record.write(found, folder)
    page = write_page(folder, found, runs[0].task, runs[0].network)
    if options.model is None:
        for run in runs:
            state_beside(model_of(run.task, folder, run.seed)).unlink(missing_ok=True)
    return Outcome(
        {**found.document(), "page": str(page)},
        record_text,
        lambda: None if certificate is None else certificate.require_equal(str(folder)),
    )


def _one_network(task: Task, options: BenchOptions, seed: int, folder: Path, stage: Stage) -> _Run:
    laps = _Laps()
    if options.model is None:
        network = trained_network(task, options, seed, folder, stage, laps.lap)
    else:
        with laps.lap("convert"):
            stage(f"taking {options.model}")
            network = given_network(task, options, options.model, folder)
    answers = {}
    for engine in ENGINES:
        stage(f"{of(task, seed)}: {task.main_metric} on the {engine} engine")
        with laps.lap(f"{engine} engine"):
            answers[engine] = _checked(task, task.answers(network, engine))
    with laps.lap("chains"):
        chain = task.chain(network)
    with laps.lap("trained baselines"):
        baselines = task.trained_baselines(network)
    return _Run(task, network, answers, chain, baselines, laps.seconds)


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
    task: Task, options: BenchOptions, runs: list[_Run], certificate: Certificate | None
) -> dict[str, object]:
    """Every field of the record but the seconds."""
    first = runs[0]
    queries = list(task.queries())
    baselines = _baselines(task, runs)
    return {
        "task": task.name,
        "about": registry.about(registry.source_of(task)),
        "n": _sizes(runs),
        "seeds": tuple(dict.fromkeys(run.seed for run in runs)),
        "split": task.split,
        "metrics": {query: _metrics(task, query, runs) for query in queries},
        "drop": {query: _drop(task, [query], runs) for query in queries},
        "drop_pooled": _drop(task, queries, runs),
        "chance": {query: dict(values) for query, values in task.chance().items()},
        "baselines": {
            query: {method: _estimates(runs, query, values) for method, values in methods.items()}
            for query, methods in baselines.items()
        },
        "margins": {query: _margins(query, runs, baselines[query]) for query in queries},
        "chain": first.chain,
        "activity": {query: _activity(query, runs) for query in queries},
        "energy": energy_section(first.task, first.network, first.answers["fixed"], options.profile),
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


def _activity(query: str, runs: list[_Run]) -> record.Activity:
    """Events of a query on the integers, means over all seeds and items."""
    read = [run.answers["fixed"].read[query] for run in runs]
    layers = [sum_of_layers(rows) for rows in zip(*(readings.layers for readings in read), strict=True)]
    return activity_of(layers, sum(len(readings.counts) for readings in read))


def _stack(query: str, metric: str, engine: str, runs: list[_Run]) -> NDArray[np.float64]:
    """Values (seeds, items); the items of all folds."""
    by_seed = _by_seed(runs).values()
    return np.stack(
        [np.concatenate([run.answers[engine].values[query][metric] for run in folds]) for folds in by_seed]
    )


def _by_seed(runs: list[_Run]) -> dict[int, list[_Run]]:
    """The runs of each seed, one a fold."""
    return {run.seed: [other for other in runs if other.seed == run.seed] for run in runs}


def _sizes(runs: list[_Run]) -> dict[str, int]:
    """Items of each split, of all folds."""
    folds = [run.task.sizes() for run in next(iter(_by_seed(runs).values()))]
    return {split: sum(sizes[split] for sizes in folds) for split in folds[0]}


def _metrics(task: Task, query: str, runs: list[_Run]) -> dict[str, dict[str, Estimate]]:
    """The items are the independent unit: their values are means over seeds."""
    return {
        name: {
            engine: _estimate(runs, query, estimate, _stack(query, name, engine, runs).mean(axis=0))
            for engine in ENGINES
        }
        for name, estimate in task.metrics.items()
    }


def _estimate(runs: list[_Run], query: str, estimate: Estimator, values: NDArray[np.float64]) -> Estimate:
    """The figure of a query's items; where they come in units, with an interval over these."""
    units = _units(runs, [query])
    return estimate(values) if units is None else mean_of_units(values, units)


def _units(runs: list[_Run], queries: list[str]) -> NDArray[np.int64] | None:
    """Units of the items of all queries and folds; None where an item is a unit."""
    folds = next(iter(_by_seed(runs).values()))
    found: list[NDArray[np.int64]] = []
    first = 0
    for query in queries:
        for run in folds:
            units = run.task.units(query)
            if units is None:
                return None
            found.append(first + units)
            first += int(units.max()) + 1
    return np.asarray(np.concatenate(found), dtype=np.int64)


def _drop(task: Task, queries: list[str], runs: list[_Run]) -> Estimate:
    """The main metric lost from float to fixed over all items of ``queries``, paired: each counts once."""
    before, after = (
        np.concatenate([_stack(query, task.main_metric, engine, runs) for query in queries], axis=1)
        for engine in ENGINES
    )
    lost = (before - after).mean(axis=0)
    units = _units(runs, queries)
    return mean(lost) if units is None else mean_of_units(lost, units)


def _baselines(task: Task, runs: list[_Run]) -> dict[str, dict[str, Values]]:
    """query -> method -> values of the items of all folds, their means over the seeds."""
    drawn = [[_all_baselines(run) for run in folds] for folds in _by_seed(runs).values()]  # seeds, folds
    found = drawn[0][0]
    missing = [query for query in task.queries() if not found.get(query)]
    if missing:
        raise UsageError(
            "every query needs the simplest baseline that could beat the network",
            where=f"{registry.source_of(task)}: baselines",
            found="none for " + ", ".join(missing),
        )
    return {
        query: {
            method: {
                name: np.mean(
                    [np.concatenate([fold[query][method][name] for fold in folds]) for folds in drawn], axis=0
                )
                for name in task.metrics
            }
            for method in methods
        }
        for query, methods in found.items()
    }


def _all_baselines(run: _Run) -> dict[str, dict[str, Values]]:
    """Those of the task, and those that were trained along with the network."""
    found = {query: dict(methods) for query, methods in run.task.baselines(run.seed).items()}
    for query, methods in run.trained_baselines.items():
        found.setdefault(query, {}).update(methods)
    return found


def _estimates(runs: list[_Run], query: str, values: Values) -> dict[str, Estimate]:
    metrics = runs[0].task.metrics
    return {name: _estimate(runs, query, estimate, values[name]) for name, estimate in metrics.items()}


def _margins(query: str, runs: list[_Run], baselines: Mapping[str, Values]) -> dict[str, Estimate]:
    """By how much the integers beat each baseline in the main metric, paired item by item."""
    metric = runs[0].task.main_metric
    own = _stack(query, metric, "fixed", runs).mean(axis=0)
    return {
        method: _estimate(runs, query, mean, own - values[metric]) for method, values in baselines.items()
    }
