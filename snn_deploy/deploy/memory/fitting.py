"""When the unit statistics are fitted, and what is written when they are."""

from __future__ import annotations

import numpy as np

from snn_deploy.deploy.memory.codes import SparseCoder, UnitStatistics
from snn_deploy.deploy.memory.contents import Layout, State
from snn_deploy.deploy.memory.database import Database
from snn_deploy.deploy.memory.rows import decoded_keys, read_items, rewrite_codes
from snn_deploy.deploy.memory.vectors import Float32, KeyRows, unit_rows
from snn_deploy.errors import UsageError

_SAMPLE = 8192  # keys that statistics are fitted on; their error is then 1 % of a deviation
_GROWTH = 4  # after the last mark the statistics are fitted again each time the items are as many times more


def fit_if_due(
    database: Database, layout: Layout, state: State, coder: SparseCoder, arriving: KeyRows
) -> tuple[SparseCoder, State]:
    """Fit if ``arriving`` keys take the memory to its next mark; to be called in a transaction.

    At the marks of ``fit_at`` the stored items are recoded. Beyond the last one the statistics go on
    following the keys, but codes stay as they are: an item's own code always matches itself.
    """
    items, fitted = state.items + arriving.shape[0], coder.statistics.items
    marks = [mark for mark in layout.fit_at if mark > fitted]
    if marks and items >= min(marks):
        return fit(database, layout, state, coder, arriving)
    if not layout.fit_at or marks or items < _GROWTH * max(fitted, 1):
        return coder, state
    return _fitted(database, layout, state, coder, arriving), state


def fit(
    database: Database, layout: Layout, state: State, coder: SparseCoder, arriving: KeyRows
) -> tuple[SparseCoder, State]:
    """Fit on stored and ``arriving`` keys and recode the stored ones; to be called in a transaction."""
    fitted = _fitted(database, layout, state, coder, arriving)
    if not state.items:
        return fitted, state
    stored = read_items(database, layout, 0, state.items)
    return fitted, rewrite_codes(database, state, stored, fitted.encode(unit_rows(stored.keys)))


def _fitted(
    database: Database, layout: Layout, state: State, coder: SparseCoder, arriving: KeyRows
) -> SparseCoder:
    items = state.items + arriving.shape[0]
    if not items:
        raise UsageError("no items to fit the unit statistics on", where=str(database.path))
    sample = np.concatenate(_sample(database, layout, state, arriving, -(-items // _SAMPLE)))
    if not sample.shape[0]:  # the rows that are left are none of the chosen ones
        sample = np.concatenate(_sample(database, layout, state, arriving, 1))
    statistics = UnitStatistics.fit(coder.projection, sample)
    fitted = coder.with_statistics(UnitStatistics(statistics.mean, statistics.scale, items))
    database.write_statistics(fitted.statistics)
    return fitted


def _sample(database: Database, layout: Layout, state: State, arriving: KeyRows, step: int) -> list[Float32]:
    """Every ``step``-th stored and arriving key, as unit vectors."""
    query = "SELECT key FROM items WHERE row % ? = 0 ORDER BY row"
    blobs = [blob for (blob,) in database.connection.execute(query, (step,))] if state.items else []
    stored = unit_rows(decoded_keys(blobs, layout.dim)) if blobs else np.empty((0, layout.dim), np.float32)
    start = -(state.last_row + 1) % step
    return [stored, unit_rows(arriving[start::step])]
