"""The simplest things that could beat a spiking network, priced under the same profile.

A dense network of the same sizes does one multiply-accumulate a synapse; a quantised network of
ceil(log2(T + 1)) bits can say in one pass what T binary steps can (arXiv 2409.08290); a search over the
raw embeddings needs no network. Only a profile with prices of arithmetic can price them.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from snn_deploy.hw_profiles.description import Activity, NetworkDescription
from snn_deploy.hw_profiles.energy import PICO, Joules
from snn_deploy.hw_profiles.quantity import Quantity
from snn_deploy.hw_profiles.schema import Arithmetic, Profile

STATE_BYTES = 12
"""u and v, 24 bits each, read and written, once a neuron and step."""
LITERATURE = "arXiv 2409.08290 (v4): below 5.7 % at T = 5, all movement of data counted"


@dataclass(frozen=True)
class Baseline:
    """One competitor on one item: its multiply-accumulates, and its joules or None if unavailable."""

    name: str
    macs: int
    joules: Joules | None
    note: str

    def as_dict(self) -> dict[str, Any]:
        """A record for JSON, in joules an item."""
        return {**asdict(self), "joules": "unavailable" if self.joules is None else asdict(self.joules)}


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
    network: NetworkDescription, profile: Profile, steps: int, *, stored_items: int = 0, dimensions: int = 0
) -> tuple[Baseline, ...]:
    """Dense fp32, dense int8, quantised, and (where items are stored) a search over raw embeddings.

    stored_items, dimensions: vectors in the memory, and their length.
    """
    macs = sum(group.stored for group in network.groups)
    bits = quantised_bits(steps)
    prices = profile.arithmetic
    rows = [
        ("dense ANN, fp32", macs, prices.fp32_mac if prices else None, "one pass; same layers, no spikes"),
        ("dense ANN, int8", macs, prices.int8_mac if prices else None, "one pass; same layers, no spikes"),
    ]
    found = [Baseline(name, n, _joules(n, price), note) for name, n, price, note in rows]
    quantised = None if prices is None else Joules(*(macs * PICO * v for v in _quantised_mac(prices, bits)))
    found.append(
        Baseline(
            f"quantised network, {bits} bit activations",
            macs,
            quantised,
            f"ceil(log2({steps} + 1)) bits carry what {steps} binary steps can; multiplier energy linear in bits",
        )
    )
    if stored_items:
        n = stored_items * dimensions
        found.append(
            Baseline(
                "FAISS on raw embeddings",
                n,
                _joules(n, prices.fp32_mac if prices else None),
                "exact search, no network",
            )
        )
    return tuple(found)


def break_even(network: NetworkDescription, profile: Profile, activity: Activity) -> BreakEven | None:
    """Break-even spike rate of a run's own T; None where the profile has no prices of arithmetic.

    Per synapse, with fan-in F, the spiking network pays T (rate (add + weight) + state / F) and the
    quantised one mac + weight, where weight is one 8-bit read.
    """
    prices = profile.arithmetic
    synapses = sum(group.stored for group in network.groups)
    neurons = sum(layer.neurons for layer in network.layers)
    if prices is None or not synapses:
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


def _joules(events: int, price: Quantity | None) -> Joules | None:
    interval = None if price is None else price.interval
    return None if interval is None else Joules(*interval).scaled(events * PICO)


def _value(quantity: Quantity | None) -> float:
    return quantity.value if quantity is not None and quantity.value is not None else 0.0
