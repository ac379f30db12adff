"""No backend runs an artifact whose integers are out of range or whose parts do not match their hashes.

The files are drawn at random: a sound network, one fault in it, and hashes that fit the fault where it is one
of the integers, since anyone can compute a hash.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import h5py
import numpy as np
import pytest

from snn_deploy import cli
from snn_deploy.convert.artifact import Artifact
from snn_deploy.deploy import backends
from snn_deploy.errors import ModelNotSupported, UnsafeFile
from snn_deploy.network.connections import Sparse
from snn_deploy.network.quantised import QuantisedNetwork
from tests import quantised_nets as nets
from tests.conformance.cases import case

Rng = np.random.Generator
BACKENDS = backends.names()

#: Field of a population -> what it must not hold.
POPULATION: dict[str, Callable[[Rng], int]] = {
    "du": lambda rng: int(rng.choice([-2, 4096, 70000])),
    "dv": lambda rng: int(rng.choice([-1, 4097])),
    "vth": lambda rng: int(rng.choice([-1, 1 << 18, 1 << 40])),
    "bias_mant": lambda rng: int(rng.choice([40000, 4096, -4097])),
    "bias_exp": lambda rng: int(rng.choice([-1, 8])),
    "u0": lambda rng: int(rng.choice([1 << 23, -(1 << 23)])),
    "v0": lambda rng: int(rng.choice([1 << 23, -(1 << 23)])),
    "index": lambda rng: int(rng.choice([-1, 1, 1 << 40])),
}
PROJECTION: dict[str, Callable[[Rng], int]] = {
    "weight_exp": lambda rng: int(rng.choice([-9, 8])),
    "weight_bits": lambda rng: int(rng.choice([0, 9])),
    "delay": lambda rng: int(rng.choice([-1, 63])),
}
#: Array or geometry of a connection -> a value that no connection has.
CONNECTION: dict[str, tuple[str, Callable[[Rng], Any]]] = {
    "a weight beyond 8 bits": ("weight", lambda rng: int(rng.choice([256, -257, 1 << 30]))),
    "a weight off the grid": ("weight", lambda rng: 2 * int(rng.integers(-100, 100)) + 1),
    "an index out of bounds": ("indices", lambda rng: int(rng.choice([-1, 1 << 20]))),
    "a pointer out of bounds": ("indptr", lambda rng: int(rng.choice([-5, 1 << 20]))),
    "no groups": ("groups", lambda rng: 0),
    "no stride": ("stride", lambda rng: (0, 1)),
    "a kernel that does not fit": ("dilation", lambda rng: (1 << 20, 1)),
}


def _changed(array: Any, value: Any, rng: Rng) -> Any:
    """The array with one entry changed, or the scalar replaced."""
    if not isinstance(array, np.ndarray):
        return value
    copy = np.array(array)
    copy.reshape(-1)[rng.integers(copy.size)] = value
    return copy


def _with_population(network: QuantisedNetwork, name: str, rng: Rng) -> QuantisedNetwork:
    place = int(rng.integers(len(network.populations)))
    populations = list(network.populations)
    old = getattr(populations[place], name)
    populations[place] = replace(populations[place], **{name: _changed(old, POPULATION[name](rng), rng)})
    return replace(network, populations=tuple(populations))


def _with_projection(network: QuantisedNetwork, place: int, **changes: Any) -> QuantisedNetwork:
    projections = list(network.projections)
    projections[place] = replace(projections[place], **changes)
    return replace(network, projections=tuple(projections))


def _with_connection(network: QuantisedNetwork, what: str, rng: Rng) -> QuantisedNetwork:
    """The fault in a connection that has such a field."""
    name, draw = CONNECTION[what]
    for place in rng.permutation(len(network.projections)):
        connection = network.projections[place].connection
        field = "data" if name == "weight" and isinstance(connection, Sparse) else name
        if hasattr(connection, field):
            changed = _changed(getattr(connection, field), draw(rng), rng)
            return _with_projection(network, int(place), connection=replace(connection, **{field: changed}))
    raise LookupError(what)


def save_unchecked(network: QuantisedNetwork, graph: Any, path: Path) -> None:
    """Write a file with hashes that fit, past the check of what is made."""
    artifact = object.__new__(Artifact)
    for name, value in (("network", network), ("graph", graph), ("provenance", MappingProxyType({}))):
        object.__setattr__(artifact, name, value)
    artifact.save(path)


def exit_code(path: Path, backend: str, capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    """Run the file by the command line."""
    out = path.with_suffix(".out.npz")
    with pytest.raises(SystemExit) as ended:
        cli.main(["run", str(path), str(path.parent / "in.npz"), "-o", str(out), "--backend", backend])
    assert not out.exists()
    return int(ended.value.code or 0), capsys.readouterr().err


@pytest.fixture(scope="module")
def sound() -> Artifact:
    """A dense recurrent projection, a convolution and compressed rows, whose graph is another's."""
    rng = np.random.default_rng(0)

    def population(name: str, neurons: int) -> Any:
        values = nets.moderate(neurons, rng)
        return nets.population(
            name, neurons, rng, **{**values, "bias_exp": np.zeros(neurons, dtype=np.int64)}
        )

    network = nets.network(
        {"x": (2, 4, 4)},
        [population("a", 48), population("b", 10)],
        [
            nets.projection("x", "a", nets.conv((2, 4, 4), 3, rng)),
            nets.projection("a", "b", nets.sparse(10, 48, rng, 0.3)),
            nets.projection("b", "b", nets.dense(10, 10, rng), delay=1),
        ],
        ("b",),
    )
    return Artifact(network, case("recurrence").graph)


def faulty(network: QuantisedNetwork, seed: int) -> list[tuple[str, QuantisedNetwork]]:
    """Each kind of fault once, at a place drawn at random."""
    rng = np.random.default_rng(seed)
    found = [(name, _with_population(network, name, rng)) for name in POPULATION]
    for name, draw in PROJECTION.items():
        place = int(rng.integers(len(network.projections)))
        found.append((name, _with_projection(network, place, **{name: draw(rng)})))
    return found + [(what, _with_connection(network, what, rng)) for what in CONNECTION]


def test_every_kind_of_fault_is_refused_where_it_is_made_and_where_it_is_loaded(
    sound: Artifact, tmp_path: Path
) -> None:
    path = tmp_path / "bad.snn"
    sound.save(path)
    assert Artifact.load(path).hashes == sound.hashes
    for seed in range(2):
        for what, network in faulty(sound.network, seed):
            with pytest.raises(ModelNotSupported):
                Artifact(network, sound.graph)
            save_unchecked(network, sound.graph, path)
            with pytest.raises(UnsafeFile) as refused:
                Artifact.load(path)
            assert "bad.snn" in str(refused.value), what


@pytest.mark.parametrize("backend", BACKENDS)
def test_no_backend_runs_them(
    sound: Artifact, backend: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    np.savez(tmp_path / "in.npz", spikes=np.zeros((1, 2, 2, 4, 4), dtype=np.uint8))
    drawn = faulty(sound.network, 10 + BACKENDS.index(backend))
    for place in np.random.default_rng(7).choice(len(drawn), 4, replace=False):
        what, network = drawn[place]
        save_unchecked(network, sound.graph, tmp_path / "bad.snn")
        code, said = exit_code(tmp_path / "bad.snn", backend, capsys)
        assert (code, "Traceback" in said) == (7, False), (what, said)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("part", ["graph", "integers", "contract", "report", "provenance"])
def test_what_does_not_match_its_hash_runs_nowhere(
    sound: Artifact, part: str, backend: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "tampered.snn"
    sound.save(path)
    np.savez(tmp_path / "in.npz", spikes=np.zeros((1, 2, 2, 4, 4), dtype=np.uint8))
    with h5py.File(path, "r+") as handle:
        if part == "graph":
            weights = [n for n in _datasets(handle["nir"]) if n.endswith("weight")]
            handle["nir"][weights[0]][...] *= 3
        elif part == "integers":
            handle["populations/0/bias_mant"][0] += 1
        else:
            description = json.loads(handle["description"][()])
            description[part]["dt" if part == "contract" else "source"] = 0.5
            del handle["description"]
            handle["description"] = json.dumps(description)
    code, said = exit_code(path, backend, capsys)
    assert code == 7 and f"the {part} " in said and "stored hash" in said


def _datasets(group: h5py.Group) -> list[str]:
    names: list[str] = []
    group.visititems(lambda name, item: names.append(name) if isinstance(item, h5py.Dataset) else None)
    return names
