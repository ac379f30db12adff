"""Conversion from a model file to an artifact: front end, lowering, discretisation, quantisation."""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from snn_deploy import __version__
from snn_deploy.convert.artifact import Artifact
from snn_deploy.convert.contract import Contract
from snn_deploy.convert.frontends import read_model
from snn_deploy.convert.pipeline import Prepared, prepare
from snn_deploy.deploy.backends.stepping import Spikes
from snn_deploy.deploy.calibration import generated_spikes
from snn_deploy.deploy.quantisation import Level, quantise_network
from snn_deploy.errors import ModelNotSupported, Violation
from snn_deploy.hw_profiles import load as load_profile

if TYPE_CHECKING:
    import nir

_RECORDED_VERSIONS = ("numpy", "nir", "h5py", "torch", "norse")


@dataclass(frozen=True)
class Options:
    """What ``convert`` can be told.

    profile: hardware profile, a name or a path. dt: seconds, where the graph does not state it.
    reset: "zero", likewise. bits: weight width. level: rung of the ladder of weight planes, 0..7, or "auto".
    budget: what a search may spend in synaptic operations and axon messages, in units of level 0.
    graded: bits of graded input spikes, signed integers, where the graph's inputs state none; 0 is 0/1.
    seed: of generated calibration spikes.
    """

    profile: str = "loihi2"
    dt: float | None = None
    reset: str | None = None
    bits: int = 8
    level: Level = "auto"
    budget: float | None = None
    graded: int = 0
    seed: int = 0


def convert_file(path: Path, options: Options, calibration: Path | None = None) -> Artifact:
    """Convert model.pt, model.safetensors or graph.nir.

    calibration: a spike file as ``run`` takes it; without one, spikes are generated.
    Raises the errors of front end, lowering, discretisation and quantisation.
    """
    from snn_deploy.deploy.spikes import read_inputs

    source = read_model(path)
    provenance = {**source.provenance, "source": path.name, "sha256": _sha256(path)}
    prepared = _prepared(source.graph, options)
    if calibration is None:
        return _artifact(prepared, options, provenance, None)
    spikes = read_inputs(calibration, prepared.network)
    return _artifact(prepared, options, {**provenance, "calibration": calibration.name}, spikes)


def convert_graph(
    graph: nir.NIRGraph,
    options: Options,
    provenance: Mapping[str, Any] | None = None,
    calibration: Mapping[str, Spikes] | None = None,
) -> Artifact:
    """Convert a NIR graph; calibration: input name -> (samples, steps, neurons), int32 where graded."""
    return _artifact(_prepared(graph, options), options, provenance or {}, calibration)


def _prepared(graph: nir.NIRGraph, options: Options) -> Prepared:
    contract = Contract.resolve(graph.metadata, options.dt, options.reset)
    prepared = prepare(graph, contract, options.graded)
    profile = load_profile(options.profile)
    if not profile.supports.graded_spikes.value:
        graded = [node for node in prepared.network.inputs if node.message_bits]
        if graded:
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
    return prepared


def _artifact(
    prepared: Prepared,
    options: Options,
    provenance: Mapping[str, Any],
    calibration: Mapping[str, Spikes] | None,
) -> Artifact:
    network = prepared.network
    spikes = generated_spikes(network, options.seed) if calibration is None else calibration
    integers = quantise_network(
        network,
        load_profile(options.profile),
        spikes,
        bits=options.bits,
        level=options.level,
        budget=options.budget,
        generated=calibration is None,
    )
    return Artifact(
        integers,
        prepared.graph,
        MappingProxyType(
            {
                "calibration": "generated Bernoulli spikes" if calibration is None else "given",
                **provenance,
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
