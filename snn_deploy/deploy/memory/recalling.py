"""How cues are answered from the caches and notes of one committed state."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from snn_deploy.deploy.memory.caches import Caches
from snn_deploy.deploy.memory.contents import Ids
from snn_deploy.deploy.memory.database import Database, translated
from snn_deploy.deploy.memory.filters import Condition, Filter, as_sql, conditions_of, matches
from snn_deploy.deploy.memory.lexical import fused
from snn_deploy.deploy.memory.neighbours import Found
from snn_deploy.deploy.memory.results import Hit, Item, Recall
from snn_deploy.deploy.memory.rows import Note, check_notes, read_note, read_notes
from snn_deploy.deploy.memory.vectors import Float32, KeyRows
from snn_deploy.errors import UsageError

BETA = 20.0  # inverse temperature of the confidence; 20 to 50 keep the order of the cosines in noise
CONFIDENCE_NEIGHBOURS = 32  # the confidence is taken over these, so that it does not depend on k
_MASKS_MAX = 64
_Answer = tuple[NDArray[np.int64], Float32, Float32]


def nearest(caches: Caches, keys: KeyRows, k: int, mask: NDArray[np.bool_] | None) -> list[_Answer]:
    """Slots, cosines and confidences of the ``k`` items nearest to each cue."""
    wanted = max(k, CONFIDENCE_NEIGHBOURS)
    found = caches.neighbours.search(keys, wanted, caches.allowed(mask))
    return [_with_confidence(answer, k) for answer in found]


def _with_confidence(found: Found, k: int) -> _Answer:
    slots, scores = found
    return slots[:k], scores[:k], softmax(scores, scores[:CONFIDENCE_NEIGHBOURS], BETA)[:k]


def softmax(cosines: Float32, over: Float32, beta: float) -> Float32:
    """exp(beta c) of each of ``cosines`` over the sum of those of ``over``, both nearest first."""
    if not cosines.size:
        return cosines
    weights: Float32 = np.exp(np.float32(beta) * (cosines - cosines[0]))
    weights /= np.exp(np.float32(beta) * (over - cosines[0])).sum()
    return weights


def nearest_in_words(
    database: Database,
    caches: Caches,
    key: KeyRows,
    k: int,
    mask: NDArray[np.bool_] | None,
    *,
    text: str,
    weight: float,
) -> _Answer:
    """Slots, fused scores and confidences of the ``k`` best items for a key (1, dim) and a text."""
    if caches.layout.index != "exact":
        raise UsageError("texts need the exact index", where=str(database.path), found=caches.layout.index)
    size = caches.slots.size
    if not size:
        return _with_confidence((np.empty(0, np.int64), np.empty(0, np.float32)), k)
    words = caches.lexical
    if words.last_row < caches.state.last_row:
        noted = [(row, said) for row, _, said in read_notes(database, words.last_row) if said is not None]
        slots = caches.slots.at_rows(np.array([row for row, _ in noted], np.int64)).tolist()
        words.add(zip(slots, (said for _, said in noted), strict=True))
        words.last_row = caches.state.last_row
    cosines = caches.neighbours.cosines(key)
    scores = fused(words.scores(text, size), cosines, caches.slots.alive, weight).astype(np.float32)
    allowed = caches.allowed(mask)
    candidates = np.arange(size) if allowed is None else np.flatnonzero(allowed)
    order = candidates[np.lexsort((candidates, -scores[candidates]))][: max(k, CONFIDENCE_NEIGHBOURS)]
    near = np.sort(cosines[candidates])[::-1][:CONFIDENCE_NEIGHBOURS]
    if not order.size:
        return _with_confidence((order, scores[order]), k)
    weights = np.exp(np.float32(BETA) * (cosines[order[:k]] - near[0]))
    confidence = weights / np.exp(np.float32(BETA) * (near - near[0])).sum()
    return order[:k], scores[order[:k]], np.asarray(confidence, np.float32)


def hits(database: Database, caches: Caches, answer: _Answer) -> list[Hit]:
    """An answer with ids, metas and texts."""
    slots, scores, confidences = answer
    found = []
    for slot, score, confidence in zip(slots.tolist(), scores.tolist(), confidences.tolist(), strict=True):
        meta, text = note_at(database, caches, slot)
        found.append(Hit(int(caches.slots.ids[slot]), score, confidence, meta, text))
    return found


def note_at(database: Database, caches: Caches, slot: int) -> Note:
    """Meta and text of the item in ``slot``."""
    return read_note(database, int(caches.slots.rows[slot]), int(caches.slots.notes[slot]))


def table(caches: Caches, answers: list[_Answer], k: int) -> Recall:
    """Answers as arrays."""
    shape = (len(answers), k)
    recall = Recall(np.full(shape, -1, np.int64), np.zeros(shape, np.float32), np.zeros(shape, np.float32))
    for row, (slots, scores, confidences) in enumerate(answers):
        recall.ids[row, : slots.size] = caches.slots.ids[slots]
        recall.scores[row, : slots.size] = scores
        recall.confidence[row, : slots.size] = confidences
    return recall


def mask_of(database: Database, caches: Caches, filter: Filter | None) -> NDArray[np.bool_] | None:
    """Slots whose item passes a filter, bool (slots,); None where every item does."""
    if filter is None:
        return None
    if not caches.notes_checked:  # a damaged note must not make an item pass by
        check_all_notes(database, caches)
        caches.notes_checked = True
    if not isinstance(filter, Mapping) and callable(filter):
        passing = [row for row, meta in _metas(database, caches) if filter(meta)]
        return _mask(caches, np.array(passing, np.int64))
    conditions = conditions_of(filter)
    name = json.dumps([[c.name, c.operator, repr(c.value)] for c in conditions])
    if name not in caches.masks:
        if len(caches.masks) >= _MASKS_MAX:
            caches.masks.clear()
        caches.masks[name] = _mask(caches, _passing(database, caches, conditions))
    return caches.masks[name]


def check_all_notes(database: Database, caches: Caches) -> int:
    """:class:`UnsafeFile` unless every note is as it was written; returns their number."""
    written = caches.slots.notes[caches.slots.alive]
    count = int(np.count_nonzero(written))
    check_notes(database, count, int(written.sum(dtype=np.int64)))
    return count


def _metas(database: Database, caches: Caches) -> Iterator[tuple[int, dict[str, Any] | None]]:
    metas = {row: meta for row, meta, _ in read_notes(database)}
    for row in caches.slots.rows[caches.slots.alive].tolist():
        yield row, metas.get(row)


def _passing(database: Database, caches: Caches, conditions: list[Condition]) -> Ids:
    """Rows of the items that fulfil all conditions."""
    if not conditions:
        return caches.slots.rows[caches.slots.alive]
    written = [as_sql(condition) for condition in conditions]
    queries = [query for query in written if query is not None]
    where = " AND ".join(query for query, _ in queries) or "1"
    values = [value for _, given in queries for value in given]
    left = [c for c, query in zip(conditions, written, strict=True) if query is None]
    with translated(database.path):
        found = database.connection.execute(f"SELECT row FROM notes WHERE {where}", values).fetchall()
    rows = [row for (row,) in found]
    if left:
        places = caches.slots.at_rows(np.array(rows, np.int64)).tolist()
        metas = ((row, note_at(database, caches, slot)[0]) for row, slot in zip(rows, places, strict=True))
        rows = [row for row, meta in metas if all(matches(meta, condition) for condition in left)]
    if all(matches(None, condition) for condition in conditions):
        with translated(database.path):
            noted = {row for (row,) in database.connection.execute("SELECT row FROM notes")}
        rows += [row for row in caches.slots.rows[caches.slots.alive].tolist() if row not in noted]
    return np.array(rows, np.int64)


def _mask(caches: Caches, rows: Ids) -> NDArray[np.bool_]:
    mask = np.zeros(caches.slots.size, np.bool_)
    mask[caches.slots.at_rows(rows)] = True
    return mask


def items(database: Database, caches: Caches, mask: NDArray[np.bool_] | None) -> Iterator[Item]:
    """Items of the slots in ``mask``, in the order in which they were stored."""
    allowed = caches.allowed(mask)
    slots = np.arange(caches.slots.size) if allowed is None else np.flatnonzero(allowed)
    for slot in slots.tolist():
        meta, text = note_at(database, caches, slot)
        yield Item(int(caches.slots.ids[slot]), meta, text)
