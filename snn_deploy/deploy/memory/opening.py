"""Finding, creating and locking the database of a memory."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from numbers import Integral
from pathlib import Path
from typing import Any

from snn_deploy.deploy.memory.contents import Layout, new_layout
from snn_deploy.deploy.memory.database import RANGES, Database
from snn_deploy.deploy.memory.locking import WriterLock
from snn_deploy.deploy.memory.migration import check_old_layout, migrate
from snn_deploy.deploy.memory.neighbours import INDEXES
from snn_deploy.deploy.memory.schema import VERSION
from snn_deploy.deploy.memory.snapshot import remove_orphans
from snn_deploy.errors import UsageError, Violation

# Each fit sees four times the items of the one before; after the last, stored codes stay (fitting.py).
DEFAULT_FIT_AT = (64, 256, 1024, 4096)
_DEFAULTS: dict[str, int | str] = {"code_dim": 16384, "k": 50, "seed": 0, "encoder": "", "index": "exact"}
Wanted = Mapping[str, int | str | None]


def open_database(
    store: Path,
    wanted: Wanted,
    fit_at: tuple[int, ...],
    *,
    readonly: bool,
    exclusive: bool,
) -> tuple[Database, Callable[[], None]]:
    """The database at ``store``, checked, locked and if need be created; and what gives the lock back.

    ``wanted`` holds dim, code_dim, k, seed, encoder and index, None where the caller has no wish.
    """
    _check_ranges(wanted, fit_at)
    creating = not readonly and wanted["dim"] is not None
    if not store.exists() and not creating:
        raise UsageError(
            "no memory there",
            where=str(store),
            remedy="Create one first: snn-deploy memory create, or AssociativeMemory.open(path, dim=...).",
        )
    if not store.parent.is_dir() or store.is_dir():
        found = "a folder of that name" if store.is_dir() else f"no folder {store.parent}"
        raise UsageError("a memory is one file in an existing folder", where=str(store), found=found)
    if not store.exists():
        _layout(wanted, fit_at)  # an impossible layout must not leave an empty file
    database = Database(store, readonly=readonly)
    lock: WriterLock | None = None
    try:
        if not database.fresh:  # what is refused is not touched
            _check_layout(database)
        if not readonly:
            lock = WriterLock(store)
            database.prepare_writing()
            remove_orphans(store)
            # The check ran before the lock: another process may have created the memory in between.
            database.fresh = database.fresh and database.is_fresh()
        if not database.fresh and database.version != VERSION:
            migrate(database)
        _create_or_compare(store, database, wanted, fit_at, creating=creating, exclusive=exclusive)
    except BaseException:
        database.close()
        if lock is not None:
            lock.release()
        raise
    return database, (lock.release if lock is not None else _nothing)


def _create_or_compare(
    store: Path,
    database: Database,
    wanted: Wanted,
    fit_at: tuple[int, ...],
    *,
    creating: bool,
    exclusive: bool,
) -> None:
    if database.fresh:
        if not creating:
            raise UsageError(
                "an empty file, no memory in it",
                where=str(store),
                remedy="Create the memory anew with dim=...",
            )
        database.create(_layout(wanted, fit_at))
        return
    if exclusive:
        raise UsageError(
            "a memory exists there already", where=str(store), remedy="Use it, or name another file."
        )
    layout = database.layout()
    different = [
        Violation(
            f"the memory was created with another {name}",
            str(store),
            str(value) or "none",
            str(getattr(layout, name)) or "none",
            "Leave the option out.",
        )
        for name, value in wanted.items()
        if value is not None and value != getattr(layout, name)
    ]
    if different:
        raise UsageError(different)


def _check_layout(database: Database) -> None:
    """:class:`UnsafeFile` unless the settings, of any format that is known, are those of a memory."""
    if database.version == VERSION:
        database.layout()
    else:
        check_old_layout(database)


def _layout(wanted: Wanted, fit_at: tuple[int, ...]) -> Layout:
    values: dict[str, Any] = {
        **_DEFAULTS,
        **{name: value for name, value in wanted.items() if value is not None},
    }
    if values["k"] >= values["code_dim"]:
        raise UsageError(
            "more winners than units",
            where="k",
            found=values["k"],
            allowed=f"below code_dim {values['code_dim']}",
        )
    numbers = {name: int(values[name]) for name in RANGES}
    return new_layout(
        **numbers, fit_at=[int(n) for n in fit_at], encoder=values["encoder"], index=values["index"]
    )


def _check_ranges(wanted: Wanted, fit_at: tuple[int, ...]) -> None:
    bad = []
    for name, (low, high) in RANGES.items():
        value = wanted[name]
        whole = value is None or (isinstance(value, Integral) and not isinstance(value, bool))
        if not whole or (isinstance(value, Integral) and not low <= int(value) <= high):
            bad.append(Violation("out of range", name, repr(value), f"whole number, {low} to {high}"))
    if wanted["index"] is not None and wanted["index"] not in INDEXES:
        bad.append(Violation("unknown index", "index", repr(wanted["index"]), ", ".join(INDEXES)))
    if not isinstance(wanted["encoder"], str | None):
        bad.append(Violation("not a name", "encoder", repr(wanted["encoder"]), "text"))
    for mark in fit_at:
        if isinstance(mark, bool) or not isinstance(mark, Integral) or mark < 1:
            bad.append(Violation("out of range", "fit_at", repr(mark), "numbers of items, >= 1"))
    if bad:
        raise UsageError(bad)


def _nothing() -> None:
    """What a reader has to give back."""
