"""Assess an artifact under a hardware profile, with the spikes of a run or an assumed rate."""

from __future__ import annotations

from pathlib import Path

from snn_deploy.convert.artifact import Artifact
from snn_deploy.convert.footprint import describe
from snn_deploy.deploy.activity import activity_of_run
from snn_deploy.errors import UsageError
from snn_deploy.hw_profiles import inherit_energy, load
from snn_deploy.hw_profiles.assessment import Assessment, Choices, assess
from snn_deploy.hw_profiles.description import Activity, NetworkDescription, assumed_activity


def assess_artifact(
    path: Path,
    profile_name: str,
    choices: Choices,
    *,
    spikes_in: Path | None = None,
    rate: float = 0.05,
    steps: int = 64,
    inherit: str | None = None,
    picture: Path | None = None,
) -> Assessment:
    """Read FILE.snn and assess it; see :func:`snn_deploy.hw_profiles.assessment.assess`.

    spikes_in: INPUT.npz, run on the ``fixed`` backend for its counts; without it every neuron and input is
    assumed to fire in ``rate`` of ``steps`` steps. inherit: profile whose energies are taken, labelled.
    picture: where to draw the core grid. Raises UsageError where the profile has no mesh to draw.
    """
    profile = load(profile_name)
    if inherit is not None:
        profile = inherit_energy(profile, load(inherit))
    model = Artifact.load(path)
    network = describe(model.network)
    answer = assess(network, profile, _activity(model, network, spikes_in, rate, steps), choices)
    if picture is not None:
        if answer.placement is None:
            raise UsageError(
                f"profile '{profile.name}' states no mesh of cores to draw",
                where="--picture",
                remedy="Leave the option out, or choose loihi1 or loihi2.",
            )
        from snn_deploy.hw_profiles.picture import draw

        draw(answer, answer.placement, picture)
    return answer


def _activity(
    model: Artifact, network: NetworkDescription, spikes_in: Path | None, rate: float, steps: int
) -> Activity:
    if spikes_in is None:
        return assumed_activity(network, rate, steps)
    from snn_deploy.deploy import backends
    from snn_deploy.deploy.spikes import read_inputs

    inputs = read_inputs(spikes_in, model.network)
    nodes = list(dict.fromkeys(population.node for population in model.network.populations))
    result = backends.get("fixed").run(model, inputs, record=nodes)
    return activity_of_run(model.network, result, inputs)
