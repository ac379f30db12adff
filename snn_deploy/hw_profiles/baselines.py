"""The simplest things that could beat a spiking network, priced by the same arithmetic.

A dense network of the same sizes does one multiply-accumulate a synapse; a quantised network of
ceil(log2(T + 1)) bits can say in one pass what T binary steps can (arXiv 2409.08290); a search over the
raw embeddings needs no network. No neuromorphic chip has prices for them, so they and the spiking
network itself are priced under a profile that has, and compared there alone.
"""

from __future__ import annotations

from dataclasses import dataclass

from snn_deploy.hw_profiles.description import Activity, NetworkDescription
from snn_deploy.hw_profiles.energy import PICO, EnergyReport, Joules, ratio
from snn_deploy.hw_profiles.quantity import Quantity
from snn_deploy.hw_profiles.schema import Arithmetic

STATE_BYTES = 12
"""u and v, 24 bits each, read and written, once a neuron and step."""
LITERATURE = "arXiv 2409.08290 (v4): below 5.7 % at T = 5, all movement of data counted"


@dataclass(frozen=True)
class Baseline:
    """One competitor on one item under ``profile``: its multiply-accumulates and its joules.

    ratio: its energy over the spiking network's under that profile, None where the intervals overlap.
    """

    name: str
    profile: str
    macs: int
    joules: Joules
    ratio: Joules | None
    note: str


@dataclass(frozen=True)
class BreakEven:
    """The spike rate below which T steps of accumulation cost less than one pass of the quantised network.

    by_memory: where the weights are read from -> rate; "none" counts arithmetic alone. A rate may exceed
    one (spiking always wins in that model) or be negative (it never does). actual: the run's own rate,
    spikes a synapse and step.
    """

    bits: int
    steps: int
    by_memory: dict[str, float]
    actual: float
    literature: str = LITERATURE


def baselines(
    network: NetworkDescription,
    prices: Arithmetic,
    spiking: EnergyReport,
    steps: int,
    *,
    stored_items: int = 0,
    dimensions: int = 0,
) -> tuple[Baseline, ...]:
    """Dense fp32, dense int8, quantised, and (where items are stored) a search over raw embeddings.

    spiking: the network's own energy under the profile of ``prices``. stored_items, dimensions: vectors in
    the memory, and their length.
    """
    macs = sum(group.stored for group in network.groups)
    bits = quantised_bits(steps)
    counts_up = f"{bits} bits count as far as {steps} binary steps; multiplier energy linear in bits"
    rows = [
        ("dense ANN, fp32", macs, _interval(prices.fp32_mac), "one pass over the same layers"),
        ("dense ANN, int8", macs, _interval(prices.int8_mac), "one pass over the same layers"),
        (f"quantised network, {bits} bit", macs, _quantised_mac(prices, bits), counts_up),
    ]
    if stored_items:
        searched = stored_items * dimensions
        rows.append(
            ("FAISS on raw embeddings", searched, _interval(prices.fp32_mac), "exact search, no network")
        )
    own = None if spiking.marginal is None else spiking.per_item(spiking.marginal)
    found = []
    for name, events, price, note in rows:
        joules = Joules(*price).scaled(events * PICO)
        against = None if own is None else ratio(joules, own)
        found.append(Baseline(name, spiking.profile, events, joules, against, note))
    return tuple(found)


def break_even(network: NetworkDescription, prices: Arithmetic, activity: Activity) -> BreakEven | None:
    """Break-even spike rate of a run's own T; None for a network without synapses.

    Per synapse, with fan-in F, the spiking network pays T (rate (add + weight) + state / F) and the
    quantised one mac + weight, where weight is one 8-bit read.
    """
    synapses = sum(group.stored for group in network.groups)
    neurons = sum(layer.neurons for layer in network.layers)
    if not synapses:
        return None
    steps, bits = activity.steps, quantised_bits(activity.steps)
    add, mac = _value(prices.int32_add), _quantised_mac(prices, bits)[1]
    memories = {
        "none": 0.0,
        "8 KiB": _value(prices.sram_8kib_64bit) / 8,
        "32 KiB": _value(prices.sram_32kib_64bit) / 8,
        "1 MiB": _value(prices.sram_1mib_64bit) / 8,
    }
    rates = {
        name: (mac + byte - steps * STATE_BYTES * byte * neurons / synapses) / (steps * (add + byte))
        for name, byte in memories.items()
    }
    events = sum(
        float(activity.spikes[group.source].sum()) * group.stored / group.sources for group in network.groups
    )
    return BreakEven(bits, steps, rates, events / (synapses * activity.item_steps))


def quantised_bits(steps: int) -> int:
    """ceil(log2(T + 1)): the bits that count up to T spikes."""
    return max(steps, 1).bit_length()


def _quantised_mac(prices: Arithmetic, bits: int) -> tuple[float, float, float]:
    """pJ of an 8 x ``bits`` bit multiplication and a 32-bit accumulation.

    The multiplier's energy is the int8 multiply-accumulate less its addition, linear in the bits.
    """
    low, nominal, high = (
        value - _value(prices.int8_add) for value in prices.int8_mac.interval or (0.0, 0.0, 0.0)
    )
    add = _value(prices.int32_add)
    share = bits / 8
    return low * share + add, nominal * share + add, high * share + add


def _interval(quantity: Quantity) -> tuple[float, float, float]:
    return quantity.interval or (0.0, 0.0, 0.0)


def _value(quantity: Quantity | None) -> float:
    return quantity.value if quantity is not None and quantity.value is not None else 0.0
