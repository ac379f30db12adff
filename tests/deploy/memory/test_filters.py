"""Conditions: what they mean, and that SQLite's JSON functions mean the same."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from snn_deploy.deploy.memory import AssociativeMemory, Condition
from snn_deploy.deploy.memory.filters import as_sql, matches, parse_conditions
from snn_deploy.errors import UsageError

VALUES: list[Any] = [
    *(
        None,
        True,
        False,
        0,
        1,
        -3,
        2**60,
        2**70,
        0.5,
        1.0,
        -1e300,
        "",
        "1",
        "a",
        "ab",
        "aé",
        "%",
        "_x",
        "null",
    ),
    *('"', "x\x00y", [], [1], {}, {"a": 1}, "[1]", '{"a":1}'),
]
NAMES = ["n", "a.b", "x y", 'quo"te', "$", "é", "back\\slash", "[0]"]


def drawn_conditions(rng: np.random.Generator, count: int) -> list[Condition]:
    conditions = []
    for _ in range(count):
        operator = str(rng.choice(["=", "!=", "<", "<=", ">", ">=", "^=", "in"]))
        value = VALUES[rng.integers(len(VALUES))]
        if operator == "in":
            value = [VALUES[n] for n in rng.integers(len(VALUES), size=rng.integers(0, 4))]
        elif operator == "^=":
            value = ["", "a", "é", "%", "ab", "["][rng.integers(6)]
        conditions.append(Condition(NAMES[rng.integers(len(NAMES))], operator, value))
    return conditions


def test_sqlite_and_python_agree_on_every_condition(store: Path) -> None:
    rng = np.random.default_rng(4)
    metas: list[dict[str, Any] | None] = [None, {}]
    for _ in range(150):
        names = rng.choice(NAMES, rng.integers(1, 4), replace=False).tolist()
        metas.append({name: VALUES[rng.integers(len(VALUES))] for name in names})
    conditions = drawn_conditions(rng, 400)
    written = [condition for condition in conditions if as_sql(condition) is not None]
    assert len(written) > 150 and len(written) < len(conditions)
    kept = []
    with AssociativeMemory.open(store, 4, 64, 4) as memory:
        ids = memory.store_many(rng.normal(size=(len(metas), 4)), metas)
        memory.forget(ids[7])
        living = [(item, meta) for item, meta in zip(ids, metas, strict=True) if item != ids[7]]
        for condition in conditions:
            expected = [item for item, meta in living if matches(meta, condition)]
            assert [item.id for item in memory.items([condition])] == expected, condition
            kept.append(len(expected))
        for pair in itertools.pairwise(conditions):
            expected = [item for item, meta in living if all(matches(meta, c) for c in pair)]
            assert [item.id for item in memory.items(list(pair))] == expected
    assert 0 in kept and len(set(kept)) > 20


@pytest.mark.parametrize(
    ("condition", "meta", "expected"),
    [
        (("n", "=", 1), {"n": 1.0}, True),
        (("n", "=", "1"), {"n": 1}, False),
        (("n", "=", None), {"n": None}, True),
        (("n", "=", None), {}, False),
        (("n", "!=", 1), {}, True),
        (("n", "!=", 1), None, True),
        (("n", "<", 2), {"n": 1}, True),
        (("n", "<", 2), {"n": "1"}, False),
        (("n", ">=", "b"), {"n": "b"}, True),
        (("n", "<", 2), {}, False),
        (("n", "^=", "ab"), {"n": "abc"}, True),
        (("n", "in", [1, "x"]), {"n": "x"}, True),
    ],
)
def test_what_conditions_mean(condition: tuple[str, str, Any], meta: Any, expected: bool) -> None:
    assert matches(meta, Condition(*condition)) is expected


def test_conditions_are_read_from_text() -> None:
    texts = ["a=1", "b=red fox", 'c="1"', "d=", "e=x=y", "f!=2", "g<=0.5", "h>x", "i^=12", "j in 1,two"]
    assert [(c.name, c.operator, c.value) for c in parse_conditions(texts)] == [
        ("a", "=", 1),
        ("b", "=", "red fox"),
        ("c", "=", "1"),
        ("d", "=", ""),
        ("e", "=", "x=y"),
        ("f", "!=", 2),
        ("g", "<=", 0.5),
        ("h", ">", "x"),
        ("i", "^=", "12"),
        ("j", "in", [1, "two"]),
    ]
    for text in ("a", "=1", "", "<3"):
        with pytest.raises(UsageError, match="not a condition"):
            parse_conditions([text])
    for bad in (Condition("n", "~", 1), Condition("n", "in", 1), Condition("n", "^=", 1)):
        with pytest.raises(UsageError, match="not a"):
            from snn_deploy.deploy.memory.filters import conditions_of

            conditions_of([bad])
