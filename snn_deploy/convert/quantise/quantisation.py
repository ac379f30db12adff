"""Quantisation with engines: calibrate, choose levels by search or take them, judge, diagnose."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any, Literal

from snn_deploy.convert.calibration import longest_time_constant, observe
from snn_deploy.convert.quantise import LEVELS, Quantiser
from snn_deploy.convert.quantise.diagnosis import diagnose
from snn_deploy.convert.quantise.headroom import onset_text
from snn_deploy.convert.quantise.search import Outcome, Search
from snn_deploy.convert.quantise.sharing import shared_decays
from snn_deploy.engine.stepping import Spikes
from snn_deploy.errors import UsageError
from snn_deploy.hw_profiles import Profile
from snn_deploy.network.discrete import DiscreteNetwork
from snn_deploy.network.quantised import QuantisedNetwork

_LOG = logging.getLogger(__name__)
#: Samples that the layer-by-layer diagnosis runs on.
_DIAGNOSED_SAMPLES = 16
#: Calibration is cut to so many samples, and to so many neuron-steps (8 bytes each while it runs).
_SAMPLES, _NEURON_STEPS = 256, 1 << 26
#: A warning names at most so many populations.
_NAMED = 4

#: "auto", or a rung of the ladder for all nodes.
LevelChoice = int | Literal["auto"]


def quantise_network(
    network: DiscreteNetwork,
    profile: Profile,
    calibration: Mapping[str, Spikes],
    *,
    bits: int = 8,
    level: LevelChoice = "auto",
    budget: float | None = None,
    generated: bool = False,
    decay_groups: int | None = None,
) -> QuantisedNetwork:
    """Calibrate, choose levels, quantise, and report.

    calibration: input name -> (samples, steps, neurons); the first 256 samples are used, fewer of a large
    network. level "auto" promotes nodes from level 0 until the gate holds or, where no level meets it,
    until errors are near those of the top level; where calibration spikes are
    ``generated`` the gate proves little, so it then starts at the default levels. budget: see
    :meth:`Search.greedy`. decay_groups: most pairs of decay registers a node, None: as the profile's tables.
    Raises UsageError for an unknown level or width, ModelNotSupported for values no format holds.
    """
    level = parse_level(level)
    used = _bounded(network, calibration)
    quantiser = Quantiser(network, profile, observe(network, profile, used, decay_groups), bits)
    search = Search(quantiser)
    if level == "auto":
        start = quantiser.default_levels() if generated else search.start()
        outcome = search.greedy(start, budget)
    else:
        outcome = search.at(dict.fromkeys(quantiser.nodes, level))
    exact = {name: raster[:_DIAGNOSED_SAMPLES] for name, raster in search.exact.items()}
    layers = diagnose(quantiser, outcome.network, exact)
    shared = shared_decays(quantiser, search.exact)
    warnings = _warnings(network, used, outcome, generated, level == "auto")
    for warning in warnings:
        _LOG.warning(warning)
    report: dict[str, Any] = {
        **outcome.network.report,
        "asked": {"level": level, "budget": budget},
        "calibration_samples": len(next(iter(used.values()))),
        "calibration_steps": next(iter(used.values())).shape[1],
        "gate": outcome.verdict.report(),
        "search": outcome.report(),
        "layers": layers,
        "shared_decays": shared,
        "warnings": [*outcome.network.report["warnings"], *warnings],
    }
    return replace(outcome.network, report=MappingProxyType(report))


def _bounded(network: DiscreteNetwork, calibration: Mapping[str, Spikes]) -> dict[str, Spikes]:
    """The first calibration samples, as many as memory is meant for."""
    steps = next(iter(calibration.values())).shape[1]
    width = sum(p.v0.size for p in network.populations) + sum(r.shape[2] for r in calibration.values())
    kept = max(1, min(_SAMPLES, _NEURON_STEPS // max(1, steps * width)))
    return {name: raster[:kept] for name, raster in calibration.items()}


def parse_level(level: object) -> LevelChoice:
    """Read "auto" or a rung of the ladder, a number or its text; raises UsageError for anything else."""
    if level == "auto":
        return "auto"
    text = str(level)
    if isinstance(level, bool) or not text.isdecimal() or int(text) >= len(LEVELS):
        raise UsageError(
            "unknown quantisation level", where="--level", found=text, allowed=f"auto, 0..{len(LEVELS) - 1}"
        )
    return int(text)


def _warnings(
    network: DiscreteNetwork, used: Mapping[str, Spikes], outcome: Outcome, generated: bool, searched: bool
) -> list[str]:
    found = []
    if generated:
        found.append("no calibration spikes were given, so generated ones were used; pass --calibration")
    steps, longest = next(iter(used.values())).shape[1], longest_time_constant(network)
    if steps < longest:
        found.append(
            f"calibration has {steps} steps, the longest time constant {longest:.0f}: what builds up over "
            "it was not seen; calibrate on longer samples"
        )
    verdict = outcome.verdict
    if not verdict.met:
        ended = f" ({outcome.stopped})" if searched else ""
        found.append(f"the gate does not hold{ended}: " + "; ".join(verdict.failures))
    if verdict.unproven:
        found.append(
            "the gate proves nothing of layers that hardly fire: "
            + "; ".join(verdict.unproven)
            + "; calibrate on input that drives them"
        )
    return [*found, *_range_warnings(outcome)]


def _range_warnings(outcome: Outcome) -> list[str]:
    """Which layers some input makes wrap or saturate, and from which input on."""
    rows = outcome.network.report["populations"]
    found = []
    for state, what in (("u", "u wraps to the other sign"), ("v", "v saturates")):
        onsets = [(row["name"], row["headroom"][state]) for row in rows if row["headroom"][state]]
        if onsets:
            where = "; ".join(f"{name} {onset_text(onset)}" for name, onset in onsets[:_NAMED])
            more = f"; and {len(onsets) - _NAMED} more" if len(onsets) > _NAMED else ""
            found.append(
                f"{what} where all synapses of one sign spike together: {where}{more}; "
                "a run on fixed counts it"
            )
    return found
