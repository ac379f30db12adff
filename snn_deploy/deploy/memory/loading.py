"""Caches from the database and its snapshot, and how they follow what a writer commits."""

from __future__ import annotations

import logging
from pathlib import Path

from snn_deploy.deploy.memory.caches import Caches
from snn_deploy.deploy.memory.contents import Contents, Layout, State
from snn_deploy.deploy.memory.database import Database, damaged
from snn_deploy.deploy.memory.rows import read_edges, read_items, read_removals
from snn_deploy.deploy.memory.snapshot import read_snapshot

_log = logging.getLogger(__name__)


def current_caches(store: Path, database: Database, layout: Layout, caches: Caches | None) -> Caches:
    """Caches of the state that ``database`` sees (inside a view): the given ones if they are current,
    else extended by what was committed since, else from the snapshot, else from all rows.

    Each way ends at the counts and sums that the database states, or is not taken; :class:`UnsafeFile`
    if its own rows do not give them.
    """
    state = database.state()
    if caches is not None and (caches.state == state or _extended(database, layout, caches, state)):
        return caches
    contents = read_snapshot(store, layout)
    if contents is not None:
        caches = _built(layout, contents)
        if caches is not None and _extended(database, layout, caches, state):
            return caches
        _log.info("%s: a snapshot of another state is not used", store)
    try:
        caches = Caches(layout, read_contents(database, layout, state))
    except ValueError as error:
        raise damaged(database.path, str(error)) from error
    if not caches.current:
        raise damaged(database.path, "items or links that are not those that were written")
    return caches


def read_contents(database: Database, layout: Layout, state: State) -> Contents:
    """All items and links, each row checked."""
    return Contents(read_items(database, layout, 0, state.items), read_edges(database, 0), state)


def _built(layout: Layout, contents: Contents) -> Caches | None:
    try:
        caches = Caches(layout, contents)
    except ValueError as error:
        _log.warning("a snapshot that contradicts itself is not used: %s", error)
        return None
    return caches if caches.current else None


def _extended(database: Database, layout: Layout, caches: Caches, state: State) -> bool:
    """Bring ``caches`` from their state to ``state``; false where that does not lead there."""
    before = caches.state
    follows = (
        before.last_row <= state.last_row
        and before.last_edge <= state.last_edge
        and before.last_removal <= state.last_removal
    )
    if not follows:
        return False
    removals = read_removals(database, before.last_removal)
    if len(removals) != state.last_removal - before.last_removal:
        return False  # compacted since
    most = state.last_row - before.last_row
    items = read_items(database, layout, before.last_row, min(most, state.items))
    try:
        caches.update(removals, items, read_edges(database, before.last_edge), state)
    except ValueError:
        return False
    return caches.current
