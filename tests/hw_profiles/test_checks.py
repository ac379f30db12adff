"""Formats, abilities and overflow: what each chip's integers just hold and just do not."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from networks import chain, finding

from snn_deploy.hw_profiles import load
from snn_deploy.hw_profiles.description import (
    Activity,
    Layer,
    NetworkDescription,
    Source,
    SynapseGroup,
    assumed_activity,
)
from snn_deploy.hw_profiles.fit import fit

LOIHI1, LOIHI2 = load("loihi1"), load("loihi2")
GROUP_FORMATS = [
    ("weight (mixed)", {"weights": (-256, 254)}, {"weights": (-256, 255)}),
    ("weight (mixed)", {"weights": (-256, 254)}, {"weights": (-257, 254)}),
    (
        "weight (excitatory)",
        {"weights": (0, 255), "sign": "excitatory"},
        {"weights": (0, 256), "sign": "excitatory"},
    ),
    (
        "weight (inhibitory)",
        {"weights": (-255, 0), "sign": "inhibitory"},
        {"weights": (-256, 0), "sign": "inhibitory"},
    ),
    (
        "weight (inhibitory)",
        {"weights": (-255, 0), "sign": "inhibitory"},
        {"weights": (-255, 1), "sign": "inhibitory"},
    ),
    ("weight_exp", {"weight_exp": 7}, {"weight_exp": 8}),
    ("weight_exp", {"weight_exp": -7}, {"weight_exp": -9}),
    ("weight_bits", {"weight_bits": 8}, {"weight_bits": 9}),
    ("delay", {"delay": 62}, {"delay": 63}),
]
LAYER_FORMATS = [
    ("threshold", {"threshold": 131071}, {"threshold": 131072}),
    ("decay_u", {"decay_u": 4095}, {"decay_u": 4096}),
    ("decay_v", {"decay_v": 4095}, {"decay_v": 4097}),
    ("decay_u", {"decay_u": 0}, {"decay_u": -2}),
    ("bias_mantissa", {"bias_mantissa": (-4095, 4095)}, {"bias_mantissa": (-4095, 4096)}),
    ("bias_mantissa", {"bias_mantissa": (-4095, 4095)}, {"bias_mantissa": (-4096, 0)}),
    ("bias_exp", {"bias_exp": (0, 7)}, {"bias_exp": (0, 8)}),
    ("bias_exp", {"bias_exp": (0, 7)}, {"bias_exp": (-1, 7)}),
]


@pytest.mark.parametrize("profile", ["loihi1", "loihi2"])
@pytest.mark.parametrize(("limit", "good", "bad"), GROUP_FORMATS + LAYER_FORMATS)
def test_integers_that_just_fit_and_just_do_not(profile: str, limit: str, good: dict, bad: dict) -> None:
    def network(fields: dict) -> NetworkDescription:
        layer = {key: value for key, value in fields.items() if hasattr(Layer("x", 1), key)}
        group = {key: value for key, value in fields.items() if key not in layer}
        return NetworkDescription(
            (Source("in", 4),), (Layer("a", 4, **layer),), (SynapseGroup("g", "in", "a", 4, 4, **group),)
        )

    assert fit(network(good), load(profile)).fits
    over = fit(network(bad), load(profile))
    assert [row.limit for row in over.refusals] == [limit]
    assert over.refusals[0].where in ("a", "g")


def test_weight_widths_are_codes_not_a_range() -> None:
    seven = chain(4, 4, weight_bits=7)
    assert [row.limit for row in fit(seven, LOIHI1).refusals] == ["weight_bits"]
    assert "1, 2, 3, 4, 5, 6, 8" in fit(seven, LOIHI1).refusals[0].remedy
    assert fit(seven, LOIHI2).fits


def test_graded_input_is_for_chips_that_have_it() -> None:
    network = NetworkDescription((Source("in", 4, message_bits=8),), (Layer("a", 4),), ())
    assert fit(network, LOIHI2).fits
    assert [row.limit for row in fit(network, LOIHI1).refusals] == ["graded_spikes"]


def test_recurrence_and_convolution_where_the_chip_has_none() -> None:
    network = chain(16, 8, 8, recurrent=(2,), parameters=64)
    back = replace(network, groups=(*network.groups, SynapseGroup("back", "l2", "l1", 8, 8)))
    assert network.recurrent == ("l2",)
    assert back.recurrent == ("l1", "l2")
    row = finding(fit(network, load("speck")), "recurrence")
    assert (row.verdict, row.where) == ("over", "l2")
    assert finding(fit(network, LOIHI1), "recurrence").verdict == "ok"
    conv = chain(16, 8, convolution=True)
    assert [row.limit for row in fit(conv, load("xylo_audio2")).refusals] == ["convolution"]


@pytest.mark.parametrize(("excess", "verdict"), [(0.0, "tight"), (1.0, "over")])
def test_overflow_of_u_is_a_soft_worst_case(excess: float, verdict: str) -> None:
    """u tends to 64 * drive * 4096 / (du + 1); the bound is 2^23 - 1."""
    du = 4095
    drive = (2**23 - 1) // 64 + excess
    group = SynapseGroup("g", "in", "a", 4, 2, drive=np.array([[0.0, -3.0], [drive, 1.0]]))
    network = NetworkDescription((Source("in", 4),), (Layer("a", 2, decay_u=du),), (group,))
    report = fit(network, LOIHI1, activity=assumed_activity(network, 0.25))
    row = finding(report, "u_overflow_worst_case")
    assert (row.verdict, row.soft, row.where) == (verdict, True, "a")
    assert row.used == 64 * drive
    mean = finding(report, "u_overflow_at_mean_rate")
    assert mean.used == pytest.approx(16 * drive)
    assert mean.verdict == "ok"
    assert report.fits


@pytest.mark.parametrize(("drive", "verdict"), [(2.0**20 - 1, "tight"), (2.0**20, "over")])
def test_accumulator_of_loihi1_has_21_bits(drive: float, verdict: str) -> None:
    group = SynapseGroup("g", "in", "a", 4, 1, drive=np.array([[-drive], [0.0]]))
    network = NetworkDescription((Source("in", 4),), (Layer("a", 1, decay_u=4095),), (group,))
    assert finding(fit(network, LOIHI1), "accumulator_worst_case").verdict == verdict


def test_the_mean_rate_uses_each_sources_own_spikes() -> None:
    groups = (
        SynapseGroup("g", "x", "a", 2, 1, drive=np.array([[0.0], [10.0]])),
        SynapseGroup("h", "y", "a", 2, 1, drive=np.array([[0.0], [100.0]])),
    )
    network = NetworkDescription((Source("x", 2), Source("y", 2)), (Layer("a", 1, decay_u=4095),), groups)
    activity = Activity(
        {"x": np.array([8.0, 8.0]), "y": np.array([0.0, 4.0]), "a": np.zeros(1)},
        samples=2,
        steps=4,
        origin="run",
    )
    row = finding(fit(network, LOIHI1, activity=activity), "u_overflow_at_mean_rate")
    assert row.used == pytest.approx(64 * (10 * 1.0 + 100 * 0.25))


def test_graded_input_wider_than_a_message_does_not_fit() -> None:
    network = replace(chain(4, 3), sources=(Source("in", 4, message_bits=33),))
    assert finding(fit(network, load("loihi2")), "graded_payload_bits").verdict == "over"
    narrow = replace(chain(4, 3), sources=(Source("in", 4, message_bits=8),))
    assert finding(fit(narrow, load("loihi2")), "graded_payload_bits").verdict == "ok"


def test_speck_holds_a_bias_a_channel() -> None:
    """1,024 words: a layer without channels takes one a neuron, one without biases none."""
    network = chain(4, 1025)
    (layer,) = network.layers
    for changes, verdict in (
        ({"bias_mantissa": (0, 5)}, "over"),
        ({"bias_mantissa": (0, 5), "channels": 1024}, "tight"),
        ({"bias_mantissa": (-3, 0), "channels": 41}, "ok"),
    ):
        biased = replace(network, layers=(replace(layer, **changes),))
        assert finding(fit(biased, load("speck")), "bias_words").verdict == verdict
    assert not any(row.limit == "bias_words" for row in fit(network, load("speck")).findings)


def test_a_limit_of_biases_needs_no_other_limit() -> None:
    speck = load("speck")
    alone = speck.model_copy(update={"limits": speck.limits.model_copy(update={"kernel_words": None})})
    network = chain(4, 1025)
    biased = replace(network, layers=(replace(network.layers[0], bias_mantissa=(0, 5)),))
    assert finding(fit(biased, alone), "bias_words").verdict == "over"
