"""When the unit statistics are fitted, and what is written when they are."""

from __future__ import annotations

import dataclasses

import numpy as np

from snn_deploy.deploy.memory.codes import SparseCoder, UnitStatistics
from snn_deploy.deploy.memory.contents import Layout
from snn_deploy.deploy.memory.database import Database
from snn_deploy.deploy.memory.vectors import Float32
from snn_deploy.errors import UsageError


def fit_if_due(
    database: Database, layout: Layout, coder: SparseCoder, arriving: Float32
) -> SparseCoder | None:
    """:func:`fit`, if ``arriving`` keys take the memory to its next mark of ``fit_at``, else None."""
    marks = [mark for mark in layout.fit_at if mark > coder.statistics.items]
    # Counting reads the whole id index, so it is left out once the last mark is behind.
    if not marks or database.count("items") + arriving.shape[0] < min(marks):
        return None
    return fit(database, layout, coder, arriving)


def fit(database: Database, layout: Layout, coder: SparseCoder, arriving: Float32) -> SparseCoder:
    """Fit on all stored and ``arriving`` keys and recode the stored ones; to be called in a transaction."""
    stored = database.read(layout)
    keys = np.concatenate((stored.keys, arriving))
    if not keys.shape[0]:
        raise UsageError("no items to fit the unit statistics on", where=str(database.path))
    fitted = dataclasses.replace(coder, statistics=UnitStatistics.fit(coder.projection, keys))
    database.rewrite_codes(stored.ids, fitted.encode(stored.keys))
    database.write_statistics(fitted.statistics)
    database.raise_epoch()
    return fitted
