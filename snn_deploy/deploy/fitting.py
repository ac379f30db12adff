"""Assess an artifact under a hardware profile, with the spikes of a run or an assumed rate."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from snn_deploy.convert.artifact import Artifact
from snn_deploy.convert.footprint import describe
from snn_deploy.deploy.activity import activity_of_run
from snn_deploy.engine.result import RunResult
from snn_deploy.errors import UsageError
from snn_deploy.hw_profiles import Profile, inherit_energy, load
from snn_deploy.hw_profiles.assessment import DEFAULT_CHOICES, Assessment, Choices, assess
from snn_deploy.hw_profiles.counts import HostCounts
from snn_deploy.hw_profiles.description import Activity, NetworkDescription, assumed_activity
from snn_deploy.network.quantised import QuantisedNetwork


def assess_run(
    network: QuantisedNetwork,
    result: RunResult,
    inputs: Mapping[str, NDArray[np.uint8]],
    profile_name: str,
    choices: Choices = DEFAULT_CHOICES,
    *,
    inherit: str | None = None,
    host: HostCounts | None = None,
) -> Assessment:
    """Assess a network by the spikes of a run that was made anyway.

    inputs: the rasters that were run, uint8 (samples, steps, neurons). inherit: profile whose energies are
    taken, labelled. host: work of the memory on the host in that run.
    """
    profile = _profile(profile_name, inherit)
    return assess(describe(network), profile, activity_of_run(network, result, inputs), choices, host)


def assess_artifact(
    path: Path,
    profile_name: str | None,
    choices: Choices,
    *,
    spikes_in: Path | None = None,
    rate: float = 0.05,
    steps: int = 64,
    inherit: str | None = None,
) -> Assessment:
    """Read FILE.snn and assess it; see :func:`snn_deploy.hw_profiles.assessment.assess`.

    profile_name: None takes the one that the file was converted for. spikes_in: INPUT.npz, run on the
    ``fixed`` backend for its counts; without it every neuron and input is assumed to fire in ``rate`` of
    ``steps`` steps. inherit: profile whose energies are taken, labelled.
    """
    model = Artifact.load(path)
    profile = _profile(profile_name or model.network.profile, inherit)
    network = describe(model.network)
    return assess(network, profile, _activity(model, network, spikes_in, rate, steps), choices)


def draw_grid(answer: Assessment, path: Path) -> None:
    """Draw the core grid of an assessment; UsageError where the profile has no mesh to draw."""
    if answer.placement is None:
        raise UsageError(
            f"profile '{answer.fit.profile.name}' states no mesh of cores to draw",
            where="--picture",
            remedy="Leave the option out, or choose loihi1 or loihi2.",
        )
    from snn_deploy.hw_profiles.picture import draw

    draw(answer, answer.placement, path)


def _profile(name: str, inherit: str | None) -> Profile:
    profile = load(name)
    return profile if inherit is None else inherit_energy(profile, load(inherit))


def _activity(
    model: Artifact, network: NetworkDescription, spikes_in: Path | None, rate: float, steps: int
) -> Activity:
    if spikes_in is None:
        return assumed_activity(network, rate, steps)
    from snn_deploy.convert.inputs import read_inputs
    from snn_deploy.deploy import backends

    inputs = read_inputs(spikes_in, model.network)
    nodes = list(dict.fromkeys(population.node for population in model.network.populations))
    result = backends.get("fixed").run(model, inputs, record=nodes)
    return activity_of_run(model.network, result, inputs)
