"""Joules as [low, nominal, high], by term, with status and source; a proxy, never a measurement.

Each price list of a profile prices the counts on its own. The interval of a term spans the lists, so
that their disagreement is in the report; what a list does not charge is zero in it, and lowers the low
end. The floor (idle power x time, and overhead a step) stands in rows of its own: on the one chip that
was measured in public it is more than ten times the marginal activity of the cores.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from typing import Any, Literal

from snn_deploy.hw_profiles.counts import Counts
from snn_deploy.hw_profiles.quantity import Quantity
from snn_deploy.hw_profiles.schema import EnergyTable, Floor, Profile

PICO, MICRO, MILLI = 1e-12, 1e-6, 1e-3
NOT_MODELLED = (
    "host processor",
    "embedded x86 cores",
    "input and output off the chip",
    "board and power conversion",
)
TermName = Literal[
    "synapses", "neurons", "spikes", "packets", "hops", "floor: idle power", "floor: step overhead"
]


@dataclass(frozen=True)
class Joules:
    """An interval of energy in joules."""

    low: float
    nominal: float
    high: float

    def __add__(self, other: Joules) -> Joules:
        return Joules(self.low + other.low, self.nominal + other.nominal, self.high + other.high)

    def scaled(self, factor: float) -> Joules:
        """The interval times a number that is not negative."""
        return Joules(self.low * factor, self.nominal * factor, self.high * factor)

    def overlaps(self, other: Joules) -> bool:
        """Whether some energy lies in both intervals."""
        return self.low <= other.high and other.low <= self.high


@dataclass(frozen=True)
class Term:
    """One row. joules None: no source prices it. statuses and sources: of every number that went in."""

    name: str
    joules: Joules | None
    statuses: tuple[str, ...]
    sources: tuple[str, ...]
    label: str = ""
    note: str = ""


@dataclass(frozen=True)
class EnergyReport:
    """The energy of a run under one profile: terms, sums, and what each price list says alone.

    label is empty, or "inherited from X" and then stands in every row. by_table: joules of the marginal
    terms by price list. Sums are None where a part of them is unavailable.
    """

    profile: str
    label: str
    samples: int
    terms: tuple[Term, ...]
    marginal: Joules | None
    floor: Joules | None
    by_table: dict[str, Joules]
    step_time_note: str
    not_modelled: tuple[str, ...] = NOT_MODELLED

    @property
    def total(self) -> Joules | None:
        """Marginal activity and floor together."""
        return None if self.marginal is None or self.floor is None else self.marginal + self.floor

    @property
    def marginal_share(self) -> float | None:
        """Nominal marginal energy over nominal total."""
        if self.marginal is None or self.total is None:
            return None
        return self.marginal.nominal / self.total.nominal

    @property
    def spread(self) -> float | None:
        """The dearest price list over the cheapest, for the same events on the same chip."""
        totals = [joules.nominal for joules in self.by_table.values()]
        return max(totals) / min(totals) if totals and min(totals) > 0 else None

    def per_item(self, joules: Joules) -> Joules:
        return joules.scaled(1 / self.samples)

    def as_dict(self) -> dict[str, Any]:
        """A record for JSON, in joules; "unavailable" where no source prices something."""
        item = 1 / self.samples

        def shown(joules: Joules | None, factor: float = 1.0) -> dict[str, float] | str:
            return "unavailable" if joules is None else asdict(joules.scaled(factor))

        return {
            "profile": self.profile,
            "kind": "proxy",
            "label": self.label,
            "unit": "J",
            "terms": [{**asdict(term), "joules": shown(term.joules)} for term in self.terms],
            "marginal": shown(self.marginal),
            "floor": shown(self.floor),
            "total": shown(self.total),
            "per_item": {
                "marginal": shown(self.marginal, item),
                "floor": shown(self.floor, item),
                "total": shown(self.total, item),
            },
            "by_table": {name: asdict(joules) for name, joules in self.by_table.items()},
            "spread_of_tables": self.spread,
            "marginal_share_of_total": self.marginal_share,
            "step_time": self.step_time_note,
            "not_modelled": list(self.not_modelled),
        }


def energy(counts: Counts, profile: Profile, step_seconds: float | None = None) -> EnergyReport:
    """Price the counts under a profile.

    step_seconds: how long a step lasts, for the idle power; default is the profile's own measurement.
    """
    tables = profile.energy.tables
    heir = profile.energy.inherited_from
    label = f"inherited from {heir}" if heir else ""
    terms = [_term(name, price, counts, profile, label) for name, price in _PRICES.items()]
    floor_terms, note = _floor(counts.samples * counts.steps, profile.floor, step_seconds)
    marginal = _sum(term.joules for term in terms) if tables else None
    return EnergyReport(
        profile=profile.name,
        label=label,
        samples=counts.samples,
        terms=(*terms, *floor_terms),
        marginal=marginal,
        floor=_sum(term.joules for term in floor_terms),
        by_table={name: _table_total(table, counts) for name, table in tables.items()},
        step_time_note=note,
    )


def compare(numerator: EnergyReport, denominator: EnergyReport) -> Joules | None:
    """How many times one run's marginal energy is another's, or None where nothing may be said.

    A ratio exists only inside one profile, and only as :func:`ratio` allows.
    """
    a, b = numerator.marginal, denominator.marginal
    same = (numerator.profile, numerator.label) == (denominator.profile, denominator.label)
    return ratio(a, b) if same and a is not None and b is not None else None


def ratio(a: Joules, b: Joules) -> Joules | None:
    """a / b as an interval (in multiples, not joules), or None where the two intervals overlap."""
    if a.overlaps(b) or b.low <= 0:
        return None
    return Joules(a.low / b.high, a.nominal / b.nominal, a.high / b.low)


def per_correct(joules: Joules, recall: float) -> Joules | None:
    """Energy of one correct recall: that of a query over the share of queries answered rightly."""
    return joules.scaled(1 / recall) if recall > 0 else None


Price = Callable[[EnergyTable, Counts], list[tuple[float, Quantity | None]]]


def _synapses(table: EnergyTable, counts: Counts) -> list[tuple[float, Quantity | None]]:
    return [
        (counts.charged("dense"), table.synop),
        (counts.charged("sparse"), table.synop_sparse or table.synop),
        (counts.charged("conv"), table.synop_conv or table.synop),
    ]


_PRICES: dict[TermName, Price] = {
    "synapses": _synapses,
    "neurons": lambda table, counts: [
        (counts.spikes, table.neuron_active),
        (counts.updates - counts.spikes, table.neuron_idle),
    ],
    "spikes": lambda table, counts: [(counts.spikes, table.spike)],
    "packets": lambda table, counts: [(counts.packets + counts.input_packets, table.packet)],
    "hops": lambda table, counts: [
        (counts.hops_ew or 0.0, table.hop_ew),
        (counts.hops_ns or 0.0, table.hop_ns),
    ],
}


def _priced(rows: Iterable[tuple[float, Quantity | None]]) -> Joules:
    total = Joules(0.0, 0.0, 0.0)
    for events, price in rows:
        interval = price.interval if price is not None else None
        if interval is not None:
            total += Joules(*interval).scaled(events * PICO)
    return total


def _table_total(table: EnergyTable, counts: Counts) -> Joules:
    return _sum(_priced(price(table, counts)) for price in _PRICES.values()) or Joules(0.0, 0.0, 0.0)


def _term(name: TermName, price: Price, counts: Counts, profile: Profile, label: str) -> Term:
    """The term under every price list: the nominal list's value, and the span of all of them."""
    tables = profile.energy.tables
    if not tables:
        known = profile.energy.unavailable
        return Term(name, None, ("unavailable",), known.source if known else (), label, "no public price")
    priced = {key: _priced(price(table, counts)) for key, table in tables.items()}
    entries = [
        entry
        for table in tables.values()
        for events, entry in price(table, counts)
        if entry is not None and events
    ]
    low = min(joules.low for joules in priced.values())
    if name == "synapses" and counts.synops_stored:  # a compiler may drop stored zeros: the low end does
        charged = sum(counts.charged(kind) for kind in ("dense", "sparse", "conv"))
        low *= min(counts.synops / charged, 1.0) if charged else 1.0
    silent = [
        table.title for table in tables.values() if all(entry is None for _, entry in price(table, counts))
    ]
    note = f"not charged by {', '.join(silent)}" if silent else ""
    if name == "hops" and counts.hops_ew is None:
        note = "no placement: not counted"
    return Term(
        name,
        Joules(
            low, priced[str(profile.energy.nominal)].nominal, max(joules.high for joules in priced.values())
        ),
        tuple(dict.fromkeys(entry.status for entry in entries)),
        tuple(dict.fromkeys(source for entry in entries for source in entry.source)),
        label,
        note,
    )


def _floor(item_steps: int, floor: Floor | None, step_seconds: float | None) -> tuple[list[Term], str]:
    """Idle power x time, and overhead a step, over all steps of all items."""
    if floor is None:
        rows = [
            Term("floor: idle power", None, ("unavailable",), ()),
            Term("floor: step overhead", None, ("unavailable",), ()),
        ]
        return rows, "unavailable"
    idle, step, overhead = (
        q.interval or (0.0, 0.0, 0.0) for q in (floor.idle_power, floor.step_time, floor.overhead_per_step)
    )
    seconds = tuple(t * MICRO for t in step) if step_seconds is None else (step_seconds,) * 3
    note = floor.step_time.note if step_seconds is None else f"given by the caller: {step_seconds:g} s a step"
    idle_joules = Joules(*(p * MILLI * t * item_steps for p, t in zip(idle, seconds, strict=True)))
    rows = [
        Term(
            "floor: idle power",
            idle_joules,
            (floor.idle_power.status,),
            floor.idle_power.source,
            note=f"{seconds[0] * 1e6:g} to {seconds[2] * 1e6:g} us a step",
        ),
        Term(
            "floor: step overhead",
            Joules(*overhead).scaled(MICRO * item_steps),
            (floor.overhead_per_step.status,),
            floor.overhead_per_step.source,
            note=floor.overhead_per_step.note,
        ),
    ]
    return rows, note


def _sum(parts: Iterable[Joules | None]) -> Joules | None:
    total = Joules(0.0, 0.0, 0.0)
    for part in parts:
        if part is None:
            return None
        total += part
    return total
