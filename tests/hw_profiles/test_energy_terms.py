"""Joules: the published totals of each price list, intervals that span them, the floor, the labels."""

from __future__ import annotations

import pytest
from networks import chain

from snn_deploy.hw_profiles import inherit_energy, load
from snn_deploy.hw_profiles.counts import Counts, LayerCounts, count
from snn_deploy.hw_profiles.description import assumed_activity
from snn_deploy.hw_profiles.energy import EnergyReport, Joules, compare, energy, per_correct, ratio
from snn_deploy.hw_profiles.partition import partition

# facts/energy.md, section 1: 64-128rec-10, T = 20, 10 % input.
EXAMPLE = Counts(
    samples=1,
    steps=20,
    layers=(LayerCounts("all", 138, spikes=459, synops=75_212, synops_stored=75_212, updates=2_760),),
    packets=984,
    input_packets=0,
    hops_ew=0,
    hops_ns=0,
    weight_bytes=0,
    state_bytes=0,
    origin="facts",
)


@pytest.mark.parametrize(
    ("profile", "table", "microjoules"),
    [
        ("loihi1", "presilicon", 1.93),
        ("loihi1", "keras_spiking", 2.26),
        ("loihi1", "fitted", 3.01),
        ("spinnaker2", "seneca", 0.75),
        ("spinnaker2", "keras_spiking", 39.9),
        ("cpu45nm", "fp32_accumulate", 0.068),
        ("cpu45nm", "int8_accumulate", 0.00226),
    ],
)
def test_each_price_list_gives_the_published_figure(profile: str, table: str, microjoules: float) -> None:
    report = energy(EXAMPLE, load(profile))
    assert report.by_table[table].nominal * 1e6 == pytest.approx(microjoules, rel=0.01)


def test_the_report_shows_the_spread_and_its_interval_spans_every_list() -> None:
    report = energy(EXAMPLE, load("loihi1"))
    assert report.marginal is not None
    totals = [joules.nominal for joules in report.by_table.values()]
    assert report.marginal.low <= min(totals) < max(totals) <= report.marginal.high
    assert report.marginal.nominal == pytest.approx(report.by_table["fitted"].nominal)
    assert report.spread == pytest.approx(3.012 / 1.932, rel=0.01)
    record = report.as_dict()
    assert set(record["by_table"]) == {"fitted", "presilicon", "keras_spiking"}
    assert record["spread_of_tables"] > 1.5
    assert record["kind"] == "proxy"


def test_each_term_has_an_interval_a_status_and_a_source() -> None:
    report = energy(EXAMPLE, load("loihi1"))
    terms = {term.name: term for term in report.terms}
    synapses = terms["synapses"].joules
    assert synapses is not None
    assert synapses.low * 1e12 == pytest.approx(23.6 * 75_212)
    assert synapses.high * 1e12 == pytest.approx(35.5 * 75_212)
    assert terms["synapses"].statuses == ("fitted", "pre-silicon")
    assert set(terms["synapses"].sources) == {"SF", "D18", "KS"}
    assert terms["packets"].joules == Joules(0.0, pytest.approx(984 * 111e-12), pytest.approx(984 * 111e-12))
    assert "not charged by" in terms["packets"].note
    neurons = terms["neurons"].joules
    assert neurons is not None
    assert neurons.low * 1e12 == pytest.approx(min(81 * 459 + 52 * 2301, 72.8 * 459 + 51.2 * 2301))
    assert all(
        term.statuses and term.sources for term in report.terms if term.joules and term.joules.high > 0
    )


def test_stored_zeros_widen_the_synapses_downwards() -> None:
    layer = LayerCounts("a", 10, spikes=0, synops=500, synops_stored=1000, updates=0)
    counts = Counts(1, 1, (layer,), 0, 0, None, None, 0, 0, "test")
    term = energy(counts, load("loihi1")).terms[0].joules
    assert term is not None
    assert term.low * 1e12 == pytest.approx(500 * 23.6)
    assert term.nominal * 1e12 == pytest.approx(1000 * 35.5)


def keyword_spotter() -> EnergyReport:
    """390-256-256-29, ten steps an inference, every hidden neuron firing in a tenth of them."""
    network = chain(390, 256, 256, 29)
    profile = load("loihi1")
    cut = partition(network, profile)
    return energy(count(network, profile, cut, assumed_activity(network, 0.1, steps=10)), profile)


def test_the_floor_is_of_the_order_of_the_measured_keyword_spotter() -> None:
    """Measured: 0.27 mJ an inference dynamic and 0.11 W / 296 = 0.37 mJ with idle; logs 0.62 and 0.85."""
    report = keyword_spotter()
    measured = load("loihi1").measurements["keyword_spotter"]
    total, dynamic = (
        measured[key].interval for key in ("total_energy_per_inference", "dynamic_energy_per_inference")
    )
    assert total is not None
    assert dynamic is not None
    assert (dynamic[0], dynamic[2]) == (270.0, 620.0)
    assert total[0] == pytest.approx(0.110 / 296 * 1e6, rel=0.001)
    terms = {term.name: term.joules for term in report.terms}
    overhead, idle = terms["floor: step overhead"], terms["floor: idle power"]
    assert overhead is not None
    assert idle is not None
    assert report.floor is not None
    assert report.marginal is not None
    assert overhead.low * 1e6 == pytest.approx(dynamic[0], rel=0.02)
    assert overhead.high * 1e6 == pytest.approx(dynamic[2], rel=0.01)
    assert idle.low == pytest.approx(0.029 / 296, rel=0.01)
    assert report.floor.low * 1e6 <= total[0] * 1.01
    assert report.floor.high * 1e6 >= total[2] * 0.99
    assert report.total is not None
    assert report.total.low * 1e6 < 2 * total[0]


def test_marginal_activity_is_less_than_a_tenth_of_what_was_measured() -> None:
    report = keyword_spotter()
    assert report.marginal is not None
    assert report.floor is not None
    assert report.marginal.nominal > 0
    assert report.marginal.high < 0.1 * 270e-6
    assert report.marginal.high < 0.1 * report.floor.low
    assert report.marginal_share is not None
    assert report.marginal_share < 0.1


def test_floor_scales_with_a_given_step_and_stands_in_its_own_rows() -> None:
    report = energy(EXAMPLE, load("loihi1"), step_seconds=1e-3)
    rows = {term.name: term for term in report.terms}
    idle = rows["floor: idle power"].joules
    assert idle is not None
    assert idle.nominal == pytest.approx(29.5e-3 * 1e-3 * 20)
    assert "1000" in rows["floor: idle power"].note
    assert "given by the caller" in report.step_time_note
    assert report.total is not None
    assert report.marginal is not None
    assert report.floor is not None
    assert report.total.nominal == pytest.approx(report.marginal.nominal + report.floor.nominal)


@pytest.mark.parametrize("name", ["loihi2", "speck", "xylo_audio2"])
def test_unpublished_energy_is_unavailable_and_never_a_number(name: str) -> None:
    report = energy(EXAMPLE, load(name))
    assert report.marginal is None
    assert report.total is None
    assert report.by_table == {}
    record = report.as_dict()
    assert record["marginal"] == record["total"] == record["per_item"]["total"] == "unavailable"
    assert {term["joules"] if isinstance(term["joules"], str) else "number" for term in record["terms"]} == {
        "unavailable"
    }
    assert all(term["statuses"] == ("unavailable",) for term in record["terms"])


def test_inherited_energy_is_labelled_in_every_row() -> None:
    heir = energy(EXAMPLE, inherit_energy(load("loihi2"), load("loihi1")))
    priced = [term for term in heir.terms if term.joules is not None]
    assert len(priced) == 5
    assert {term.label for term in priced} == {"inherited from loihi1"}
    assert {status for term in priced if term.joules and term.joules.high for status in term.statuses} == {
        "inherited"
    }
    assert heir.label == "inherited from loihi1"
    assert heir.total is None  # Loihi 2's floor is not Loihi 1's
    own = energy(EXAMPLE, load("loihi1"))
    assert heir.marginal == own.marginal
    assert compare(heir, own) is None


def test_a_ratio_needs_one_profile_and_intervals_apart() -> None:
    loihi1 = load("loihi1")
    tenfold = Counts(
        1, 20, (LayerCounts("all", 138, 4_590, 752_120, 752_120, 27_600),), 9_840, 0, 0, 0, 0, 0, "ten times"
    )
    found = compare(energy(tenfold, loihi1), energy(EXAMPLE, loihi1))
    assert found is not None
    assert found.nominal == pytest.approx(10)
    assert found.low < 10 < found.high
    assert compare(energy(EXAMPLE, loihi1), energy(EXAMPLE, loihi1)) is None
    assert compare(energy(tenfold, load("cpu45nm")), energy(EXAMPLE, loihi1)) is None
    assert compare(energy(tenfold, load("loihi2")), energy(EXAMPLE, load("loihi2"))) is None
    assert ratio(Joules(2, 3, 4), Joules(4, 5, 6)) is None
    assert ratio(Joules(2, 3, 4), Joules(0, 0, 0)) is None


def test_energy_of_a_correct_recall() -> None:
    found = per_correct(Joules(1.0, 2.0, 3.0), 0.8)
    assert found is not None
    assert found.nominal == 2.5
    assert per_correct(Joules(1.0, 2.0, 3.0), 0.0) is None
