"""The parity certificate: two runs of one network compared spike by spike, and read-outs v by v.

It says "equal to Lava 0.10.0's fixed-point CPU models", never "equal to silicon", and it proves that
the comparison was not trivial: which layers fired, and how many neurons differed from each other.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from snn_deploy.errors import VerificationMismatch


@dataclass(frozen=True)
class Divergence:
    """The earliest spike in which two runs differ: by step, then by layer order, sample and neuron."""

    layer: str
    neuron: int
    step: int
    sample: int
    cause: str


@dataclass(frozen=True, eq=False)
class Membranes:
    """v of a read-out in two runs, (samples, steps, neurons); further apart than ``within`` is a mismatch."""

    ours: NDArray[Any]
    theirs: NDArray[Any]
    within: Any = 0

    @property
    def differ(self) -> NDArray[np.bool_]:
        return np.asarray(np.abs(np.subtract(self.ours, self.theirs, dtype=np.float64)) > self.within)


@dataclass(frozen=True)
class LayerParity:
    """One layer's comparison; distinct_rasters counts different spike trains among its neurons.

    membranes: how many v were compared; a read-out, which never spikes, is compared by them, and its
    distinct_rasters are different courses of v.
    """

    layer: str
    neurons: int
    spikes: int
    mismatches: int
    distinct_rasters: int
    membranes: int = 0


@dataclass(frozen=True)
class Certificate:
    """What ``parity --json`` prints.

    neuron_steps: neurons x steps x samples compared, of which ``membranes`` by their v, the others by their
    spikes. hashes: sha256 of integers and input.
    """

    equal: bool
    claim: str
    neuron_steps: int
    mismatches: int
    first_divergence: Divergence | None
    layers: tuple[LayerParity, ...]
    silent_layers: tuple[str, ...]
    samples: int
    steps: int
    hashes: Mapping[str, str]
    versions: Mapping[str, str]
    membranes: int = 0

    def require_equal(self, where: str) -> None:
        """Raise VerificationMismatch (exit code 6) where the two runs differ."""
        if not self.equal:
            raise VerificationMismatch(
                f"the run is not {self.claim}",
                where=where,
                found=f"{self.mismatches} mismatches in {self.neuron_steps} neuron-steps",
                allowed="0",
                remedy="This is a bug of snn-deploy: please report it with the certificate.",
            )

    def to_json(self) -> dict[str, Any]:
        """Plain containers for JSON."""
        plain = {f.name: getattr(self, f.name) for f in fields(self)}
        first = None if self.first_divergence is None else asdict(self.first_divergence)
        return {
            **plain,
            "first_divergence": first,
            "layers": [asdict(layer) for layer in self.layers],
            "silent_layers": list(self.silent_layers),
            "hashes": dict(self.hashes),
            "versions": dict(self.versions),
        }


def certify(
    ours: Mapping[str, NDArray[np.uint8]],
    theirs: Mapping[str, NDArray[np.uint8]],
    order: Sequence[str],
    *,
    membranes: Mapping[str, Membranes] | None = None,
    claim: str,
    cause: Callable[[Divergence], str],
    hashes: Mapping[str, str],
    versions: Mapping[str, str],
) -> Certificate:
    """Compare rasters uint8 (samples, steps, neurons) of the layers in ``order`` by equality.

    membranes: of read-outs, by layer, compared beside their rasters.
    claim: what equality would mean. cause: works out why the first differing spike differs.
    """
    layers = []
    earliest: Divergence | None = None
    for name in order:
        differ = ours[name] != theirs[name]
        read = (membranes or {}).get(name)
        if read is not None:
            differ = differ | read.differ
        layers.append(_layer(name, ours[name], int(np.count_nonzero(differ)), read))
        found = _first(differ, name)
        if found is not None and (earliest is None or found.step < earliest.step):
            earliest = found
    if earliest is not None:
        earliest = replace(earliest, cause=cause(earliest))
    samples, steps = ours[order[0]].shape[:2]
    mismatches = sum(layer.mismatches for layer in layers)
    return Certificate(
        equal=mismatches == 0,
        claim=claim,
        neuron_steps=sum(layer.neurons for layer in layers) * samples * steps,
        membranes=sum(layer.membranes for layer in layers),
        mismatches=mismatches,
        first_divergence=earliest,
        layers=tuple(layers),
        silent_layers=tuple(layer.layer for layer in layers if not (layer.spikes or layer.membranes)),
        samples=int(samples),
        steps=int(steps),
        hashes=hashes,
        versions=versions,
    )


def certificate_text(result: Mapping[str, Any]) -> str:
    """A certificate, as :meth:`Certificate.to_json` gives it, in a few lines."""
    verdict = result["claim"] if result["equal"] else f"NOT {result['claim']}"
    lines = [
        f"parity: {result['mismatches']} mismatches in {result['neuron_steps']:,} neuron-steps: {verdict}"
    ]
    for layer in result["layers"]:
        counted, what = layer["spikes"], "spikes"
        courses = "spike trains"
        if layer["membranes"]:
            counted, what, courses = layer["membranes"], "v of a read-out", "courses of v"
        lines.append(
            f"  {layer['layer']:<24} {layer['neurons']:>6} neurons  {counted:>8} {what}  "
            f"{layer['distinct_rasters']:>6} different {courses}  {layer['mismatches']} mismatches"
        )
    if result["silent_layers"]:
        lines.append(
            f"  no neuron fired in: {', '.join(result['silent_layers'])} (nothing was compared there)"
        )
    first = result["first_divergence"]
    if first is not None:
        lines.append(
            f"  first divergence: {first['layer']} neuron {first['neuron']}, step {first['step']}, "
            f"sample {first['sample']} ({first['cause']})"
        )
    return "\n".join(lines)


def hash_spikes(inputs: Mapping[str, NDArray[np.uint8]]) -> str:
    """sha256 over names, shapes and values of input rasters, hexadecimal."""
    digest = hashlib.sha256()
    for name in sorted(inputs):
        digest.update(f"{name}{inputs[name].shape}".encode())
        digest.update(np.packbits(inputs[name]).tobytes())
    return digest.hexdigest()


def _layer(name: str, raster: NDArray[np.uint8], mismatches: int, read: Membranes | None) -> LayerParity:
    neurons = raster.shape[2]
    courses = raster.reshape(-1, neurons)
    courses = np.packbits(courses, axis=0) if read is None else read.ours.reshape(-1, neurons)
    distinct = len({column.tobytes() for column in np.ascontiguousarray(courses.T)})
    compared = 0 if read is None else read.ours.size
    return LayerParity(name, neurons, int(np.count_nonzero(raster)), mismatches, distinct, compared)


def _first(differ: NDArray[np.bool_], name: str) -> Divergence | None:
    per_step = differ.any(axis=(0, 2))
    if not per_step.any():
        return None
    step = int(np.argmax(per_step))
    sample, neuron = np.argwhere(differ[:, step])[0]
    return Divergence(name, int(neuron), step, int(sample), cause="")
