"""Rows of a memory's tables, written with their checksums and read back only if they match."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from snn_deploy.deploy.memory.codes import Code
from snn_deploy.deploy.memory.contents import EdgeRows, Items, Layout, State
from snn_deploy.deploy.memory.database import Database, damaged, translated
from snn_deploy.deploy.memory.schema import edge_checksum, item_checksum, note_checksum
from snn_deploy.deploy.memory.vectors import KeyRows, unit_vectors
from snn_deploy.errors import UsageError

Meta: TypeAlias = Mapping[str, Any]
Note: TypeAlias = tuple[dict[str, Any] | None, str | None]
EncodedNote: TypeAlias = tuple[str | None, str | None]

_FETCHED = 4096  # rows at a time


def encode_meta(meta: Meta | None) -> str | None:
    """Meta as JSON text; :class:`UsageError` for what JSON cannot hold."""
    if meta is None:
        return None
    try:
        if not isinstance(meta, Mapping):
            raise TypeError(f"{type(meta).__name__} is no mapping")
        text = json.dumps(dict(meta), ensure_ascii=False, allow_nan=False)
        text.encode("utf-8")
    except (TypeError, ValueError, RecursionError) as error:
        raise UsageError(
            "meta must be a JSON object",
            where="meta",
            found=str(error),
            allowed="strings, numbers, lists, objects",
        ) from error
    return text


def append_items(
    database: Database,
    state: State,
    ids: Sequence[int],
    keys: KeyRows,
    codes: Code,
    *,
    notes: Iterable[EncodedNote],
) -> State:
    """Append items whose ids are free, with their notes (inside a transaction); the state after them."""
    kept = keys.astype(keys.dtype.newbyteorder("<"), copy=False)
    rows, noted, summed = [], [], state.items_sum
    numbered = enumerate(
        zip(ids, kept, codes.astype("<u2", copy=False), notes, strict=True), state.last_row + 1
    )
    for row, (item, key, code, (meta, text)) in numbered:
        note = 0
        if meta is not None or text is not None:
            note = note_checksum(row, meta, text)
            noted.append((row, meta, text, note))
        blobs = key.tobytes(), code.tobytes()
        checksum = item_checksum(row, item, *blobs, note)
        summed += checksum
        rows.append((row, item, *blobs, note, checksum))
    database.connection.executemany("INSERT INTO items VALUES (?, ?, ?, ?, ?, ?)", rows)
    database.connection.executemany("INSERT INTO notes VALUES (?, ?, ?, ?)", noted)
    return dataclasses.replace(
        state,
        last_row=state.last_row + len(ids),
        items=state.items + len(ids),
        items_sum=summed,
        next_id=max([state.next_id, *(item + 1 for item in ids)]),
    )


def append_edges(database: Database, state: State, links: Mapping[tuple[int, int], float]) -> State:
    """Write links between stored items; one that exists is removed first, and so gets its new weight."""
    state = remove_edges(database, state, links)
    rows = [
        (row, *pair, weight, edge_checksum(row, *pair, weight))
        for row, (pair, weight) in enumerate(links.items(), state.last_edge + 1)
    ]
    database.connection.executemany("INSERT INTO edges VALUES (?, ?, ?, ?, ?)", rows)
    return dataclasses.replace(
        state,
        last_edge=state.last_edge + len(rows),
        edges=state.edges + len(rows),
        edges_sum=state.edges_sum + sum(row[4] for row in rows),
    )


def remove_edges(database: Database, state: State, pairs: Iterable[tuple[int, int]]) -> State:
    """Delete those of the links that exist, and log each (inside a transaction)."""
    query = "DELETE FROM edges WHERE source=? AND target=? RETURNING checksum"
    gone: list[tuple[tuple[int, int], int]] = []
    for pair in pairs:
        gone.extend((pair, found) for (found,) in database.connection.execute(query, pair).fetchall())
    state = _logged(database, state, [pair for pair, _ in gone])
    lost = sum(checksum for _, checksum in gone)
    return dataclasses.replace(state, edges=state.edges - len(gone), edges_sum=state.edges_sum - lost)


def remove_items(database: Database, state: State, ids: Sequence[int]) -> State:
    """Delete items with their notes and links, and log each item (inside a transaction)."""
    execute = database.connection.execute
    items = edges = items_sum = edges_sum = 0
    for item in ids:
        ((row, checksum),) = execute(
            "DELETE FROM items WHERE id=? RETURNING row, checksum", (item,)
        ).fetchall()
        items, items_sum = items + 1, items_sum + checksum
        execute("DELETE FROM notes WHERE row=?", (row,))
        for end in ("source", "target"):
            query = f"DELETE FROM edges WHERE {end}=? RETURNING checksum"
            for (found,) in execute(query, (item,)).fetchall():
                edges, edges_sum = edges + 1, edges_sum + found
    state = _logged(database, state, [(item, None) for item in ids])
    return dataclasses.replace(
        state,
        items=state.items - items,
        items_sum=state.items_sum - items_sum,
        edges=state.edges - edges,
        edges_sum=state.edges_sum - edges_sum,
    )


def _logged(database: Database, state: State, gone: Sequence[tuple[int, int | None]]) -> State:
    rows = ((row, *pair) for row, pair in enumerate(gone, state.last_removal + 1))
    database.connection.executemany("INSERT INTO removals VALUES (?, ?, ?)", rows)
    return dataclasses.replace(state, last_removal=state.last_removal + len(gone))


def rewrite_codes(database: Database, state: State, items: Items, codes: Code) -> State:
    """Replace the code of each of ``items`` (inside a transaction)."""
    rows = []
    for row, item, code in zip(items.rows.tolist(), items.ids.tolist(), codes.astype("<u2"), strict=True):
        ((key, note),) = database.connection.execute(
            "SELECT key, note FROM items WHERE row=?", (row,)
        ).fetchall()
        rows.append((code.tobytes(), item_checksum(row, item, key, code.tobytes(), note), row))
    database.connection.executemany("UPDATE items SET code=?, checksum=? WHERE row=?", rows)
    lost = int(items.checksums.sum(dtype=np.int64))
    return dataclasses.replace(state, items_sum=state.items_sum - lost + sum(row[1] for row in rows))


def missing(database: Database, ids: Iterable[int]) -> list[int]:
    """Those of ``ids`` that no item has, by the index."""
    query = "SELECT 1 FROM items WHERE id=?"
    with translated(database.path):
        execute = database.connection.execute
        return [item for item in ids if execute(query, (item,)).fetchone() is None]


def confirm_missing(database: Database, ids: Iterable[int]) -> None:
    """:class:`UnsafeFile` if the table has one of ``ids`` after all: the index is damaged then."""
    wanted = set(ids)
    with translated(database.path):
        for (item,) in database.connection.execute("SELECT id FROM items NOT INDEXED"):
            if item in wanted:
                raise damaged(database.path, f"an index that has lost item {item}")


def read_items(database: Database, layout: Layout, after: int, most: int) -> Items:
    """Items of the rows after ``after``, at most ``most``, each checked against its checksum."""
    with translated(database.path):
        cursor = database.connection.execute(
            "SELECT row, id, key, code, note, checksum FROM items WHERE row > ? ORDER BY row", (after,)
        )
        numbers = np.empty((most, 4), np.int64)
        codes = np.empty((most, layout.k), np.uint16)
        keys: list[NDArray[Any]] = []
        count = 0
        while rows := cursor.fetchmany(_FETCHED):
            if count + len(rows) > most:
                raise damaged(database.path, f"more items than the {most} that were counted")
            part = slice(count, count + len(rows))
            keys.append(_checked(database, layout, rows))
            numbers[part] = [(row[0], row[1], row[5], row[4]) for row in rows]
            codes[part] = np.frombuffer(b"".join(row[3] for row in rows), "<u2").reshape(-1, layout.k)
            count += len(rows)
    codes = codes[:count]
    if (np.diff(codes.astype(np.int32), axis=1) <= 0).any() or (codes >= layout.code_dim).any():
        raise damaged(database.path, "codes whose units are out of order or out of range")
    places, ids = numbers[:count, 0].copy(), numbers[:count, 1].copy()
    checksums, notes = numbers[:count, 2].astype(np.uint32), numbers[:count, 3].astype(np.uint32)
    return Items(places, ids, checksums, notes, joined_keys(keys, layout.dim), codes)


def _checked(database: Database, layout: Layout, rows: list[tuple[Any, ...]]) -> KeyRows:
    """Keys of rows, after their sizes and checksums were compared."""
    for row, item, key, code, note, checksum in rows:
        whole = isinstance(key, bytes) and isinstance(code, bytes)
        whole = whole and isinstance(item, int) and isinstance(note, int)
        if not whole or len(key) not in key_forms(layout.dim) or len(code) != 2 * layout.k:
            raise damaged(database.path, f"row {row}: keys and codes of another size or type")
        if item_checksum(row, item, key, code, note) != checksum:
            raise damaged(database.path, f"row {row}: an item that does not match its checksum")
    return decoded_keys([row[2] for row in rows], layout.dim)


def key_forms(dim: int) -> dict[int, str]:
    """Bytes of a key -> its numbers, for each form in which a key is kept (vectors.py)."""
    return {dim: "<u1", 2 * dim: "<i2", 4 * dim: "<f4"}


def decoded_keys(blobs: Sequence[bytes], dim: int) -> KeyRows:
    """Keys (samples, dim) of their bytes; of mixed forms, unit vectors."""
    forms = key_forms(dim)
    kinds = {len(blob) for blob in blobs}
    if len(kinds) == 1:
        kind = np.dtype(forms[kinds.pop()])
        array = np.frombuffer(b"".join(blobs), kind).reshape(-1, dim)
        return array.astype(kind.newbyteorder("="), copy=False)
    if not blobs:
        return np.empty((0, dim), np.uint8)
    return joined_keys([decoded_keys([blob], dim) for blob in blobs], dim)


def joined_keys(parts: Sequence[KeyRows], dim: int) -> KeyRows:
    """Keys of all ``parts``, as they are if all are of one form, else as unit vectors."""
    filled = [part for part in parts if part.shape[0]]
    if not filled:
        return np.empty((0, dim), np.uint8)
    if len({part.dtype for part in filled}) > 1:
        filled = [part if part.dtype == np.float32 else unit_vectors(part).vectors for part in filled]
    return filled[0] if len(filled) == 1 else np.concatenate(filled)


def read_edges(database: Database, after: int) -> EdgeRows:
    """Links of the rows after ``after``, each checked against its checksum."""
    with translated(database.path):
        rows = database.connection.execute(
            "SELECT row, source, target, weight, checksum FROM edges WHERE row > ? ORDER BY row", (after,)
        ).fetchall()
    for row, source, target, weight, checksum in rows:
        numbers = isinstance(source, int) and isinstance(target, int) and isinstance(weight, float)
        if not numbers or edge_checksum(row, source, target, weight) != checksum:
            raise damaged(database.path, f"link {row} does not match its checksum")
    columns: Callable[[int, Any], Any] = lambda place, kind: np.array([r[place] for r in rows], kind)  # noqa: E731
    return EdgeRows(columns(1, np.int64), columns(2, np.int64), columns(3, np.float64), columns(4, np.uint32))


def read_removals(database: Database, after: int) -> list[tuple[int, int | None]]:
    """What went away since row ``after``: (item, None) or the ends of a link."""
    query = "SELECT source, target FROM removals WHERE row > ? ORDER BY row"
    with translated(database.path):
        return database.connection.execute(query, (after,)).fetchall()


def read_note(database: Database, row: int, expected: int) -> Note:
    """Meta and text of the item in ``row``, whose note has the checksum ``expected`` (0: no note)."""
    if not expected:
        return None, None
    with translated(database.path):
        query = "SELECT meta, text, checksum FROM notes WHERE row=?"
        found = database.connection.execute(query, (row,)).fetchone()
    if found is None or found[2] != expected:
        raise damaged(database.path, f"row {row}: the note that was written is not there")
    return _checked_note(database, row, *found)


def read_notes(database: Database, after: int = 0) -> Iterator[tuple[int, dict[str, Any] | None, str | None]]:
    """Row, meta and text of every item after row ``after`` that has either."""
    query = "SELECT row, meta, text, checksum FROM notes WHERE row > ? ORDER BY row"
    with translated(database.path):
        for row, meta, text, checksum in database.connection.execute(query, (after,)):
            yield row, *_checked_note(database, row, meta, text, checksum)


def check_notes(database: Database, count: int, total: int) -> None:
    """:class:`UnsafeFile` unless there are ``count`` notes, all whole, with sums of ``total``."""
    found = summed = 0
    with translated(database.path):
        for row, meta, text, checksum in database.connection.execute("SELECT * FROM notes"):
            _check_note(database, row, meta, text, checksum)
            found, summed = found + 1, summed + checksum
    if (found, summed) != (count, total):
        raise damaged(database.path, f"{found} notes, not the {count} that were written")


def _check_note(database: Database, row: int, meta: Any, text: Any, checksum: Any) -> None:
    plain = all(value is None or isinstance(value, str) for value in (meta, text))
    if not plain or note_checksum(row, meta, text) != checksum:
        raise damaged(database.path, f"row {row}: a meta or text that does not match its checksum")


def _checked_note(database: Database, row: int, meta: Any, text: Any, checksum: Any) -> Note:
    _check_note(database, row, meta, text, checksum)
    if meta is None:
        return None, text
    try:
        value = json.loads(meta)
    except (TypeError, ValueError, RecursionError) as error:
        raise damaged(database.path, f"meta that is not JSON: {error}") from error
    if not isinstance(value, dict):
        raise damaged(database.path, "meta that is not a JSON object")
    return value, text
