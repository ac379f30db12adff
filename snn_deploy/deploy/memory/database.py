"""The connection to a memory's SQLite file: opened safely, changed in transactions, read in one view."""

from __future__ import annotations

import dataclasses
import json
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from snn_deploy.deploy.memory import schema
from snn_deploy.deploy.memory.codes import CODE_DIM_MAX, UnitStatistics
from snn_deploy.deploy.memory.contents import Layout, State
from snn_deploy.deploy.memory.vectors import Float32
from snn_deploy.errors import BackendUnavailable, UnsafeFile, UsageError

#: Least and largest value of what a layout is made of; a file that says otherwise is damaged.
RANGES = {"dim": (1, 65536), "code_dim": (2, CODE_DIM_MAX), "k": (1, 4096), "seed": (0, 2**63 - 1)}
_STATE_NAMES = tuple(field.name for field in dataclasses.fields(State))
_BUSY_SECONDS = 30.0


def damaged(path: Path, found: str) -> UnsafeFile:
    """The error for a database whose contents break the format."""
    return UnsafeFile(
        "not a usable memory database",
        where=str(path),
        found=found,
        remedy="Restore it from a backup; a memory cannot be rebuilt from its snapshot.",
    )


@contextmanager
def translated(path: Path) -> Iterator[None]:
    """SQLite's errors as ours: :class:`UnsafeFile` for damage, else :class:`BackendUnavailable`."""
    try:
        yield
    except sqlite3.OperationalError as error:
        text = str(error)
        if any(word in text for word in ("no such", "malformed", "syntax", "decode", "encrypted")):
            raise damaged(path, text) from error
        raise BackendUnavailable(
            "the memory's database cannot be used", where=str(path), found=text
        ) from error
    except sqlite3.ProgrammingError as error:
        raise UsageError("this memory is closed", where=str(path), found=str(error)) from error
    except (sqlite3.DatabaseError, UnicodeDecodeError, OverflowError) as error:
        raise damaged(path, str(error)) from error


class Database:
    """Format, transactions, settings and state; the rows themselves are read and written in rows.py."""

    def __init__(self, path: Path, *, readonly: bool) -> None:
        self.path = path
        self.readonly = readonly
        self._connect()
        try:
            self.fresh = self.is_fresh()
        except BaseException:
            self.close()
            raise

    def _connect(self) -> None:
        """Open the file; a reader that may not write beside it (read-only mount) opens it as unchanging."""
        self._unchanging: tuple[int, ...] | None = None
        mode = "mode=rwc"
        if self.readonly:
            mode = "mode=ro"
            if not os.access(self.path.parent, os.W_OK):
                self._unchanging = self._stamp()
                mode = "mode=ro&immutable=1"
        with translated(self.path):
            self.connection = sqlite3.connect(
                f"{self.path.absolute().as_uri()}?{mode}",
                uri=True,
                isolation_level=None,
                timeout=_BUSY_SECONDS,
                check_same_thread=False,
            )
            # The file may be a stranger's: nothing that its schema names is to run.
            self.connection.execute("PRAGMA trusted_schema=OFF")
            self.connection.execute("PRAGMA cell_size_check=ON")
            if self.readonly:
                self.connection.execute("PRAGMA query_only=ON")

    def _stamp(self) -> tuple[int, ...]:
        """What changes when a file opened as unchanging does change; refuses one whose log is needed."""
        log = self.path.with_name(self.path.name + "-wal")
        if log.exists() and log.stat().st_size:
            raise BackendUnavailable(
                "the last writer left a log that has to be merged, and the folder cannot be written",
                where=str(log),
                remedy="Open it once where it can be written (snn-deploy memory compact STORE).",
            )
        status = self.path.stat()
        return status.st_ino, status.st_size, status.st_mtime_ns

    def is_fresh(self) -> bool:
        """True for a database without any table; raises :class:`UnsafeFile` for anything but our own."""
        with translated(self.path):
            return self._check_format()

    def _check_format(self) -> bool:
        (application,) = self.connection.execute("PRAGMA application_id").fetchone()
        found = self.connection.execute("SELECT type, name, sql FROM sqlite_master").fetchall()
        if not application and not found:
            return True
        if application != schema.APPLICATION_ID:
            raise damaged(self.path, f"a SQLite database of another program (application id {application})")
        (self.version,) = self.connection.execute("PRAGMA user_version").fetchone()
        known = {schema.VERSION: schema.TABLES, 1: schema.VERSION_1_TABLES}.get(self.version)
        if known is None:
            raise UnsafeFile(
                "schema version of another release",
                where=str(self.path),
                found=str(self.version),
                allowed=str(schema.VERSION),
                remedy="Open it with the release of snn-deploy that wrote it.",
            )
        # Spaces apart, the file's tables must be ours, and there must be nothing else: no view, no trigger.
        want = {" ".join(sql.split()) for sql in known}
        have = {" ".join(sql.split()): f"{kind} {name}" for kind, name, sql in found if isinstance(sql, str)}
        have.pop(schema.SEQUENCES, None)
        if have.keys() != want:
            strange = ", ".join(have[sql] for sql in have.keys() - want) or "one is missing"
            raise damaged(self.path, f"tables that are not a memory's: {strange}")
        return False

    def prepare_writing(self) -> None:
        """WAL with a full sync at each commit: an acknowledged row survives a crash."""
        with translated(self.path):
            self.connection.execute(f"PRAGMA page_size={schema.PAGE_SIZE}")
            self.connection.execute("PRAGMA journal_mode=WAL")
            self.connection.execute("PRAGMA synchronous=FULL")
            self.connection.execute("PRAGMA cache_size=-65536")

    def create(self, layout: Layout) -> None:
        """Write the empty schema in one transaction: after a crash there is a whole memory or none."""
        with self.transaction():
            self.create_tables(layout)
            self.write_statistics(UnitStatistics.unfitted(layout.code_dim))
            self.write_state(State())
        self.fresh = False

    def create_tables(self, layout: Layout) -> None:
        """The tables, and the layout in them (inside a transaction)."""
        for statement in schema.TABLES:
            self.connection.execute(statement)
        self.connection.execute(f"PRAGMA application_id={schema.APPLICATION_ID}")
        self.connection.execute(f"PRAGMA user_version={schema.VERSION}")
        self.version = schema.VERSION
        self.set("projection", schema.PROJECTION)
        for name in ("uuid", "dim", "code_dim", "k", "seed", "encoder", "index"):
            self.set(name, getattr(layout, name))
        self.set("fit_at", json.dumps(layout.fit_at))

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All or nothing; committed and synced on leaving the block."""
        with translated(self.path):
            self.connection.execute("BEGIN IMMEDIATE")
            try:
                yield
                self.connection.execute("COMMIT")
            except BaseException:
                if self.connection.in_transaction:
                    self.connection.execute("ROLLBACK")
                raise

    @contextmanager
    def one_view(self) -> Iterator[None]:
        """Reads inside the block see one committed state, whatever a writer commits meanwhile."""
        if self._unchanging is not None and self._stamp() != self._unchanging:
            self.close()
            self._connect()
        with translated(self.path):
            if self.connection.in_transaction:  # a read within a read sees the same state
                yield
                return
            self.connection.execute("BEGIN")
            try:
                yield
            finally:
                self.connection.execute("ROLLBACK")

    def get(self, name: str) -> Any:
        """Value of a setting."""
        with translated(self.path):
            query = "SELECT value, checksum FROM settings WHERE name=?"
            found = self.connection.execute(query, (name,)).fetchone()
        if found is None:
            raise damaged(self.path, f"setting {name!r} is missing")
        if found[1] != schema.setting_checksum(name, found[0]):
            raise damaged(self.path, f"setting {name!r} does not match its checksum")
        return found[0]

    def set(self, name: str, value: object) -> None:
        """Write a setting (inside a transaction)."""
        row = (name, value, schema.setting_checksum(name, value))
        self.connection.execute("REPLACE INTO settings VALUES (?, ?, ?)", row)

    def state(self) -> State:
        """The counters and sums of the state that is seen."""
        with translated(self.path):
            found = self.connection.execute("SELECT * FROM state").fetchall()
        if len(found) != 1:
            raise damaged(self.path, f"{len(found)} rows of counters")
        values = found[0][1:-1]
        if not all(isinstance(value, int) for value in found[0]):
            raise damaged(self.path, "counters that are no whole numbers")
        if schema.state_checksum(values) != found[0][-1]:
            raise damaged(self.path, "the counters do not match their checksum")
        return State(**dict(zip(_STATE_NAMES, values, strict=True)))

    def write_state(self, state: State) -> None:
        """Replace the counters and sums (inside a transaction)."""
        values = dataclasses.astuple(state)
        row = (1, *values, schema.state_checksum(values))
        self.connection.execute(f"REPLACE INTO state VALUES ({', '.join('?' * len(row))})", row)

    def layout(self) -> Layout:
        """The layout that the memory was created with, checked against what a layout may be."""
        if self.get("projection") != schema.PROJECTION:
            raise damaged(self.path, f"unknown projection {self.get('projection')!r}")
        numbers = {name: self.get(name) for name in RANGES}
        for name, value in numbers.items():
            low, high = RANGES[name]
            if not isinstance(value, int) or not low <= value <= high:
                raise damaged(self.path, f"impossible layout: {name} is {value!r}, not {low} to {high}")
        if numbers["k"] >= numbers["code_dim"]:
            raise damaged(self.path, f"impossible layout {numbers}")
        try:
            fit_at = tuple(int(mark) for mark in json.loads(self.get("fit_at")))
        except (TypeError, ValueError, RecursionError) as error:
            raise damaged(self.path, f"setting 'fit_at': {error}") from error
        texts = {name: str(self.get(name)) for name in ("uuid", "encoder", "index")}
        values: dict[str, Any] = {**numbers, **texts}
        return Layout(**values, fit_at=fit_at)

    def statistics(self, code_dim: int) -> UnitStatistics:
        """Unit statistics that new codes are made with."""
        mean, scale = self._floats("mean", code_dim), self._floats("scale", code_dim)
        if not (scale > 0).all() or not np.isfinite(mean).all():
            raise damaged(self.path, "unit scales that are not positive")
        return UnitStatistics(mean, scale, int(self.get("fitted_items")))

    def _floats(self, name: str, size: int) -> Float32:
        blob = self.get(name)
        if not isinstance(blob, bytes) or len(blob) != 4 * size:
            raise damaged(self.path, f"setting {name!r} is not {size} float32 numbers")
        return np.frombuffer(blob, "<f4").astype(np.float32)

    def write_statistics(self, statistics: UnitStatistics) -> None:
        """Replace the unit statistics (inside a transaction)."""
        self.set("mean", statistics.mean.astype("<f4").tobytes())
        self.set("scale", statistics.scale.astype("<f4").tobytes())
        self.set("fitted_items", statistics.items)

    @property
    def nbytes(self) -> int:
        """Bytes of the database, the write-ahead log's pages counted in."""
        with translated(self.path):
            (pages,) = self.connection.execute("PRAGMA page_count").fetchone()
            (size,) = self.connection.execute("PRAGMA page_size").fetchone()
            return int(pages * size)

    def compact(self) -> None:
        """Give free pages back to the file system and empty the write-ahead log."""
        with self.transaction():
            self.connection.execute("DELETE FROM removals")
        with translated(self.path):
            self.connection.execute("VACUUM")
            self.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def integrity(self) -> list[str]:
        """What SQLite itself finds wrong with the file."""
        with translated(self.path):
            rows = self.connection.execute("PRAGMA integrity_check").fetchall()
        return [] if rows == [("ok",)] else [str(row[0]) for row in rows]

    def close(self) -> None:
        """Close the connection; a second call does nothing."""
        self.connection.close()
