"""A database of format 1 (no checksums, keys always float32) becomes one of the current format."""

from __future__ import annotations

import json
import logging
from typing import Any

import numpy as np

from snn_deploy.deploy.memory.contents import Layout, State
from snn_deploy.deploy.memory.database import RANGES, Database, damaged, translated
from snn_deploy.deploy.memory.rows import append_edges, append_items, encode_meta
from snn_deploy.deploy.memory.vectors import unit_vectors
from snn_deploy.errors import UsageError

_ROWS_AT_ONCE = 4096
_NORM_ERROR = 1e-5  # of a squared norm; float32 entries leave 1e-7
_log = logging.getLogger(__name__)


def check_old_layout(database: Database) -> None:
    """:class:`UnsafeFile` for a database of format 1 whose settings are none; :class:`UsageError` for a
    reader, because it has to be rewritten first."""
    with translated(database.path):
        settings = dict(database.connection.execute("SELECT name, value FROM settings"))
    _layout(database, settings)
    if database.readonly:
        raise UsageError(
            "a memory of an earlier release, which has to be rewritten before it is read",
            where=str(database.path),
            remedy="Open it once for writing: snn-deploy memory compact STORE.",
        )


def migrate(database: Database) -> None:
    """Rewrite a memory of format 1 in one transaction; a crash leaves it as it was."""
    connection = database.connection
    connection.execute("PRAGMA foreign_keys=OFF")
    with database.transaction():
        settings = dict(connection.execute("SELECT name, value FROM settings"))
        for table in ("settings", "items", "edges"):
            connection.execute(f"ALTER TABLE {table} RENAME TO old_{table}")
        connection.execute("DROP INDEX edges_by_target")
        layout = _layout(database, settings)
        database.create_tables(layout)
        for name in ("mean", "scale", "fitted_items"):
            database.set(name, settings.get(name))
        database.statistics(layout.code_dim)  # checked
        state = _copied(database, layout, int(settings["next_id"]))
        for table in ("settings", "edges", "items"):
            connection.execute(f"DROP TABLE old_{table}")
        database.write_state(state)
    _log.warning(
        "%s: rewritten from format 1, %d items and %d links", database.path, state.items, state.edges
    )


def _layout(database: Database, settings: dict[str, Any]) -> Layout:
    try:
        numbers: dict[str, Any] = {name: int(settings[name]) for name in RANGES}
        fit_at = tuple(int(mark) for mark in json.loads(settings["fit_at"]))
        int(settings["next_id"])
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        raise damaged(database.path, f"settings of format 1: {error!r}") from error
    for name, (low, high) in RANGES.items():
        if not low <= numbers[name] <= high:
            raise damaged(database.path, f"impossible layout: {name} is {numbers[name]}")
    return Layout(**numbers, fit_at=fit_at, uuid=str(settings.get("uuid")))


def _copied(database: Database, layout: Layout, next_id: int) -> State:
    connection, state = database.connection, State(next_id=next_id)
    with translated(database.path):
        cursor = connection.execute("SELECT id, key, code, meta FROM old_items ORDER BY row")
        while rows := cursor.fetchmany(_ROWS_AT_ONCE):
            for _, key, code, _ in rows:
                if not (isinstance(key, bytes) and isinstance(code, bytes)) or (len(key), len(code)) != (
                    4 * layout.dim,
                    2 * layout.k,
                ):
                    raise damaged(database.path, "keys and codes of another size or type")
            keys = np.frombuffer(b"".join(row[1] for row in rows), "<f4").reshape(-1, layout.dim)
            norms = np.einsum("ij,ij->i", keys, keys, dtype=np.float64)
            if not (np.abs(norms - 1.0) <= _NORM_ERROR).all():
                raise damaged(database.path, "keys that are not unit vectors")
            codes = np.frombuffer(b"".join(row[2] for row in rows), "<u2").reshape(-1, layout.k)
            notes = [(_meta(database, row[3]), None) for row in rows]
            ids = [row[0] for row in rows]
            state = append_items(database, state, ids, unit_vectors(keys).vectors, codes, notes=notes)
        links = connection.execute("SELECT source, target, weight FROM old_edges ORDER BY row")
        pairs = {(source, target): float(weight) for source, target, weight in links}
        return append_edges(database, state, pairs)


def _meta(database: Database, text: str | None) -> str | None:
    """Meta written anew; :class:`UnsafeFile` for what is no JSON object."""
    if text is None:
        return None
    try:
        return encode_meta(json.loads(text))
    except (TypeError, ValueError, RecursionError, UsageError) as error:
        raise damaged(database.path, f"meta that is not a JSON object: {error}") from error
