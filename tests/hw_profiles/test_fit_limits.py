"""Each limit of loihi1 and loihi2 has a network that just fits and one that just does not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from networks import chain, finding

from snn_deploy.errors import DoesNotFit
from snn_deploy.hw_profiles import load
from snn_deploy.hw_profiles.description import (
    Layer,
    NetworkDescription,
    Source,
    SynapseGroup,
)
from snn_deploy.hw_profiles.findings import Finding, judge
from snn_deploy.hw_profiles.fit import FitReport, fit

LOIHI1, LOIHI2 = load("loihi1"), load("loihi2")
FOLDER = Path(__file__).parents[2] / "snn_deploy" / "hw_profiles"


def alone(neurons: int) -> NetworkDescription:
    return NetworkDescription((), (Layer("a", neurons),), ())


def spread(targets: int) -> NetworkDescription:
    """64 neurons that reach as many full cores."""
    layers = (Layer("a", 64), *(Layer(f"b{i}", 1024) for i in range(targets)))
    groups = tuple(SynapseGroup(f"g{i}", "a", f"b{i}", 64, 1024) for i in range(targets))
    return NetworkDescription((), layers, groups)


# (what the core is filled with, network of that size, size that just fits, cores that it may take)
BY_SIZE: list[tuple[str, str, Callable[[int], NetworkDescription], int, int]] = [
    ("loihi1", "neurons_per_core", alone, 1024, 1),
    ("loihi1", "neurons_per_core", alone, 1024 * 128, 128),
    ("loihi1", "synapse_bits_per_core", lambda n: chain(n, 64), 1820, 1),  # 576 bit an axon
    ("loihi1", "output_axons_per_core", spread, 64, 65),
    ("loihi2", "neurons_per_core", alone, 8192, 1),
    ("loihi2", "neurons_per_core", alone, 8192 * 128, 128),
    ("loihi2", "synapse_bits_per_core", lambda n: chain(n, 64), 1820, 1),
]


@pytest.mark.parametrize(("profile", "limit", "network", "size", "cores"), BY_SIZE)
def test_what_fills_a_core_fits_and_one_more_does_not(
    profile: str, limit: str, network: Callable[[int], NetworkDescription], size: int, cores: int
) -> None:
    fits = fit(network(size), load(profile), cores=cores)
    assert fits.fits
    assert finding(fits, "cores").used == cores
    fits.require()
    more = size + (1 if cores <= 1 else cores if limit == "neurons_per_core" else 1)
    over = fit(network(more), load(profile), cores=cores if limit != "output_axons_per_core" else more + 1)
    assert not over.fits
    assert [row.limit for row in over.refusals] == ["cores"]
    assert limit in over.refusals[0].remedy
    with pytest.raises(DoesNotFit, match="cores; found") as caught:
        over.require()
    assert caught.value.exit_code == 4


def test_use_of_a_full_core_is_shown() -> None:
    report = fit(alone(1024), LOIHI1)
    row = finding(report, "neurons_per_core")
    assert (row.used, row.bound, row.percent, row.verdict) == (1024, 1024, 100.0, "tight")
    assert row.where == "core 0 (a[0:1024])"
    memory = finding(fit(chain(256, 128), LOIHI1), "synapse_bits_per_core")
    assert memory.used == 256 * 1152
    assert memory.percent == pytest.approx(28.125)
    sparse = 256 * 2 * 1024  # 64 * (8 + 7) + 10 = 970 -> 1024, two blocks
    assert f"dense {256 * 1152} bit, sparse {sparse} bit" in memory.note


def test_input_axons_cannot_be_cut_away() -> None:
    assert fit(chain(4096, 1), LOIHI1).fits
    over = fit(chain(4097, 1), LOIHI1)
    assert [row.limit for row in over.refusals] == ["input_axons_per_core"]
    assert over.refusals[0].used == 4097
    planes = NetworkDescription(
        (Source("in", 2049),),
        (Layer("a", 1),),
        (
            SynapseGroup("p", "in", "a", 2049, 1, sign="excitatory"),
            SynapseGroup("n", "in", "a", 2049, 1, sign="inhibitory"),
        ),
    )
    assert finding(fit(planes, LOIHI1), "input_axons_per_core").used == 4098


def test_loihi2_axons_are_an_unknown_limit_and_do_not_refuse() -> None:
    report = fit(chain(16_000, 1), LOIHI2)
    assert report.fits
    for limit in ("input_axons_per_core", "output_axons_per_core"):
        row = finding(report, limit)
        assert (row.verdict, row.bound, row.percent, row.status) == (
            "unknown limit",
            None,
            None,
            "unavailable",
        )
        assert row in report.warnings


@pytest.mark.parametrize(("synapses", "verdict"), [(4000, "tight"), (4001, "over")])
def test_synapses_of_a_loihi2_chip(synapses: int, verdict: str) -> None:
    row = finding(fit(chain(30_000, synapses), LOIHI2, chips=1), "synapses_per_chip")
    # One chip is not enough for the memory of 120 M synapses; judge the limit as if it were.
    cores = fit(chain(30_000, synapses), LOIHI2).chips
    assert judge(row.used * cores, row.bound) == verdict


def test_memory_of_a_loihi2_core_in_all(tmp_path: Path) -> None:
    """Synapses and state of one core: with 8192 neurons and full synapse memory 1 441 792 bits at most."""
    network = chain(8, 8192)
    needed = 8 * (8192 // 64) * 576 + 8192 * 48
    for bound, cores in ((needed, 1), (needed - 1, 2)):
        text = (
            (FOLDER / "loihi2.toml")
            .read_text(encoding="utf-8")
            .replace("value = 1572864", f"value = {bound}")
        )
        path = tmp_path / f"{bound}.toml"
        path.write_text(text, encoding="utf-8")
        report = fit(network, load(path))
        assert len(report.partition.cores) == cores
        assert (report.partition.binding.get("l1") == "memory_bits_per_core") == (cores == 2)
    assert finding(fit(network, LOIHI2), "memory_bits_per_core").used == needed


def test_cores_and_boards() -> None:
    sizes = {1: "kapoho_bay", 2: "kapoho_bay", 3: "nahuku8", 9: "nahuku32"}
    for chips, board in sizes.items():
        report = fit(alone(1024 * 128 * chips), LOIHI1)
        assert (report.chips, report.board) == (chips, board)
        assert fit(alone(1024 * 128 * chips), LOIHI1, chips=chips).fits
        assert not fit(alone(1024 * 128 * chips + 1), LOIHI1, chips=chips).fits


def many(count: int, **field: Any) -> NetworkDescription:
    layers = tuple(
        replace(Layer(f"l{i}", 4), **{key: value[i] for key, value in field.items()}) for i in range(count)
    )
    return NetworkDescription((), layers, ())


def test_configuration_tables_are_kept_when_layers_share_a_core() -> None:
    assert len(fit(many(8, threshold=range(1, 9)), LOIHI1).partition.cores) == 1
    assert len(fit(many(9, threshold=range(1, 10)), LOIHI1).partition.cores) == 2
    distinct = fit(many(32, decay_u=range(32)), LOIHI1).partition.cores
    assert max(core.use["compartment_configurations"] for core in distinct) <= 32
    assert all(core.use["threshold_configurations"] <= 8 for core in distinct)


@pytest.mark.parametrize(("planes", "verdict"), [(7, "ok"), (8, "tight"), (9, "over")])
def test_synapse_configurations_of_one_layer_only_warn(planes: int, verdict: str) -> None:
    groups = tuple(
        SynapseGroup(f"g{i}", "in", "a", 4, 4, weight_exp=i % 8, delay=i // 8) for i in range(planes)
    )
    report = fit(NetworkDescription((Source("in", 4),), (Layer("a", 4),), groups), LOIHI1)
    row = finding(report, "synapse_configurations")
    assert (row.verdict, row.soft) == (verdict, True)
    assert report.fits
    assert (row in report.warnings) == (verdict != "ok")


@pytest.mark.parametrize(
    ("limit", "good", "bad"),
    [
        ("fan_in", (12, 8), (64, 4)),
        ("input_channels", (16, 8), (17, 8)),
        ("output_channels", (8, 8), (8, 9)),
        ("neurons_per_chip", (4, 1000, 8), (4, 1001, 8)),
        ("fan_out", (8, 8, 8), (4, 65, 8)),
    ],
)
def test_limits_of_xylo(limit: str, good: tuple[int, ...], bad: tuple[int, ...]) -> None:
    xylo = load("xylo_audio2")
    assert finding(fit(chain(*good), xylo), limit).verdict in ("ok", "tight")
    assert finding(fit(chain(*bad), xylo), limit).verdict == "over"


def test_mean_fan_out_of_xylo_is_over_all_senders() -> None:
    row = finding(fit(chain(4, 40, 8), load("xylo_audio2")), "mean_fan_out")
    assert row.used == pytest.approx((4 * 40 + 40 * 8) / 44)


def words(kernel: int, neurons: int, count: int = 1) -> NetworkDescription:
    """Convolutions of so many shared weights and neurons; their synapses do not matter here."""
    layers = tuple(Layer(f"l{i}", neurons, channels=4) for i in range(count))
    none = {"indptr": np.zeros(neurons + 1, dtype=np.int64), "indices": np.zeros(0, dtype=np.int64)}
    groups = tuple(
        SynapseGroup(
            f"g{i}",
            f"l{i - 1}" if i else "in",
            f"l{i}",
            neurons if i else 8,
            neurons,
            dense=False,
            convolution=True,
            parameters=kernel,
            **none,
        )
        for i in range(count)
    )
    return NetworkDescription((Source("in", 8),), layers, groups)


@pytest.mark.parametrize(
    ("kernel", "neurons", "count", "fits"),
    [
        (65536, 16384, 2, True),  # cores 5 and 6 alone have the kernel memory
        (65536, 16384, 3, False),
        (65537, 10, 1, False),
        (16384, 65536, 3, True),
        (16384, 65536, 4, False),
        (100, 100, 9, True),
        (100, 100, 10, False),
    ],
)
def test_speck_matches_layers_with_unlike_cores(kernel: int, neurons: int, count: int, fits: bool) -> None:
    report = fit(words(kernel, neurons, count), load("speck"))
    row = finding_of_words(report)
    assert (row.verdict == "ok") == fits
    assert report.fits == fits


def finding_of_words(report: FitReport) -> Finding:
    return finding(report, "layers_on_cores")


def test_truenorth_cannot_take_a_wide_fan_in() -> None:
    assert fit(chain(256, 300), load("truenorth")).fits
    over = fit(chain(257, 300), load("truenorth"))
    assert {row.limit for row in over.refusals} == {"input_axons_per_core", "fan_in"}


@pytest.mark.parametrize("profile", ["ideal", "cpu45nm", "spinnaker2"])
def test_profiles_without_capacities_take_anything(profile: str) -> None:
    report = fit(chain(5000, 5000), load(profile))
    assert report.fits
    assert report.as_dict()["cores"] is None


def test_all_violations_are_named_at_once() -> None:
    layer = Layer("a", 10, threshold=200_000, bias_exp=(0, 9))
    group = SynapseGroup("g", "in", "a", 5000, 10, weight_bits=7, weight_exp=12, delay=99)
    network = NetworkDescription((Source("in", 5000, message_bits=4),), (layer,), (group,))
    with pytest.raises(DoesNotFit) as caught:
        fit(network, LOIHI1).require()
    text = str(caught.value)
    for words_of_rule in (
        "input axons",
        "threshold",
        "bias exp",
        "weight bits",
        "weight exp",
        "delay",
        "graded spikes",
    ):
        assert words_of_rule in text
    assert len(caught.value.violations) == 7


@pytest.mark.parametrize(
    ("used", "bound", "verdict"),
    [
        (90, 100, "ok"),
        (91, 100, "tight"),
        (100, 100, "tight"),
        (101, 100, "over"),
        (5, None, "unknown limit"),
        (1, 0, "over"),
    ],
)
def test_verdicts(used: int, bound: int | None, verdict: str) -> None:
    assert judge(used, bound) == verdict


def test_report_for_json_names_both_forms_of_every_layer() -> None:
    report = fit(chain(256, 128, 512), LOIHI1).as_dict()
    layer = report["layers"][1]
    assert layer["synapse_bits"] == {
        "dense": 128 * 8 * 576,
        "sparse": 128 * 8 * 1152,
        "chosen": 128 * 8 * 576,
    }
    assert layer["on_cores"] == [1]
    assert report["board"] == "kapoho_bay"
