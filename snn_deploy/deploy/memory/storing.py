"""How items and links are written: what is asked is checked, then appended in one transaction."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from snn_deploy.deploy.memory.checks import checked_id
from snn_deploy.deploy.memory.codes import SparseCoder
from snn_deploy.deploy.memory.contents import Layout, State
from snn_deploy.deploy.memory.database import Database
from snn_deploy.deploy.memory.fitting import fit_if_due
from snn_deploy.deploy.memory.rows import (
    EncodedNote,
    Meta,
    append_edges,
    append_items,
    confirm_missing,
    encode_meta,
    missing,
    remove_items,
)
from snn_deploy.deploy.memory.vectors import KeyRows, checked_keys, unit_rows
from snn_deploy.errors import UsageError, Violation

_ROWS_AT_ONCE = 4096
_NAMED_MAX = 20

Progress = Callable[[int], object]


def check_one_each(count: int, given: dict[str, Sequence[Any] | None]) -> None:
    """:class:`UsageError` unless each of the given sequences has ``count`` entries."""
    for name, values in given.items():
        if values is not None and len(values) != count:
            raise UsageError(f"not one of {name} for each key", where=name, found=len(values), allowed=count)


def encoded_notes(
    count: int, metas: Sequence[Meta | None] | None, texts: Sequence[str | None] | None
) -> list[EncodedNote]:
    """Meta as JSON and text of each item, checked."""
    for position, text in enumerate(texts or ()):
        plain = text is None or isinstance(text, str)
        if not plain or (text is not None and any("\ud800" <= letter <= "\udfff" for letter in text)):
            raise UsageError("not a text", where=f"texts[{position}]", found=repr(text)[:80], allowed="text")
    encoded = [encode_meta(meta) for meta in metas] if metas is not None else [None] * count
    return list(zip(encoded, texts if texts is not None else [None] * count, strict=True))


def chosen_ids(
    database: Database, state: State, count: int, given: Sequence[int] | None, *, upsert: bool
) -> list[int]:
    """Ids for ``count`` new items: the given ones, if free or to be replaced, else the next ones."""
    if given is None:
        return list(range(state.next_id, state.next_id + count))
    chosen = [checked_id(item, f"ids[{position}]") for position, item in enumerate(given)]
    taken: dict[int, None] = {}
    if len(set(chosen)) < len(chosen):
        seen: set[int] = set()
        taken.update((item, None) for item in chosen if item in seen or seen.add(item))  # type: ignore[func-returns-value]
    if not upsert:
        free = set(missing(database, chosen))
        taken.update((item, None) for item in chosen if item not in free)
    if taken:
        remedy = "Forget it first, choose another, or ask for upsert."
        raise UsageError(
            Violation("id in use", f"id {item}", remedy=remedy) for item in list(taken)[:_NAMED_MAX]
        )
    return chosen


@dataclass(frozen=True, eq=False)
class Batch:
    """What a store call asks for, checked: keys and, beside each, what was given."""

    keys: KeyRows
    notes: list[EncodedNote]
    ids: Sequence[int] | None
    values: KeyRows | None
    targets: Sequence[int] | None


def checked_batch(
    dim: int,
    keys: ArrayLike,
    *,
    metas: Sequence[Meta | None] | None,
    ids: Sequence[int] | None,
    values: ArrayLike | None,
    targets: Sequence[int] | None,
    texts: Sequence[str | None] | None,
) -> Batch:
    """A store call's arguments, all checked before anything is written."""
    kept = checked_keys(keys, dim)
    count = kept.shape[0]
    linked = None if values is None else checked_keys(values, dim, "values")
    check_one_each(count, {"metas": metas, "ids": ids, "targets": targets, "texts": texts})
    check_one_each(count, {"values": None if linked is None else range(linked.shape[0])})
    if linked is not None and targets is not None:
        raise UsageError("values and targets at once", where="targets", allowed="one of the two")
    return Batch(kept, encoded_notes(count, metas, texts), ids, linked, targets)


def store_batch(
    database: Database,
    layout: Layout,
    coder: SparseCoder,
    batch: Batch,
    *,
    upsert: bool,
    progress: Progress | None,
) -> tuple[list[int], SparseCoder]:
    """Write items and what they are linked to (inside a transaction); their ids, and the coder in use."""
    count = batch.keys.shape[0]
    ids = chosen_ids(database, database.state(), count, batch.ids, upsert=upsert)
    coder = _store_items(database, layout, coder, batch.keys, ids=ids, notes=batch.notes, progress=progress)
    ends = list(batch.targets or ())
    if batch.values is not None:
        ends = chosen_ids(database, database.state(), count, None, upsert=False)
        none: list[EncodedNote] = [(None, None)] * count
        coder = _store_items(database, layout, coder, batch.values, ids=ends, notes=none, progress=progress)
    if ends:
        write_links(database, checked_links(zip(ids, ends, strict=True), 1.0))
    return ids, coder


def _store_items(
    database: Database,
    layout: Layout,
    coder: SparseCoder,
    keys: KeyRows,
    *,
    ids: list[int],
    notes: list[EncodedNote],
    progress: Progress | None,
) -> SparseCoder:
    """Write items with their codes; an item that is there already gives way and leaves its links."""
    state = database.state()
    there = (
        sorted(set(ids) - set(missing(database, ids)))
        if min(ids, default=state.next_id) < state.next_id
        else []
    )
    kept = _links_of(database, there)
    state = remove_items(database, state, there)
    coder, state = fit_if_due(database, layout, state, coder, keys)
    for start in range(0, len(ids), _ROWS_AT_ONCE):
        part = slice(start, start + _ROWS_AT_ONCE)
        codes = coder.encode(unit_rows(keys[part]))
        state = append_items(database, state, ids[part], keys[part], codes, notes=notes[part])
        if progress is not None:
            progress(len(ids[part]))
    if kept:
        state = append_edges(database, state, kept)
    database.write_state(state)
    return coder


def _links_of(database: Database, ids: Iterable[int]) -> dict[tuple[int, int], float]:
    links: dict[tuple[int, int], float] = {}
    for item in ids:
        query = "SELECT source, target, weight FROM edges WHERE source=? OR target=? ORDER BY row"
        for source, target, weight in database.connection.execute(query, (item, item)):
            links[source, target] = weight
    return links


def checked_links(
    pairs: Iterable[tuple[int, int]], weights: float | Sequence[float]
) -> dict[tuple[int, int], float]:
    """Links with a positive weight each; the last of equal pairs counts."""
    ends = [(checked_id(a, "source"), checked_id(b, "target")) for a, b in pairs]
    alone = isinstance(weights, Real) or np.ndim(weights) == 0
    values: list[Any] = [weights] * len(ends) if alone else list(weights)  # type: ignore[arg-type]
    check_one_each(len(ends), {"weights": values})
    for value in values[:1] if alone else values:
        if not (isinstance(value, Real) and math.isfinite(value) and float(value) > 0):
            raise UsageError("weight out of range", where="weight", found=repr(value), allowed="finite, > 0")
    return {pair: float(value) for pair, value in zip(ends, values, strict=True)}


def write_links(database: Database, links: dict[tuple[int, int], float]) -> None:
    """Write links between stored items (inside a transaction)."""
    check_known(database, dict.fromkeys(item for pair in links for item in pair))
    database.write_state(append_edges(database, database.state(), links))


def forget_items(database: Database, ids: Sequence[int]) -> None:
    """Delete items with their links (inside a transaction)."""
    check_known(database, ids)
    database.write_state(remove_items(database, database.state(), ids))


def check_known(database: Database, ids: Iterable[int]) -> None:
    """:class:`UsageError` naming every id that no item has."""
    unknown = missing(database, ids)
    if unknown:
        confirm_missing(database, unknown)
        raise unknown_ids(unknown)


def unknown_ids(ids: Iterable[int]) -> UsageError:
    """The error for ids that no item has."""
    remedy = "It was never stored, or it was forgotten."
    named = list(dict.fromkeys(ids))[:_NAMED_MAX]
    return UsageError(Violation("no item of this id", f"id {item}", remedy=remedy) for item in named)
