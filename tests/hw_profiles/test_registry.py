"""Profiles are complete, closed and typed; a broken one says everything that is wrong with it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import BaseModel

from snn_deploy.errors import UsageError
from snn_deploy.hw_profiles import inherit_energy, load, names
from snn_deploy.hw_profiles.quantity import STATUSES, Entry, Quantity

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

FOLDER = Path(__file__).parents[2] / "snn_deploy" / "hw_profiles"
BUILT_IN = tuple(sorted(path.stem for path in FOLDER.glob("*.toml")))


def entries(node: object, path: str = "") -> Iterator[tuple[str, Entry]]:
    if isinstance(node, Entry):
        yield path, node
    elif isinstance(node, BaseModel):
        for name in type(node).model_fields:
            yield from entries(getattr(node, name), f"{path}.{name}")
    elif isinstance(node, dict):
        for key, value in node.items():
            yield from entries(value, f"{path}.{key}")
    elif isinstance(node, tuple):
        for index, value in enumerate(node):
            yield from entries(value, f"{path}[{index}]")


def edited(tmp_path: Path, name: str, *changes: tuple[str, str]) -> Path:
    text = (FOLDER / f"{name}.toml").read_text(encoding="utf-8")
    for old, new in changes:
        assert old in text, old
        text = text.replace(old, new, 1)
    path = tmp_path / "own.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_names_are_the_files() -> None:
    assert names() == BUILT_IN
    assert {"loihi1", "loihi2"} < set(BUILT_IN)


@pytest.mark.parametrize("name", BUILT_IN)
def test_every_number_has_unit_status_and_a_listed_source(name: str) -> None:
    profile = load(name)
    found = list(entries(profile))
    assert profile.name == name
    assert len(found) >= 8
    for path, entry in found:
        assert entry.unit, path
        assert entry.status in STATUSES, path
        assert set(entry.source) <= set(profile.sources), path


@pytest.mark.parametrize("name", BUILT_IN)
def test_no_source_is_listed_for_nothing(name: str) -> None:
    profile = load(name)
    used = {key for _, entry in entries(profile) for key in entry.source}
    assert used == set(profile.sources)


@pytest.mark.parametrize("name", BUILT_IN)
def test_no_number_stands_bare(name: str) -> None:
    """Each leaf number of the file sits in a table that also has unit, status and source."""

    def bare(node: object, path: str) -> Iterator[str]:
        if isinstance(node, dict):
            numbers = [k for k, v in node.items() if isinstance(v, int | float) and k != "schema"]
            if numbers and not {"unit", "status", "source"} <= set(node):
                yield f"{path}: {numbers}"
            for key, value in node.items():
                yield from bare(value, f"{path}.{key}")
        elif isinstance(node, list) and any(isinstance(item, dict) for item in node):
            for item in node:
                yield from bare(item, path)

    document = tomllib.loads((FOLDER / f"{name}.toml").read_text(encoding="utf-8"))
    assert list(bare(document, name)) == []


def test_integer_formats_of_the_targets() -> None:
    for name in ("loihi1", "loihi2", "ideal"):
        integers = load(name).integers
        assert (integers.weight_mixed.low, integers.weight_mixed.high, integers.weight_mixed.step) == (
            -256,
            254,
            2,
        )
        assert (integers.weight_excitatory.low, integers.weight_excitatory.high) == (0, 255)
        assert (integers.weight_inhibitory.low, integers.weight_inhibitory.high) == (-255, 0)
        assert integers.threshold_mantissa.high == 2**17 - 1
        assert integers.threshold_shift.value == 6
        assert integers.decay_bits.value == 12
        assert (integers.bias_mantissa.low, integers.bias_mantissa.high) == (-4095, 4095)
        assert (integers.bias_exp.low, integers.bias_exp.high) == (0, 7)
        assert (integers.delay.low, integers.delay.high) == (0, 62)
        assert integers.state_bits.value == 24
    assert 7 not in load("loihi1").integers.weight_bits.values
    assert 7 in load("loihi2").integers.weight_bits.values
    assert load("loihi1").integers.graded_payload_bits is None
    assert not load("loihi1").supports.graded_spikes
    assert load("loihi2").supports.graded_spikes


@pytest.mark.parametrize(("bits", "mixed", "split"), [(8, 2, 1), (6, 8, 4), (4, 32, 16), (1, 256, 128)])
def test_weight_step_doubles_for_each_bit_and_for_the_sign(bits: int, mixed: int, split: int) -> None:
    integers = load("loihi1").integers
    assert integers.weight_step("mixed", bits) == mixed == 2 ** (9 - bits)
    assert integers.weight_step("excitatory", bits) == split == 2 ** (8 - bits)
    assert integers.weight_step("inhibitory", bits) == split


def test_a_span_holds_its_steps_alone() -> None:
    mixed = load("loihi1").integers.weight_mixed
    assert [w for w in (-258, -256, -255, 0, 1, 2, 254, 256) if w in mixed] == [-256, 0, 2, 254]


def test_a_comparison_profile_has_no_integers_to_quantise_for() -> None:
    with pytest.raises(UsageError, match="here for comparison"):
        _ = load("speck").integers


def test_an_own_profile_is_read_by_path(tmp_path: Path) -> None:
    path = edited(tmp_path, "loihi1", ('name = "loihi1"', 'name = "half"'), ("value = 1024,", "value = 512,"))
    for form in (path, str(path)):
        profile = load(form)
        assert profile.name == "half"
        assert profile.limits.neurons_per_core is not None
        assert profile.limits.neurons_per_core.value == 512


def test_all_violations_are_reported_at_once(tmp_path: Path) -> None:
    path = edited(
        tmp_path,
        "loihi1",
        ("[limits]", "[limits]\ncolour = 3"),
        ('value = 4096, unit = "axons"', 'value = 4096, unit = "pJ"'),
        (', source = "SF" }', " }"),
        ('status = "datasheet", source = "B2"', 'status = "rumour", source = "XX"'),
    )
    with pytest.raises(UsageError) as caught:
        load(path)
    text = str(caught.value)
    assert len(caught.value.violations) == 5
    assert "limits.colour: unknown key" in text
    assert "input_axons_per_core: unit 'pJ' where 'axons' is expected" in text
    assert "cores_per_tile.source: missing key" in text
    assert "integers.delay.status: unknown status" in text
    assert "source XX is not in [sources]" in text


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("value = 35.5,", "value = 35.5, low = 40.0,", "low <= value <= high"),
        ("value = 35.5,", "", "every other status needs one"),
        ("value = 35.5,", "value = nan,", "finite"),
        (
            'value = 35.5, unit = "pJ", status = "fitted"',
            'value = 35.5, unit = "pJ", status = "unavailable"',
            "means no",
        ),
        ('nominal = "fitted"', 'nominal = "best"', "not one of the tables"),
        ("value = 1024,", "value = true,", "valid integer"),
        ("value = 1024,", "value = 1024.5,", "valid integer"),
        ("low = -7, high = 7", "low = 8, high = 7", "is above high"),
        ('role = "target"', 'role = "toy"', "comparison"),
        ("schema = 1", "schema = 2", "Input should be 1"),
    ],
)
def test_a_wrong_value_is_named(tmp_path: Path, old: str, new: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        load(edited(tmp_path, "loihi1", (old, new)))


def test_unreadable_files_and_unknown_names(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="loihi1, loihi2"):
        load("loihi3")
    with pytest.raises(UsageError, match="cannot be read"):
        load(tmp_path / "none.toml")
    with pytest.raises(UsageError, match="cannot be read"):
        load(tmp_path)
    broken = tmp_path / "broken.toml"
    broken.write_bytes(b"\xff\xfe[")
    with pytest.raises(UsageError, match="UTF-8"):
        load(broken)
    broken.write_text("a = [", encoding="utf-8")
    with pytest.raises(UsageError, match="TOML"):
        load(broken)
    broken.write_text("#" * 1_000_001, encoding="utf-8")
    with pytest.raises(UsageError, match="too large"):
        load(broken)
    broken.write_text("sources = 3\n", encoding="utf-8")
    with pytest.raises(UsageError, match="supports: missing key"):
        load(broken)


def test_loihi2_has_no_energy_of_its_own_and_labels_what_it_inherits() -> None:
    profile, donor = load("loihi2"), load("loihi1")
    assert not profile.energy.available
    heir = inherit_energy(profile, donor)
    assert not profile.energy.available
    assert heir.energy.inherited_from == "loihi1"
    assert set(heir.energy.tables) == set(donor.energy.tables)
    for name, table in heir.energy.tables.items():
        assert "inherited from loihi1" in table.title
        for path, entry in entries(table):
            original = getattr(donor.energy.tables[name], path[1:])
            assert isinstance(entry, Quantity)
            assert entry.status == "inherited"
            assert "inherited from loihi1" in entry.note
            assert entry.value == original.value
            assert set(entry.source) <= set(heir.sources)


@pytest.mark.parametrize(
    ("name", "donor"), [("loihi1", "loihi1"), ("loihi2", "truenorth"), ("speck", "loihi1")]
)
def test_nothing_else_is_inherited(name: str, donor: str) -> None:
    with pytest.raises(UsageError, match="cannot inherit"):
        inherit_energy(load(name), load(donor))


@pytest.mark.parametrize(
    ("ours", "theirs"), [("inherited", "fitted"), ("inherited_presilicon", "presilicon")]
)
def test_loihi2_times_are_loihi1_times_scaled_by_intels_factors(ours: str, theirs: str) -> None:
    factors = {"synop": 0.2, "neuron": 0.5, "spike": 0.1, "packet": 0.1}
    table, original = load("loihi2").time.tables[ours], load("loihi1").time.tables[theirs]
    scaled = {path[1:]: entry for path, entry in entries(table)}
    assert len(scaled) >= 4
    for field, entry in scaled.items():
        factor = factors[field.split("_", maxsplit=1)[0]]
        assert entry.value == pytest.approx(getattr(original, field).value * factor, rel=1e-12)
        assert entry.status == "inherited"
