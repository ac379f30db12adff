"""``bench emoji-captions``: train, convert, certify, recall, and count, over one or several seeds."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from snn_deploy.benchmarks.metrics.chains import HOPS, six_hop_recall
from snn_deploy.benchmarks.emoji_pictures import draw
from snn_deploy.benchmarks.energy import Recalls, energy_section
from snn_deploy.benchmarks.metrics import retrieval
from snn_deploy.benchmarks.metrics.estimate import Estimate
from snn_deploy.benchmarks.outcome import BenchOptions, Outcome, Stage
from snn_deploy.benchmarks.rapl import Rapl
from snn_deploy.benchmarks.report import write_report
from snn_deploy.benchmarks.tasks import emoji_captions as task
from snn_deploy.benchmarks.tasks.emoji_data import load_data
from snn_deploy.benchmarks.tasks.emoji_recall import (
    DIRECTIONS,
    Deployed,
    Embedded,
    baseline_ranks,
    calibration_spikes,
)
from snn_deploy.benchmarks.texts import emoji_text
from snn_deploy.convert.artifact import Artifact
from snn_deploy.convert.certificate import Certificate
from snn_deploy.deploy import backends
from snn_deploy.deploy.conversion import Options, convert_graph
from snn_deploy.deploy.parity import TARGET_NEURON_STEPS, compare
from snn_deploy.hw_profiles.counts import HostCounts

ENGINES = ("float", "fixed")


@dataclass(frozen=True)
class _Run:
    """One trained seed, kept until the table is made."""

    deployed: Deployed
    ranks: Mapping[str, Mapping[str, NDArray[np.int64]]]
    asked: Mapping[str, Embedded]
    chain: Mapping[str, Any]
    seconds: Mapping[str, float]

    @property
    def artifact(self) -> Artifact:
        return self.deployed.artifact


def run(options: BenchOptions, folder: Path, stage: Stage) -> Outcome:
    """Run the task and write its report; raises as training, conversion and Lava do.

    Also writes model-SEED.pt and model-SEED.snn of each seed into ``folder``.
    """
    started = time.perf_counter()
    seeds = range(options.seed, options.seed + options.seeds)
    runs = [_one_seed(options, seed, folder, stage) for seed in seeds]
    first = runs[0]
    seconds = {f"seed {r.deployed.seed}: {k}": v for r in runs for k, v in r.seconds.items()}
    clock = time.perf_counter()
    certificate = _certify(first.deployed, stage) if options.certify else None
    seconds["parity"] = time.perf_counter() - clock
    stage("baselines")
    keys = list(first.ranks["fixed"])
    sizes = {split: len(load_data().rows(split)) for split in task.SPLITS}
    report = {
        "task": task.NAME,
        "n": sizes,
        "seeds": list(seeds),
        "split": task.SPLIT_STATEMENT,
        "metrics": {key: _metrics(key, runs) for key in keys},
        "drop": {key: _drop([key], runs).to_json() for key in keys},
        "drop_pooled": _drop(keys, runs).to_json(),
        "chance": {key: retrieval.chance(sizes[key.split(":")[0]]) for key in keys},
        "baselines": _baselines(options.seed),
        "chain": dict(first.chain),
        "activity": {key: first.asked[key].cost_per_query() for key in keys},
        "energy": _energy(first, sizes, options.profile),
        "parity": None if certificate is None else certificate.to_json(),
        "quantisation": dict(first.artifact.network.report),
        "seconds": {**seconds, "total": time.perf_counter() - started},
        "versions": dict(first.artifact.provenance["versions"]),
        "config": vars(options),
    }
    stage("drawing the report")
    page = write_report(folder, report, draw(report, first.deployed))
    return Outcome(
        {**report, "page": str(page)},
        emoji_text,
        lambda: None if certificate is None else certificate.require_equal(str(folder)),
    )


def _one_seed(options: BenchOptions, seed: int, folder: Path, stage: Stage) -> _Run:
    seconds: dict[str, float] = {}
    clock = time.perf_counter()

    def lap(name: str) -> None:
        nonlocal clock
        seconds[name] = time.perf_counter() - clock
        clock = time.perf_counter()

    stage(f"seed {seed}: training {options.encoder} towers in Norse")
    module, config, _ = task.train(options.encoder, seed=seed, quick=options.quick)
    lap("train")
    stage(f"seed {seed}: converting to {options.profile} integers")
    deployed = _deploy(module, config, options, seed, folder)
    lap("convert")
    ranks: dict[str, Mapping[str, NDArray[np.int64]]] = {}
    asked: Mapping[str, Embedded] = {}
    for engine in ENGINES:
        stage(f"seed {seed}: recall on the {engine} engine")
        ranks[engine], asked = deployed.recall(engine)
        lap(f"recall {engine}")
    stage(f"seed {seed}: chains of {HOPS} hops")
    chain = six_hop_recall(*deployed.captions_twice(), seed)
    lap("chains")
    return _Run(deployed, ranks, asked, chain, seconds)


def _deploy(module: Any, config: Any, options: BenchOptions, seed: int, folder: Path) -> Deployed:
    """Save the trained towers and convert the file, as ``train`` and ``convert`` do."""
    from snn_deploy.convert.frontends import read_model
    from snn_deploy.convert.frontends.norse.checkpoint import save_checkpoint

    model = folder / f"model-{seed}.pt"
    save_checkpoint(model, module, config)
    whitening = task.stored_whitening(module)
    source = read_model(model)
    steps = int(config.metadata["steps"])
    artifact = convert_graph(
        source.graph,
        Options(profile=options.profile, seed=seed),
        {**source.provenance, "source": model.name, "steps": steps},
        calibration_spikes(steps, seed, whitening),
    )
    artifact.save(model.with_suffix(".snn"))
    return Deployed(artifact, whitening, seed)


def _certify(deployed: Deployed, stage: Stage) -> Certificate:
    neurons = sum(population.neurons for population in deployed.artifact.network.populations)
    samples = -(-TARGET_NEURON_STEPS // (neurons * deployed.steps))
    stage(f"parity with Lava on {samples} queries")
    return compare(deployed.artifact, deployed.query_spikes(samples))


def _stack(key: str, engine: str, runs: list[_Run]) -> NDArray[np.int64]:
    return np.stack([r.ranks[engine][key] for r in runs])


def _metrics(key: str, runs: list[_Run]) -> dict[str, Any]:
    by_engine = {engine: retrieval.summarise(_stack(key, engine, runs)) for engine in ENGINES}
    return {name: {e: by_engine[e][name].to_json() for e in ENGINES} for name in by_engine["fixed"]}


def _drop(keys: list[str], runs: list[_Run]) -> Estimate:
    """Recall@1 lost from float to fixed over all queries of ``keys``: every query counts once."""
    before, after = (np.concatenate([_stack(k, engine, runs) for k in keys], axis=1) for engine in ENGINES)
    return retrieval.drop(before, after)


def _baselines(seed: int) -> dict[str, Any]:
    return {
        key: {
            method: {metric: e.to_json() for metric, e in retrieval.summarise(found[None]).items()}
            for method, found in methods.items()
        }
        for split in task.SPLITS
        for key, methods in baseline_ranks(split, seed).items()
    }


def _energy(first: _Run, sizes: Mapping[str, int], profile: str) -> dict[str, Any]:
    """Events and joules of the unseen queries; an item is a drawing and a caption, one query each."""
    asked = first.asked[f"unseen: {DIRECTIONS[0].name}"].vectors
    items, dimensions = asked.shape
    inputs = first.deployed.query_spikes(items)
    result = backends.get("fixed").run(first.artifact, inputs)
    macs = len(DIRECTIONS) * items * items * dimensions
    recalls = Recalls(
        correct_per_item=sum(
            float(retrieval.hit_at(first.ranks["fixed"][f"unseen: {direction.name}"], 1).mean())
            for direction in DIRECTIONS
        ),
        stored_items=items,
        raw_dimensions=int(np.prod(load_data().drawings.shape[1:])),
        host=HostCounts(len(DIRECTIONS) * items, macs, 0, 4 * macs),
        host_energy=Rapl().measure(lambda: retrieval.ranks(asked, asked)),
    )
    section = energy_section(first.artifact.network, result, inputs, profile, recalls)
    return {
        "proxy": "event counts of the fixed engine; one query, mean over queries",
        "joules": section.pop("statement"),
        "host_multiply_accumulates": {split: dimensions * n for split, n in sizes.items()},
        "item": "one noisy drawing and one caption, both towers, a query each",
        **section,
    }
