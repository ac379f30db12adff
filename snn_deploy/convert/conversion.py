"""Conversion from a model file to an artifact: front end, lowering, discretisation, quantisation."""

from __future__ import annotations

import hashlib
import logging
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from snn_deploy import __version__
from snn_deploy.convert.artifact import Artifact
from snn_deploy.convert.calibration import generated_calibration
from snn_deploy.convert.export_net import narrowed
from snn_deploy.convert.frontends import Source, read_model
from snn_deploy.convert.frontends.origin import doubt, origin
from snn_deploy.convert.pipeline import Discretised, prepare
from snn_deploy.convert.quantise.quantisation import LevelChoice, quantise_network
from snn_deploy.engine.stepping import Spikes
from snn_deploy.errors import ModelNotSupported, Violation
from snn_deploy.hw_profiles import Profile
from snn_deploy.hw_profiles import load as load_profile
from snn_deploy.network.contract import Contract
from snn_deploy.network.network import Input
from snn_deploy.network.quantised import QuantisedNetwork

if TYPE_CHECKING:
    import nir

_log = logging.getLogger(__name__)

_RECORDED_VERSIONS = ("numpy", "nir", "h5py", "torch", "norse")
#: Options that act on floats.
_QUANTISING = ("bits", "level", "budget", "graded", "decay", "decay_groups")


@dataclass(frozen=True)
class Options:
    """What ``convert`` can be told.

    profile: hardware profile, a name or a path. dt: seconds, where the graph does not state it.
    reset: "zero" or "subtract", likewise. decay: "euler" or "exponential", likewise, and Euler where nothing
    states it.
    bits: weight width. level: rung of the ladder of weight planes, 0..7, or "auto".
    budget: what a search may spend in synaptic operations and axon messages, in units of level 0.
    graded: bits of graded input spikes, signed integers, where the graph's inputs state none; 0 is 0/1.
    seed: of generated calibration spikes. net: quantise to what a .net file can hold, one plane a layer.
    steps: of a sample, where the model states none: input of another length is then remarked on.
    decay_groups: most pairs of decay registers a layer; None: as many as a core's tables hold.
    binarise: of calibration spikes, every value above 0 is one. model: FILE.py:build, the function that
    builds the module of a checkpoint of weights alone; that file is run.
    """

    profile: str = "loihi2"
    dt: float | None = None
    reset: str | None = None
    decay: str | None = None
    bits: int = 8
    level: LevelChoice = "auto"
    budget: float | None = None
    graded: int = 0
    seed: int = 0
    net: bool = False
    decay_groups: int | None = None
    steps: int | None = None
    binarise: bool = False
    model: str | None = None


def convert_file(path: Path, options: Options, calibration: Path | None = None) -> Artifact:
    """Convert model.pt, model.safetensors, graph.nir or network.net, whose integers are taken as they are.

    calibration: a spike file as ``run`` takes it; without one, spikes are generated.
    Raises the errors of front end, lowering, discretisation and quantisation.
    """
    from snn_deploy.convert.inputs import read_inputs

    source = read_model(path, options.dt, options.model)
    provenance = {**source.provenance, "source": path.name, "sha256": _sha256(path)}
    if source.integers is not None:
        return _taken(source, source.integers, options, provenance, unused=calibration is not None)
    prepared = _prepared(source.graph, options)
    if calibration is None:
        return _artifact(prepared, options, provenance, None)
    spikes = read_inputs(calibration, prepared.network, binarise=options.binarise)
    return _artifact(prepared, options, {**provenance, "calibration": calibration.name}, spikes)


def convert_graph(
    graph: nir.NIRGraph,
    options: Options,
    provenance: Mapping[str, Any] | None = None,
    calibration: Mapping[str, Spikes] | None = None,
) -> Artifact:
    """Convert a NIR graph; calibration: input name -> (samples, steps, neurons), int32 where graded."""
    return _artifact(_prepared(graph, options), options, provenance or {}, calibration)


def _prepared(graph: nir.NIRGraph, options: Options) -> Discretised:
    contract = Contract.resolve(graph.metadata, options.dt, options.reset, options.decay, origin(graph))
    doubt(graph, contract)
    prepared = prepare(graph, contract, options.graded)
    profile = load_profile(options.profile)
    _check_graded(prepared.network.inputs, profile)
    _check_reset(contract, profile)
    return prepared


def _check_reset(contract: Contract, profile: Profile) -> None:
    held = profile.supports.reset_by_subtraction
    if contract.reset == "subtract" and not (held and held.value):
        raise ModelNotSupported(
            f"{profile.name} has no reset by subtraction",
            where="reset",
            found="subtract",
            allowed="zero",
            remedy="Choose a profile that has it (loihi2, ideal), or retrain with a reset to v_reset.",
        )


def _check_graded(inputs: Sequence[Input], profile: Profile) -> None:
    graded = [node for node in inputs if node.message_bits]
    if graded and not profile.supports.graded_spikes.value:
        raise ModelNotSupported(
            Violation(
                f"graded input needs graded spikes, which {profile.name} does not have",
                where=node.name,
                found=f"{node.message_bits} bits",
                allowed="spikes of 0 and 1",
                remedy="Choose a profile that has them (loihi2), or code the input as spikes.",
            )
            for node in graded
        )


def _taken(
    source: Source,
    integers: QuantisedNetwork,
    options: Options,
    provenance: Mapping[str, Any],
    *,
    unused: bool,
) -> Artifact:
    """The artifact of a file that holds integers; what steers quantisation has nothing to act on."""
    profile = load_profile(options.profile)
    contract = Contract.resolve(integers.contract.metadata(), reset=options.reset)
    network = replace(integers, contract=contract, profile=profile.name)
    _check_graded(network.inputs, profile)
    standard = Options()
    asked = [
        f"--{name.replace('_', '-')}"
        for name in _QUANTISING
        if getattr(options, name) != getattr(standard, name)
    ]
    asked += ["--calibration"] if unused else []
    if asked:
        _log.warning("%s: without effect, the file holds integers already", ", ".join(asked))
    graph = prepare(source.graph, contract).graph
    return Artifact(network, graph, MappingProxyType({**provenance, "versions": _versions()}))


def _artifact(
    prepared: Discretised,
    options: Options,
    provenance: Mapping[str, Any],
    calibration: Mapping[str, Spikes] | None,
) -> Artifact:
    network = prepared.network
    steps = options.steps or provenance.get("steps")
    if steps is None and calibration is not None:
        steps = next(iter(calibration.values())).shape[1]
    spikes = generated_calibration(network, options.seed) if calibration is None else calibration
    profile = load_profile(options.profile)
    integers = quantise_network(
        network,
        narrowed(profile) if options.net else profile,
        spikes,
        bits=options.bits,
        level=0 if options.net and options.level == "auto" else options.level,
        budget=options.budget,
        generated=calibration is None,
        decay_groups=options.decay_groups,
    )
    return Artifact(
        integers,
        prepared.graph,
        MappingProxyType(
            {
                "calibration": "generated Bernoulli spikes" if calibration is None else "given",
                **provenance,
                **({} if steps is None else {"steps": int(steps)}),
                "seed": options.seed,
                "versions": _versions(),
            }
        ),
    )


def _versions() -> dict[str, str]:
    found = {"python": platform.python_version(), "snn-deploy": __version__}
    for name in _RECORDED_VERSIONS:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
