"""The numbers of a hardware profile: each with its unit, its interval, its status and its source.

A profile states nothing bare. A limit of 1024 neurons that a data sheet prints and an energy that
somebody fitted to a board are different kinds of knowledge, and a report has to show which it used.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, get_args

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    FiniteFloat,
    ValidationInfo,
    field_validator,
    model_validator,
)
from typing_extensions import Self

Status = Literal["measured", "fitted", "pre-silicon", "datasheet", "inherited", "assumed", "unavailable"]
"""How a number is known, strongest first.

``measured`` on silicon; ``fitted`` to measurements by a model; ``pre-silicon`` from the vendor's circuit
simulation; ``datasheet`` stated by the vendor or by software written against the vendor's kit;
``inherited`` from another chip; ``assumed`` by us or by a third party; ``unavailable``: nobody has
published it, so there is no value.
"""

STATUSES: tuple[str, ...] = get_args(Status)
SOURCES_KEY = "sources"

StrictInt = Annotated[int, Field(strict=True)]
StrictFloat = Annotated[FiniteFloat, Field(strict=True)]


class Strict(BaseModel):
    """Frozen, and closed: a key that the model does not know is an error, never ignored."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def _as_tuple(value: Any) -> Any:
    return (value,) if isinstance(value, str) else value


class Entry(Strict):
    """What every number carries: ``unit``, ``status``, ``source`` (keys of [sources]) and ``note``."""

    unit: str
    status: Status
    source: Annotated[tuple[str, ...], BeforeValidator(_as_tuple), Field(min_length=1)]
    note: str = ""

    @field_validator("source")
    @classmethod
    def _sources_are_listed(cls, value: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        listed = (info.context or {}).get(SOURCES_KEY)
        if listed is not None:
            unknown = [key for key in value if key not in listed]
            if unknown:
                raise ValueError(
                    f"source {', '.join(unknown)} is not in [sources] ({', '.join(sorted(listed))})"
                )
        return value


class Quantity(Entry):
    """A physical quantity: nominal ``value`` with the interval [``low``, ``high``] that its sources span."""

    value: StrictFloat | None = None
    low: StrictFloat | None = None
    high: StrictFloat | None = None

    @model_validator(mode="after")
    def _interval_holds_the_value(self) -> Self:
        if (self.value is None) != (self.status == "unavailable"):
            raise ValueError("status 'unavailable' means no value, and every other status needs one")
        low, value, high = self.interval or (0.0, 0.0, 0.0)
        if not low <= value <= high:
            raise ValueError(
                f"the interval must satisfy low <= value <= high, not {low} <= {value} <= {high}"
            )
        if self.value is None and (self.low is not None or self.high is not None):
            raise ValueError("an unavailable quantity has no interval")
        return self

    @property
    def interval(self) -> tuple[float, float, float] | None:
        """(low, nominal, high) in ``unit``; a missing end equals the nominal value; None if unavailable."""
        if self.value is None:
            return None
        low = self.value if self.low is None else self.low
        high = self.value if self.high is None else self.high
        return low, self.value, high


class Limit(Entry):
    """An upper bound that the hardware sets. ``value`` is None where nobody has published it.

    ``soft`` marks a bound that its source doubts: going over it warns and does not refuse.
    """

    value: Annotated[StrictInt, Field(ge=0)] | None = None
    soft: Annotated[bool, Field(strict=True)] = False

    @model_validator(mode="after")
    def _unknown_has_no_value(self) -> Self:
        if (self.value is None) != (self.status == "unavailable"):
            raise ValueError("status 'unavailable' means no value, and every other status needs one")
        return self


class CoreLimits(Entry):
    """Upper bounds that differ from core to core, in the order of the chip's cores."""

    values: Annotated[tuple[Annotated[StrictInt, Field(ge=0)], ...], Field(min_length=1)]


class Count(Entry):
    """An exact integer of the hardware, such as a number of bits."""

    value: StrictInt


class Span(Entry):
    """The integers ``low``, ``low + step``, ... up to ``high`` that a field can hold."""

    low: StrictInt
    high: StrictInt
    step: Annotated[StrictInt, Field(gt=0)] = 1

    @model_validator(mode="after")
    def _is_not_empty(self) -> Self:
        if self.low > self.high:
            raise ValueError(f"low ({self.low}) is above high ({self.high})")
        return self

    def __contains__(self, value: int) -> bool:
        return self.low <= value <= self.high and (value - self.low) % self.step == 0


class Codes(Entry):
    """The list of integers that a field can encode."""

    values: Annotated[tuple[StrictInt, ...], Field(min_length=1)]


class Flag(Entry):
    """Whether the hardware can do something."""

    value: Annotated[bool, Field(strict=True)]

    def __bool__(self) -> bool:
        return self.value


class Point(Entry):
    """One sample of a quantity that depends on the number of active tiles."""

    tiles: Annotated[StrictInt, Field(gt=0)]
    value: StrictFloat


def has_unit(*allowed: str) -> AfterValidator:
    """Refuse an entry whose unit is not one of ``allowed``."""

    def check(entry: Any) -> Any:
        if entry.unit not in allowed:
            raise ValueError(
                f"unit '{entry.unit}' where {' or '.join(repr(unit) for unit in allowed)} is expected"
            )
        return entry

    return AfterValidator(check)
