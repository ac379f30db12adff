"""Finding, creating and locking the database of a memory."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from numbers import Integral
from pathlib import Path

from snn_deploy.deploy.memory.codes import CODE_DIM_MAX
from snn_deploy.deploy.memory.contents import Layout, new_layout
from snn_deploy.deploy.memory.database import Database
from snn_deploy.deploy.memory.locking import WriterLock
from snn_deploy.errors import UsageError, Violation

# Each fit sees four times the items of the one before; after the last, codes stay.
DEFAULT_FIT_AT = (64, 256, 1024, 4096)
_DEFAULTS = {"code_dim": 16384, "k": 50, "seed": 0}
_RANGES = {"dim": (1, 65536), "code_dim": (2, CODE_DIM_MAX), "k": (1, 4096), "seed": (0, 2**63 - 1)}


def open_database(
    store: Path,
    wanted: Mapping[str, int | None],
    fit_at: tuple[int, ...],
    *,
    readonly: bool,
    exclusive: bool,
) -> tuple[Database, Callable[[], None]]:
    """The database at ``store``, checked, locked and if need be created; and what gives the lock back.

    ``wanted`` holds dim, code_dim, k and seed, None where the caller has no wish.
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
        if not readonly:
            lock = WriterLock(store)
            database.prepare_writing()
            # The check ran before the lock: another process may have created the memory in between.
            database.fresh = database.fresh and database.is_fresh()
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
    wanted: Mapping[str, int | None],
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
            str(value),
            str(getattr(layout, name)),
            "Leave the option out.",
        )
        for name, value in wanted.items()
        if value is not None and value != getattr(layout, name)
    ]
    if different:
        raise UsageError(different)


def _layout(wanted: Mapping[str, int | None], fit_at: tuple[int, ...]) -> Layout:
    numbers = {**_DEFAULTS, **{name: value for name, value in wanted.items() if value is not None}}
    if numbers["k"] >= numbers["code_dim"]:
        raise UsageError(
            "more winners than units",
            where="k",
            found=numbers["k"],
            allowed=f"below code_dim {numbers['code_dim']}",
        )
    return new_layout(
        **{name: int(value) for name, value in numbers.items()}, fit_at=[int(n) for n in fit_at]
    )


def _check_ranges(wanted: Mapping[str, int | None], fit_at: tuple[int, ...]) -> None:
    bad = []
    for name, value in wanted.items():
        low, high = _RANGES[name]
        whole = value is None or (isinstance(value, Integral) and not isinstance(value, bool))
        if not whole or (value is not None and not low <= value <= high):
            bad.append(Violation("out of range", name, repr(value), f"whole number, {low} to {high}"))
    for mark in fit_at:
        if isinstance(mark, bool) or not isinstance(mark, Integral) or mark < 1:
            bad.append(Violation("out of range", "fit_at", repr(mark), "numbers of items, >= 1"))
    if bad:
        raise UsageError(bad)


def _nothing() -> None:
    """What a reader has to give back."""
