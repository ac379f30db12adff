"""``bench quantisation``: count errors, cost and retrieval of quantised networks against float.

Every figure is a mean over held-out samples of all seeds, with its n and 95 % interval; every quantised
network is compared with real Lava, spike by spike.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from snn_deploy.benchmarks.metrics.estimate import mean
from snn_deploy.benchmarks.report import write_json
from snn_deploy.benchmarks.studies.quantisation import measure, subjects
from snn_deploy.benchmarks.studies.quantisation.subjects import Subject
from snn_deploy.benchmarks.studies.quantisation.targets import (
    FEED_FORWARD,
    HEAVY,
    HEAVY_4,
    HEAVY_STRONG,
    RECURRENT,
    SLOW,
    TARGETS,
)
from snn_deploy.convert.artifact import Artifact
from snn_deploy.convert.calibration import observe
from snn_deploy.convert.quantise import DecayMatch, Evidence, Quantiser
from snn_deploy.convert.quantise.search import Search
from snn_deploy.deploy.parity import compare
from snn_deploy.errors import VerificationMismatch, Violation
from snn_deploy.hw_profiles import load
from snn_deploy.network.arrays import FloatArray
from snn_deploy.network.quantised import QuantisedNetwork

NAME = "quantisation"
_PROFILE = "loihi2"
#: Held-out samples a seed, and of these what is compared with Lava.
_SAMPLES, _QUICK_SAMPLES, _LAVA_SAMPLES = 1000, 400, 2

Stage = Callable[[str], None]


@dataclass(frozen=True)
class _Configuration:
    """One way to quantise: ``level`` is auto or a rung; gain: whether rounded decays are made up for."""

    bits: int
    level: str
    gain: bool = True

    @property
    def title(self) -> str:
        return f"{self.level}" if self.gain else f"{self.level}, no decay gain"


_HEAVY_TAILED = (
    _Configuration(8, "0"),
    _Configuration(8, "5"),
    _Configuration(8, "auto"),
    _Configuration(4, "5"),
)
_CONFIGURATIONS = {
    FEED_FORWARD: (
        _Configuration(8, "0"),
        _Configuration(8, "1"),
        _Configuration(4, "0"),
        _Configuration(4, "5"),
    ),
    RECURRENT: (
        _Configuration(8, "0"),
        _Configuration(8, "1"),
        _Configuration(4, "0"),
        _Configuration(4, "5"),
    ),
    HEAVY: (
        _Configuration(8, "0"),
        _Configuration(8, "5"),
        _Configuration(8, "auto"),
        _Configuration(4, "0"),
        _Configuration(4, "5"),
    ),
    HEAVY_4: _HEAVY_TAILED,
    HEAVY_STRONG: _HEAVY_TAILED,
    SLOW: (_Configuration(8, "1", gain=False), _Configuration(8, "1")),
}

#: By subject, bits (0 for the float network) and level.
Values = dict[tuple[str, int, str], dict[str, list[FloatArray]]]


def run(
    seeds: int, *, first_seed: int = 0, quick: bool = False, parity: bool = True, stage: Stage
) -> dict[str, Any]:
    """Quantise every subject in every configuration and return the report, JSON-able.

    seeds: networks of each kind, from ``first_seed`` upward. quick: fewer held-out samples. parity: compare
    every quantised network with Lava. stage: called with a line as each part begins.
    """
    samples = _QUICK_SAMPLES if quick else _SAMPLES
    values: Values = {}
    facts: list[dict[str, Any]] = []
    for seed in range(first_seed, first_seed + seeds):
        for make in _makers(samples):
            subject = make(seed)
            stage(f"{subject.name}, seed {seed}")
            facts += _measure(subject, values, parity)
    rows = [
        _row(key, metric, np.concatenate(parts))
        for key, found in values.items()
        for metric, parts in found.items()
    ]
    return {
        "task": NAME,
        "profile": _PROFILE,
        "seeds": list(range(first_seed, first_seed + seeds)),
        "held_out_samples_a_seed": samples,
        "rows": rows,
        "targets_hold": all(row["holds"] for row in rows if row["holds"] is not None),
        "networks": facts,
        "spikes_equal_lava": all(fact["equal_to_lava"] for fact in facts) if parity else None,
    }


def _makers(samples: int) -> Iterator[Callable[[int], Subject]]:
    yield lambda seed: subjects.trained(seed, samples, recurrent=False)
    yield lambda seed: subjects.trained(seed, samples, recurrent=True)
    yield lambda seed: subjects.heavy_tailed(seed, samples)
    yield lambda seed: subjects.heavy_tailed(seed, samples, name=HEAVY_4, freedom=4)
    yield lambda seed: subjects.heavy_tailed(seed, samples, name=HEAVY_STRONG, recurrence=1)
    yield lambda seed: subjects.slow(seed, samples // 4)


def _measure(subject: Subject, values: Values, parity: bool) -> list[dict[str, Any]]:
    """Add this subject's figures to ``values``; return what is known of each of its networks."""
    profile = load(_PROFILE)
    exact = measure.exact_rasters(subject)
    for metric, per_sample in measure.sensitivity(subject, exact).items():
        key = (subject.name, 0, f"float, +-{measure.PERTURBATION:.1%}")
        values.setdefault(key, {}).setdefault(metric, []).append(per_sample)
    evidence = observe(subject.network, profile, {subject.input: subject.calibration})
    single = Quantiser(subject.network, profile, evidence).network(dict.fromkeys(subject.nodes, 0))
    facts = []
    for configuration in _CONFIGURATIONS[subject.name]:
        seen = evidence if configuration.gain else _without_gain(evidence)
        search = Search(Quantiser(subject.network, profile, seen, configuration.bits))
        network, seconds = _quantise(search, configuration.level)
        integer = measure.integer_rasters(subject, network)
        found = measure.spike_metrics(subject, exact, integer) | measure.event_ratios(exact, network, single)
        if subject.classes:
            found |= measure.task_metrics(subject, exact, integer)
        if subject.fitting is not None:
            found |= measure.retrieval_metrics(subject, exact, integer)
        key = (subject.name, configuration.bits, configuration.title)
        for metric, per_sample in found.items():
            values.setdefault(key, {}).setdefault(metric, []).append(per_sample)
        facts.append(
            {
                "subject": subject.name,
                "seed": subject.seed,
                "bits": configuration.bits,
                "level": configuration.title,
                "levels": network.report["levels"],
                "planes": len(network.projections),
                "rates": {node: float(exact[node].mean()) for node in network.nodes},
                "chance": 1 / subject.classes if subject.classes else None,
                "cpu_seconds": seconds,
                "equal_to_lava": _equal_to_lava(subject, network) if parity else None,
            }
        )
    return facts


def _quantise(search: Search, level: str) -> tuple[QuantisedNetwork, float]:
    """Return the network, and the CPU seconds it took: of the whole search, or of one level unjudged."""
    started = time.process_time()
    nodes = search.quantiser.nodes
    if level == "auto":
        return search.greedy(search.start()).network, time.process_time() - started
    search.quantiser.network(dict.fromkeys(nodes, int(level)))
    seconds = time.process_time() - started
    return search.at(dict.fromkeys(nodes, int(level))).network, seconds


def _without_gain(evidence: Evidence) -> Evidence:
    """The same evidence with a gain of 1, to show what the gain is worth."""
    fits = {name: DecayMatch(0 * fit.overlap, 0 * fit.power) for name, fit in evidence.decay_matches.items()}
    return replace(evidence, decay_matches=fits)


def _equal_to_lava(subject: Subject, network: QuantisedNetwork) -> bool:
    """Whether real Lava fires the same spikes in every layer; some neurons must fire."""
    inputs = {subject.input: subject.test[:_LAVA_SAMPLES]}
    return bool(compare(Artifact(network, subject.graph), inputs, against="lava").equal)


def _row(key: tuple[str, int, str], metric: str, per_sample: FloatArray) -> dict[str, Any]:
    subject, bits, level = key
    target = next(
        (t for t in TARGETS if (t.subject, t.bits, t.level, t.metric) == (subject, bits, level, metric)), None
    )
    estimate = mean(per_sample)
    return {
        "subject": subject,
        "bits": bits,
        "level": level,
        "metric": metric,
        **estimate.to_json(),
        "target": None if target is None else f"{target.sense} {target.limit:g}",
        "holds": None if target is None else target.holds(estimate.value),
    }


def write(report: Mapping[str, Any], folder: Path) -> None:
    """Write report.json into ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / "report.json", report)


def require_equal(report: Mapping[str, Any]) -> None:
    """Raise VerificationMismatch with every network whose spikes differ from Lava's."""
    different = [
        Violation(
            "the integer network's spikes differ from Lava's",
            where=f"{fact['subject']}, seed {fact['seed']}, {fact['bits']} bits, level {fact['level']}",
        )
        for fact in report["networks"]
        if fact["equal_to_lava"] is False
    ]
    if different:
        raise VerificationMismatch(different)


def render(report: Mapping[str, Any]) -> str:
    """The report as a table."""
    columns = f"{'network':<33}{'bits':>4} {'level':<17}{'metric':<29}{'value':>9}  {'interval':<21}{'n':>5}"
    lines = [
        f"quantisation, profile {report['profile']}, seeds {report['seeds']}: means over held-out samples",
        f"{columns}  target",
    ]
    for row in report["rows"]:
        low, high = row["ci95"]
        verdict = (
            "" if row["holds"] is None else f"{row['target']:<11} {'holds' if row['holds'] else 'MISSED'}"
        )
        lines.append(
            f"{row['subject']:<33}{row['bits']:>4} {row['level']:<17}{row['metric']:<29}{row['value']:>9.4f}"
            f"  [{low:>8.4f}, {high:>8.4f}] {row['n']:>5}  {verdict}".rstrip()
        )
    chances = {fact["subject"]: fact["chance"] for fact in report["networks"] if fact["chance"]}
    listed = ", ".join(f"{name} {chance:.0%}" for name, chance in chances.items())
    perturbed = (
        f"float, +-{measure.PERTURBATION:.1%}: the float network, every weight off by so much at random"
    )
    lines += ["", f"chance: {listed}; level 0, one plane a source, is the baseline", perturbed]
    checked = [row for row in report["rows"] if row["holds"] is not None]
    missed = [row for row in checked if not row["holds"]]
    lines += [f"{len(checked) - len(missed)} of {len(checked)} targets hold", ""]
    for fact in report["networks"]:
        lava = {
            None: "not compared with Lava",
            True: "spikes equal Lava's",
            False: "SPIKES DIFFER FROM LAVA'S",
        }
        lines.append(
            f"{fact['subject']:<33}{fact['bits']:>4} {fact['level']:<17}seed {fact['seed']}  "
            f"levels {list(fact['levels'].values())}  {fact['planes']} planes  "
            f"{fact['cpu_seconds']:.2f} s CPU  {lava[fact['equal_to_lava']]}"
        )
    return "\n".join(lines)
