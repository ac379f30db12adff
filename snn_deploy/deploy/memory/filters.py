"""Which items a recall may return: conditions on their metas.

    name=value  name!=value  name<value  name<=value  name>value  name>=value
    name^=text (begins with)  name in value,value,...

A value is JSON if it parses as such, else text. ``!=`` keeps what ``=`` does not, items without the name
included; numbers are ordered among numbers and texts among texts.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from snn_deploy.errors import UsageError

OPERATORS = ("!=", "<=", ">=", "^=", "=", "<", ">", " in ")
_INTEGER_MAX = 2**63 - 1


@dataclass(frozen=True)
class Condition:
    """One condition on a top-level name of a meta: ``operator`` is one of ``= != < <= > >= ^= in``."""

    name: str
    operator: str
    value: Any


Filter: TypeAlias = Mapping[str, Any] | Sequence[Condition] | Callable[[dict[str, Any] | None], bool]


def parse_conditions(texts: Sequence[str]) -> list[Condition]:
    """Conditions of their written form; :class:`UsageError` for what is none."""
    return [_parsed(text) for text in texts]


def _parsed(text: str) -> Condition:
    places = [(text.find(operator), -len(operator), operator) for operator in OPERATORS if operator in text]
    if not places or min(places)[0] == 0:
        raise UsageError(
            "not a condition",
            where="--where",
            found=repr(text),
            allowed="name=value, or with one of != < <= > >= ^= in",
        )
    at, _, operator = min(places)
    name, rest = text[:at], text[at + len(operator) :]
    if operator == " in ":
        return Condition(name, "in", [_value(part) for part in rest.split(",")])
    return Condition(name, operator, rest if operator == "^=" else _value(rest))


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def conditions_of(filter: Mapping[str, Any] | Sequence[Condition]) -> list[Condition]:
    """A mapping as conditions of equality; :class:`UsageError` for an unknown operator or value."""
    if isinstance(filter, Mapping):
        return [Condition(str(name), "=", value) for name, value in filter.items()]
    for condition in filter:
        if not isinstance(condition, Condition) or condition.operator not in _MATCHES:
            raise UsageError(
                "not a condition", where="filter", found=repr(condition), allowed=", ".join(_MATCHES)
            )
        if condition.operator == "in" and not isinstance(condition.value, list | tuple | set | frozenset):
            raise UsageError("not a list of values", where=condition.name, found=repr(condition.value))
        if condition.operator == "^=" and not isinstance(condition.value, str):
            raise UsageError("not a text to begin with", where=condition.name, found=repr(condition.value))
    return list(filter)


def matches(meta: dict[str, Any] | None, condition: Condition) -> bool:
    """Whether a meta fulfils a condition: the definition, which the SQL below must agree with."""
    there = meta is not None and condition.name in meta
    value = meta[condition.name] if there and meta is not None else None
    return _MATCHES[condition.operator](there, value, condition.value)


def _ordered(compare: Callable[[Any, Any], bool]) -> Callable[[bool, Any, Any], bool]:
    def match(there: bool, value: Any, wanted: Any) -> bool:
        kinds = [("text" if isinstance(side, str) else "number") for side in (value, wanted)]
        plain = all(
            isinstance(side, str | int | float) and not isinstance(side, bool) for side in (value, wanted)
        )
        return there and plain and kinds[0] == kinds[1] and compare(value, wanted)

    return match


_MATCHES: dict[str, Callable[[bool, Any, Any], bool]] = {
    "=": lambda there, value, wanted: there and bool(value == wanted),
    "!=": lambda there, value, wanted: not (there and value == wanted),
    "<": _ordered(lambda value, wanted: value < wanted),
    "<=": _ordered(lambda value, wanted: value <= wanted),
    ">": _ordered(lambda value, wanted: value > wanted),
    ">=": _ordered(lambda value, wanted: value >= wanted),
    "^=": lambda there, value, wanted: there and isinstance(value, str) and value.startswith(wanted),
    "in": lambda there, value, wanted: there and any(value == one for one in wanted),
}


def as_sql(condition: Condition) -> tuple[str, list[Any]] | None:
    """A condition over ``notes.meta`` in SQLite's JSON functions, or None where only Python can say."""
    wanted = list(condition.value) if condition.operator == "in" else [condition.value]
    if not re.fullmatch(r"[^\"\\\x00-\x1f\x7f]+", condition.name) or not all(map(_comparable, wanted)):
        return None
    path = f'$."{condition.name}"'
    kind, value = "coalesce(json_type(meta, ?), '')", "json_extract(meta, ?)"
    if condition.operator in ("=", "!=", "in"):
        # A list's or an object's text must not pass for the text itself.
        marks = ", ".join("?" * len(wanted)) or "NULL"
        found = f"({kind} NOT IN ('', 'null', 'array', 'object') AND {value} IN ({marks}))"
        sql = f"NOT {found}" if condition.operator == "!=" else found
        return sql, [path, path, *(int(w) if isinstance(w, bool) else w for w in wanted)]
    if condition.operator == "^=":
        return f"({kind} = 'text' AND substr({value}, 1, ?) = ?)", [path, path, len(wanted[0]), wanted[0]]
    if isinstance(wanted[0], bool):
        return "0", []
    kinds = "('text')" if isinstance(wanted[0], str) else "('integer', 'real')"
    return f"({kind} IN {kinds} AND {value} {condition.operator} ?)", [path, path, wanted[0]]


def _comparable(value: Any) -> bool:
    """Whether SQLite compares a JSON value with ``value`` as Python does."""
    if isinstance(value, str):
        return "\x00" not in value and not re.search("[\ud800-\udfff]", value)
    if isinstance(value, bool):
        return True
    if isinstance(value, int):
        return abs(value) <= _INTEGER_MAX
    return isinstance(value, float) and value == value  # noqa: PLR0124 - NaN equals nothing
