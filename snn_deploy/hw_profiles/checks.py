"""The limits that do not depend on the cut into cores: formats, fan-in and fan-out, abilities, overflow."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from snn_deploy.hw_profiles.description import Activity, Layer, NetworkDescription, SynapseGroup
from snn_deploy.hw_profiles.findings import Finding, against, judge
from snn_deploy.hw_profiles.quantity import Flag, Span
from snn_deploy.hw_profiles.schema import Integers, Profile

REGISTER = "a register: its whole range is meant to be used"


def format_checks(network: NetworkDescription, formats: Integers | None) -> list[Finding]:
    """Weights, exponents, delays, decays, thresholds and biases against the chip's integers."""
    if formats is None:
        return []
    found: list[Finding] = []
    for span_name, remedy in (
        ("weight_exp", "Rescale the layer, or spread its weights over planes."),
        ("delay", "Shorten the delay, or split it over a relay population."),
    ):
        span: Span = getattr(formats, span_name)
        found += _span(span_name, span, [(g.name, getattr(g, span_name)) for g in network.groups], remedy)
    for sign in dict.fromkeys(group.sign for group in network.groups):
        uses = [(g.name, weight) for g in network.groups if g.sign == sign for weight in g.weights]
        found += _span(
            f"weight ({sign})", formats.weights(sign), uses, "Quantise for this profile.", REGISTER
        )
    codes = formats.weight_bits
    wrong = [g for g in network.groups if g.weight_bits not in codes.values]
    widest = max(network.groups, key=lambda g: g.weight_bits, default=None)
    if widest is not None:
        worst = wrong[0] if wrong else widest
        found.append(
            Finding(
                "weight_bits",
                worst.name,
                worst.weight_bits,
                max(codes.values),
                "bit",
                "over" if wrong else "ok",
                remedy=f"Use one of {', '.join(map(str, codes.values))} bits.",
                status=codes.status,
                source=codes.source,
            )
        )
    graded = [(source.name, source.message_bits) for source in network.sources if source.message_bits]
    found += against("graded_payload_bits", formats.graded_payload_bits, graded, "Use narrower graded input.")
    return found + _layer_formats(network.layers, formats)


def _layer_formats(layers: tuple[Layer, ...], formats: Integers) -> list[Finding]:
    scale = "Lower the layer's scale when quantising."
    mantissas = [(layer.name, value) for layer in layers for value in layer.bias_mantissa]
    exponents = [(layer.name, value) for layer in layers for value in layer.bias_exp]
    thresholds = [(layer.name, layer.threshold) for layer in layers]
    decays_u = [(layer.name, layer.decay_u) for layer in layers]
    decays_v = [(layer.name, layer.decay_v) for layer in layers]
    return [
        *_span("threshold", formats.threshold_mantissa, thresholds, scale),
        *_span("decay_u", formats.decay_u, decays_u, "Change tau_syn or dt.", REGISTER),
        *_span("decay_v", formats.decay_v, decays_v, "Change tau_mem or dt.", REGISTER),
        *_span("bias_mantissa", formats.bias_mantissa, mantissas, "Raise the bias exponent.", REGISTER),
        *_span("bias_exp", formats.bias_exp, exponents, scale),
    ]


def _span(name: str, span: Span, uses: list[tuple[str, int]], remedy: str, note: str = "") -> list[Finding]:
    """The value nearest to its end of a span, or furthest beyond: the largest, or where some are negative
    the smallest.

    A note of REGISTER says that the last value is as good as the first, so that it is never tight.
    """
    if not uses:
        return []
    lowest, highest = min(uses, key=lambda pair: pair[1]), max(uses, key=lambda pair: pair[1])
    (where, used), bound, verdict = highest, span.high, judge(highest[1], span.high)
    if lowest[1] < span.low:
        (where, used), bound, verdict = lowest, span.low, "over"
    elif lowest[1] < 0 and verdict != "over" and lowest[1] / span.low >= used / max(span.high, 1):
        (where, used), bound, verdict = lowest, span.low, judge(-lowest[1], -span.low)
    return [
        Finding(
            name,
            where,
            used,
            bound,
            "" if span.unit == "1" else span.unit,
            "ok" if verdict == "tight" and note == REGISTER else verdict,
            remedy=f"{remedy} Allowed: {span.low} to {span.high}.",
            note="; ".join(text for text in (note, span.note) if text),
            status=span.status,
            source=span.source,
        )
    ]


def fan_checks(network: NetworkDescription, profile: Profile) -> list[Finding]:
    """Synapses a neuron receives and sends, channels, biases, and destination layers, where limited.

    A convolution has a bias a channel, any other layer one a neuron.
    """
    limits = profile.limits
    nodes = list(network.sizes)
    fan_in = [(layer.name, _most(network.into(layer.name), "fan_in")) for layer in network.layers]
    fan_out = [(name, _most(network.out_of(name), "fan_out")) for name in nodes if network.out_of(name)]
    synapses = sum(group.nonzero for group in network.groups)
    senders = sum(network.sizes[name] for name, _ in fan_out)
    mean = [("all layers", synapses / senders)] if senders else []
    reached = [(name, len({group.target for group in network.out_of(name)})) for name in nodes]
    outputs = [
        (name, sum(x.neurons for x in network.layers if name in (x.name, x.node))) for name in network.outputs
    ]
    biased = [(x.name, x.channels or x.neurons) for x in network.layers if any(x.bias_mantissa)]
    prune = "Prune synapses, or narrow the layer."
    return [
        *against("fan_in", limits.fan_in, fan_in, prune),
        *against("fan_out", limits.fan_out, fan_out, prune),
        *against("mean_fan_out", limits.mean_fan_out, mean, prune),
        *against("bias_words", limits.bias_words, biased, "Fewer channels, or no bias."),
        *against("destination_layers", limits.destination_layers, reached, "Chain the layers."),
        *against(
            "input_channels",
            limits.input_channels,
            [(s.name, s.channels) for s in network.sources],
            "Fewer inputs.",
        ),
        *against(
            "output_channels", limits.output_channels, outputs, "Fewer outputs, or a read-out on the host."
        ),
        *against(
            "layer_channels",
            limits.layer_channels,
            [(x.name, x.channels) for x in network.layers],
            "Fewer channels.",
        ),
        *against(
            "weight_bits_of_chip",
            limits.weight_bits,
            [(g.name, g.weight_bits) for g in network.groups],
            "Fewer bits.",
        ),
        *against(
            "neurons_per_chip",
            limits.neurons_per_chip,
            [("all layers", sum(layer.neurons for layer in network.layers))],
            "Fewer neurons.",
        ),
    ]


def _most(groups: Iterable[SynapseGroup], attribute: str) -> int:
    total = sum((getattr(group, attribute) for group in groups), np.zeros(1, dtype=np.int64))
    return int(np.max(total))


def ability_checks(network: NetworkDescription, profile: Profile) -> list[Finding]:
    """Recurrence, convolution, delays, graded input and another reset, where the chip has none."""
    supports = profile.supports
    rows: tuple[tuple[str, Flag | None, list[str], str], ...] = (
        (
            "recurrence",
            supports.recurrence,
            list(network.recurrent),
            "Remove the loop, or choose another chip.",
        ),
        (
            "convolution",
            supports.convolution,
            [group.name for group in network.groups if group.convolution],
            "Unroll the convolution into a sparse layer.",
        ),
        (
            "delays",
            supports.delays,
            [group.name for group in network.groups if group.delay],
            "Remove the delays.",
        ),
        (
            "graded_spikes",
            supports.graded_spikes,
            [source.name for source in network.sources if source.message_bits],
            "Encode the input as spikes.",
        ),
        (
            "reset_by_subtraction",
            supports.reset_by_subtraction,
            [layer.name for layer in network.layers if layer.subtracts],
            "Retrain with a reset to v_reset.",
        ),
    )
    return [_ability(name, flag, users, remedy) for name, flag, users, remedy in rows if users]


def _ability(name: str, flag: Flag | None, users: list[str], remedy: str) -> Finding:
    able = flag is not None and flag.value
    told = "supported" if able else "not supported" if flag is not None else "not stated by the profile"
    return Finding(
        name,
        ", ".join(users),
        len(users),
        None if able else 0,
        "users",
        "ok" if able else "over",
        remedy=remedy,
        note=f"{told}; {flag.note}" if flag is not None and flag.note else told,
        status="unavailable" if flag is None else flag.status,
        source=() if flag is None else flag.source,
    )


def overflow_checks(
    network: NetworkDescription, formats: Integers | None, activity: Activity | None
) -> list[Finding]:
    """Whether the current u can leave its range, and the input sum of a step its accumulator.

    Worst case: every excitatory (or every inhibitory) input fires in every step. u then tends to
    drive * 2^(threshold_shift + decay_bits) / (decay_u + decay_u_offset). With an activity, drive is
    weighted by each source's own rate.
    Both are soft: the first is a bound that hardly any input reaches, the second an average.
    """
    if formats is None:
        return []
    u_bound = 2 ** (formats.state_bits.value - 1) - 1
    sum_bound = 2 ** (formats.accumulator_bits.value - 1) - 1
    worst: list[tuple[str, float]] = []
    mean, sums = worst.copy(), worst.copy()
    for layer in network.layers:
        groups = [group for group in network.into(layer.name) if group.drive is not None]
        if not groups:
            continue
        drive = sum(np.abs(np.asarray(group.drive)) for group in groups)
        retained = layer.decay_u + formats.decay_u_offset.value
        unity = 2 ** (formats.threshold_shift.value + formats.decay_bits.value)
        gain = unity / retained if retained else float("inf")
        largest = float(np.max(drive))
        sums.append((layer.name, largest))
        worst.append((layer.name, largest * gain if largest else 0.0))
        if activity is not None:
            rated = sum(
                np.abs(np.asarray(group.drive)) * float(activity.per_step(group.source).mean())
                for group in groups
            )
            mean.append((layer.name, float(np.max(rated)) * gain if largest else 0.0))
    scale = "Lower the layer's scale when quantising, or shorten tau_syn."
    everything = "worst case: all inputs of one sign fire in every step"
    rows = (
        ("u_overflow_worst_case", worst, u_bound, everything),
        ("u_overflow_at_mean_rate", mean, u_bound, activity.origin if activity else ""),
        ("accumulator_worst_case", sums, sum_bound, f"{everything}; {formats.accumulator_bits.note}"),
    )
    found = []
    for name, uses, bound, note in rows:
        for where, used in sorted(uses, key=lambda pair: -pair[1])[:1]:
            source = formats.state_bits if name.startswith("u_") else formats.accumulator_bits
            found.append(
                Finding(
                    name,
                    where,
                    used,
                    bound,
                    "",
                    judge(used, bound),
                    True,
                    scale,
                    note,
                    source.status,
                    source.source,
                )
            )
    return found
