"""Every number of a profile is looked at by the fit check, energy, latency or the quantiser.

A limit that nobody asks is a promise that nobody keeps: each access to a field is recorded while networks of
every kind are assessed under every profile, and quantised for the targets. An access is not yet an effect:
that a limit bites, or that a price counts, is for the tests of each.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any, get_args, get_origin

import numpy as np
import pytest
from networks import chain, sparse_group
from pydantic import BaseModel

from snn_deploy.convert.calibration import generated_spikes
from snn_deploy.convert.footprint import describe
from snn_deploy.convert.pipeline import prepare
from snn_deploy.convert.quantise.quantisation import quantise_network
from snn_deploy.hw_profiles import load, names
from snn_deploy.hw_profiles.assessment import Choices, assess
from snn_deploy.hw_profiles.description import Source, assumed_activity
from snn_deploy.hw_profiles.quantity import Entry, Strict
from snn_deploy.network.contract import Contract
from tests.conformance.cases import case
from tests.equivalence.graphs import DT

#: What people read, or what loading itself checks.
FOR_PEOPLE = {"title", "summary", "role", "sources", "name", "note", "schema_version", "measurements"}

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
    small = prepare(case("IF").graph, Contract(DT)).network
    spikes = generated_spikes(small, 0, 4, 20)
    profiles = {name: load(name) for name in names()}
    pattern, _ = sparse_group(np.random.default_rng(0), ("in", "l1"), (8, 16), 0.3)
    graded = replace(chain(16, 8), sources=(Source("in", 16, message_bits=8),))
    networks = [
        chain(16, 8, 4, recurrent=(1,)),
        chain(16, 8, convolution=True, parameters=9),
        chain(16, 8, delay=5),
        replace(chain(16, 8), groups=(pattern,)),
        graded,
    ]
    seen: set[Field] = set()
    plain = Strict.__getattribute__

    def recording(self: Any, name: str) -> Any:
        if not name.startswith("_"):
            seen.add((type(self).__name__, name))
        return plain(self, name)

    Strict.__getattribute__ = recording  # type: ignore[method-assign]
    try:
        for profile in profiles.values():
            if profile.role == "target":
                networks.append(describe(quantise_network(small, profile, spikes, level=1)))
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
