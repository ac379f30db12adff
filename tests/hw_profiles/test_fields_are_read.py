"""Every number of a profile is read by the fit check, the energy account, the latency model or the quantiser.

A limit that nobody asks is a promise that nobody keeps: each access to a field is recorded while networks of
every kind are assessed under every profile, and quantised for the targets.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, get_args, get_origin

import numpy as np
import pytest
from pydantic import BaseModel

from snn_deploy.convert.calibration import generated_spikes
from snn_deploy.convert.footprint import describe
from snn_deploy.convert.pipeline import prepare
from snn_deploy.convert.quantise.quantisation import quantise_network
from snn_deploy.hw_profiles import load, names
from snn_deploy.hw_profiles.assessment import Choices, assess
from snn_deploy.hw_profiles.description import assumed_activity
from snn_deploy.hw_profiles.quantity import Entry, Strict
from snn_deploy.network.contract import Contract
from tests.conformance.cases import case
from tests.equivalence.graphs import DT

#: What people read, or what loading itself checks.
FOR_PEOPLE = {"title", "summary", "role", "sources", "name", "note", "schema_version", "measurements"}
NETWORKS = ("recurrence", "Conv2d", "Delay", "graded input", "branches, skips, two inputs, two outputs")

Field = tuple[str, str]


def numbers(model: BaseModel) -> Iterator[Field]:
    """(section, field) of every number that the profile states."""
    for name in type(model).model_fields:
        value = getattr(model, name)
        if value is None or name in FOR_PEOPLE:
            continue
        parts = list(value.values()) if isinstance(value, dict) else [value]
        parts = [*value] if isinstance(value, tuple) else parts
        if any(isinstance(part, Entry) for part in parts):
            yield type(model).__name__, name
        for part in parts:
            if isinstance(part, Strict) and not isinstance(part, Entry):
                yield from numbers(part)


@pytest.fixture(scope="module")
def read() -> set[Field]:
    """(section, field) of every access while networks are assessed and quantised."""
    graphs = {name: case(name).graph for name in NETWORKS}
    prepared = {name: prepare(graph, Contract(DT)).network for name, graph in graphs.items()}
    profiles = {name: load(name) for name in names()}
    seen: set[Field] = set()
    plain = Strict.__getattribute__

    def recording(self: Any, name: str) -> Any:
        if not name.startswith("_"):
            seen.add((type(self).__name__, name))
        return plain(self, name)

    Strict.__getattribute__ = recording  # type: ignore[method-assign]
    try:
        networks = []
        for name, network in prepared.items():
            for target in ("loihi1", "loihi2"):
                if name == "graded input" and target == "loihi1":
                    continue
                spikes = generated_spikes(network, 0, 4, 20)
                networks.append(describe(quantise_network(network, profiles[target], spikes, level=1)))
        for profile in profiles.values():
            for network in networks:
                activity = assumed_activity(network, 0.1, 20)
                choices = Choices(stored_items=10, dimensions=16, annealed=True)
                assess(network, profile, activity, choices)
    finally:
        del Strict.__getattribute__
    return seen


def test_every_number_of_every_profile_is_read(read: set[Field]) -> None:
    stated = {field for name in names() for field in numbers(load(name))}
    assert len(stated) > 60
    unread = sorted(".".join(field) for field in stated - read)
    assert not unread, ", ".join(unread)


def test_the_schema_has_no_number_that_no_profile_states() -> None:
    stated = {field for name in names() for field in numbers(load(name))}
    sections = {section for section, _ in stated}
    possible = {
        (cls.__name__, name)
        for cls in _sections(Strict)
        if cls.__name__ in sections
        for name, field in cls.model_fields.items()
        if name not in FOR_PEOPLE and _holds_entry(field.annotation)
    }
    assert sorted(possible - stated) == []


def _sections(cls: type) -> Iterator[Any]:
    for child in cls.__subclasses__():
        if not issubclass(child, Entry):
            yield child
        yield from _sections(child)


def _holds_entry(annotation: Any) -> bool:
    if isinstance(annotation, type):
        return issubclass(annotation, Entry)
    return get_origin(annotation) is not dict and any(_holds_entry(part) for part in get_args(annotation))


def test_the_recorder_sees_what_is_not_read(read: set[Field]) -> None:
    assert ("Limits", "neurons_per_core") in read and ("Limits", "no_such_limit") not in read
    assert np.isfinite(len(read))
