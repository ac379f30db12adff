"""The only truth of a memory: one SQLite database in WAL mode.

    settings  name, value        format numbers, dimensions, projection seed, statistics, counters
    items     row, id, key, code, meta      key: unit vector, float32; code: k increasing uint16; meta: JSON
    edges     row, source, target, weight   one row a linked pair of ids

``row`` only grows and is never used again, so "everything after row r" is what was appended since. Every
change that is no append (forget, a new weight, new codes) raises the setting ``epoch``: a derived cache
is current exactly if it holds this epoch and is extended by the rows after its last.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from snn_deploy.deploy.memory.codes import Code, UnitStatistics
from snn_deploy.deploy.memory.contents import Contents, Ids, Layout
from snn_deploy.deploy.memory.vectors import Float32
from snn_deploy.errors import BackendUnavailable, UnsafeFile, UsageError

Meta: TypeAlias = Mapping[str, Any]

APPLICATION_ID = 0x534E4E4D  # "SNNM" in the file header: other people's databases are refused
SCHEMA_VERSION = 1
_NORM_ERROR = 1e-5  # of a squared norm; float32 entries leave 1e-7
PROJECTION = "signed-hadamard-1"
_SCHEMA = """
CREATE TABLE settings (name TEXT PRIMARY KEY, value NOT NULL) WITHOUT ROWID;
CREATE TABLE items (row INTEGER PRIMARY KEY AUTOINCREMENT, id INTEGER NOT NULL UNIQUE,
                    key BLOB NOT NULL, code BLOB NOT NULL, meta TEXT);
CREATE TABLE edges (row INTEGER PRIMARY KEY AUTOINCREMENT,
                    source INTEGER NOT NULL REFERENCES items(id) ON DELETE CASCADE,
                    target INTEGER NOT NULL REFERENCES items(id) ON DELETE CASCADE,
                    weight REAL NOT NULL, UNIQUE (source, target));
CREATE INDEX edges_by_target ON edges(target);
"""


@contextmanager
def translated(path: Path) -> Iterator[None]:
    """SQLite's errors as ours: :class:`UnsafeFile` for damage, else :class:`BackendUnavailable`."""
    try:
        yield
    except sqlite3.OperationalError as error:
        text = str(error)
        if "no such" in text or "malformed" in text:
            raise damaged(path, text) from error
        raise BackendUnavailable(
            "the memory's database cannot be used", where=str(path), found=text
        ) from error
    except sqlite3.ProgrammingError as error:
        raise UsageError("this memory is closed", where=str(path), found=str(error)) from error
    except (sqlite3.DatabaseError, UnicodeDecodeError) as error:
        raise damaged(path, str(error)) from error


def damaged(path: Path, found: str) -> UnsafeFile:
    """The error for a database whose contents break the format."""
    return UnsafeFile(
        "not a usable memory database",
        where=str(path),
        found=found,
        remedy="Restore it from a backup; a memory cannot be rebuilt from its snapshot.",
    )


class Database:
    """Rows in and out of the SQLite file; knows nothing of codes' meaning, FAISS or chains."""

    def __init__(self, path: Path, *, readonly: bool) -> None:
        self.path = path
        with translated(path):
            mode = "rw" if readonly else "rwc"
            location = f"{path.absolute().as_uri()}?mode={mode}"
            self._connection = sqlite3.connect(
                location, uri=True, isolation_level=None, timeout=30.0, check_same_thread=False
            )
        try:
            self.fresh = self.is_fresh()
        except BaseException:
            self.close()
            raise
        if readonly:
            self._connection.execute("PRAGMA query_only=ON")

    def is_fresh(self) -> bool:
        """True for a database without any table; raises :class:`UnsafeFile` for anything but our own."""
        with translated(self.path):
            return self._check_format()

    def _check_format(self) -> bool:
        (application,) = self._connection.execute("PRAGMA application_id").fetchone()
        (tables,) = self._connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
        if not application and not tables:
            return True
        if application != APPLICATION_ID:
            raise damaged(self.path, f"a SQLite database of another program (application id {application})")
        (version,) = self._connection.execute("PRAGMA user_version").fetchone()
        if version != SCHEMA_VERSION:
            raise UnsafeFile(
                "schema version of another release",
                where=str(self.path),
                found=str(version),
                allowed=str(SCHEMA_VERSION),
                remedy="Open it with the release of snn-deploy that wrote it.",
            )
        return False

    def prepare_writing(self) -> None:
        """WAL with a full sync at each commit: an acknowledged row survives a crash."""
        with translated(self.path):
            self._connection.execute("PRAGMA journal_mode=WAL")
            self._connection.execute("PRAGMA synchronous=FULL")
            self._connection.execute("PRAGMA foreign_keys=ON")

    def create(self, layout: Layout) -> None:
        """Write the empty schema in one transaction: after a crash there is a whole memory or none."""
        with self.transaction():
            for statement in _SCHEMA.split(";\n"):
                self._connection.execute(statement)
            self._connection.execute(f"PRAGMA application_id={APPLICATION_ID}")
            self._connection.execute(f"PRAGMA user_version={SCHEMA_VERSION}")
            self.set("projection", PROJECTION)
            self.set("uuid", layout.uuid)
            for name in ("dim", "code_dim", "k", "seed"):
                self.set(name, getattr(layout, name))
            self.set("fit_at", json.dumps(layout.fit_at))
            self.set("epoch", 0)
            self.set("next_id", 1)
            self.write_statistics(UnitStatistics.unfitted(layout.code_dim))
        self.fresh = False

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All or nothing; committed and synced on leaving the block."""
        with translated(self.path):
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._connection.execute("COMMIT")
            except BaseException:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise

    @contextmanager
    def one_view(self) -> Iterator[None]:
        """Reads inside the block see one state, whatever a writer commits meanwhile."""
        with translated(self.path):
            self._connection.execute("BEGIN")
            try:
                yield
            finally:
                self._connection.execute("ROLLBACK")

    def data_version(self) -> int:
        """A number that changes whenever another connection commits."""
        with translated(self.path):
            return int(self._connection.execute("PRAGMA data_version").fetchone()[0])

    def get(self, name: str) -> Any:
        """Value of a setting."""
        found = self._connection.execute("SELECT value FROM settings WHERE name=?", (name,)).fetchone()
        if found is None:
            raise damaged(self.path, f"setting {name!r} is missing")
        return found[0]

    def set(self, name: str, value: object) -> None:
        """Write a setting (inside a transaction)."""
        self._connection.execute("REPLACE INTO settings VALUES (?, ?)", (name, value))

    def layout(self) -> Layout:
        """The layout that the memory was created with."""
        with translated(self.path):
            if self.get("projection") != PROJECTION:
                raise damaged(self.path, f"unknown projection {self.get('projection')!r}")
            numbers = {name: self.get(name) for name in ("dim", "code_dim", "k", "seed")}
            try:
                fit_at = tuple(int(mark) for mark in json.loads(self.get("fit_at")))
            except (TypeError, ValueError) as error:
                raise damaged(self.path, f"setting 'fit_at': {error}") from error
            bad = {name: value for name, value in numbers.items() if not isinstance(value, int) or value < 0}
            if bad or not 0 < numbers["k"] < numbers["code_dim"] or numbers["dim"] < 1:
                raise damaged(self.path, f"impossible layout {numbers}")
            return Layout(**numbers, fit_at=fit_at, uuid=str(self.get("uuid")))

    def statistics(self, code_dim: int) -> UnitStatistics:
        """Statistics that the stored codes were made with."""
        with translated(self.path):
            mean = self._floats("mean", code_dim)
            scale = self._floats("scale", code_dim)
            if not (scale > 0).all():
                raise damaged(self.path, "unit scales that are not positive")
            return UnitStatistics(mean, scale, int(self.get("fitted_items")))

    def _floats(self, name: str, size: int) -> Float32:
        blob = self.get(name)
        if not isinstance(blob, bytes) or len(blob) != 4 * size:
            raise damaged(self.path, f"setting {name!r} is not {size} float32 numbers")
        return np.frombuffer(blob, "<f4").astype(np.float32)

    def write_statistics(self, statistics: UnitStatistics) -> None:
        """Replace the statistics (inside the transaction that also replaces the codes)."""
        self.set("mean", statistics.mean.astype("<f4").tobytes())
        self.set("scale", statistics.scale.astype("<f4").tobytes())
        self.set("fitted_items", statistics.items)

    def raise_epoch(self) -> None:
        """Outdate every derived cache on disk (inside a transaction)."""
        self._connection.execute("UPDATE settings SET value = value + 1 WHERE name='epoch'")

    def insert_items(
        self, ids: Sequence[int], keys: Float32, codes: Code, metas: Sequence[Meta | None]
    ) -> None:
        """Append items; ids must be free (see :meth:`missing`)."""
        texts = [encode_meta(meta) for meta in metas]
        rows = zip(ids, keys.astype("<f4"), codes.astype("<u2"), texts, strict=True)
        self._connection.executemany(
            "INSERT INTO items (id, key, code, meta) VALUES (?, ?, ?, ?)",
            ((item, key.tobytes(), code.tobytes(), text) for item, key, code, text in rows),
        )

    def rewrite_codes(self, ids: Ids, codes: Code) -> None:
        """Replace the code of each of ``ids`` (inside a transaction)."""
        self._connection.executemany(
            "UPDATE items SET code=? WHERE id=?",
            ((code.tobytes(), int(item)) for item, code in zip(ids, codes.astype("<u2"), strict=True)),
        )

    def delete_items(self, items: Sequence[int]) -> None:
        """Delete items and, by the foreign keys, their edges (inside a transaction)."""
        self._connection.executemany("DELETE FROM items WHERE id=?", ((item,) for item in items))

    def write_edge(self, source: int, target: int, weight: float) -> bool:
        """Insert an edge, or give an existing one its new weight; true if it was new."""
        changed = self._connection.execute(
            "UPDATE edges SET weight=? WHERE source=? AND target=?", (weight, source, target)
        ).rowcount
        if not changed:
            self._connection.execute(
                "INSERT INTO edges (source, target, weight) VALUES (?, ?, ?)", (source, target, weight)
            )
        return not changed

    def missing(self, ids: Iterable[int]) -> list[int]:
        """Those of ``ids`` that no item has."""
        query = "SELECT 1 FROM items WHERE id=?"
        with translated(self.path):
            return [item for item in ids if self._connection.execute(query, (item,)).fetchone() is None]

    def links(self, source: int) -> list[tuple[int, float]]:
        """Targets and weights of an item's edges, heaviest first, then in the order of the ids."""
        with translated(self.path):
            query = "SELECT target, weight FROM edges WHERE source=? ORDER BY weight DESC, target"
            return self._connection.execute(query, (source,)).fetchall()

    def meta(self, item: int) -> dict[str, Any] | None:
        """What was stored beside an item's key."""
        with translated(self.path):
            found = self._connection.execute("SELECT meta FROM items WHERE id=?", (item,)).fetchone()
            return None if found is None else self._decode_meta(found[0])

    def metas(self) -> Iterator[tuple[int, dict[str, Any] | None]]:
        """Id and meta of every item."""
        with translated(self.path):
            for item, text in self._connection.execute("SELECT id, meta FROM items"):
                yield item, self._decode_meta(text)

    def _decode_meta(self, text: str | None) -> dict[str, Any] | None:
        if text is None:
            return None
        try:
            meta = json.loads(text)
        except (TypeError, ValueError) as error:
            raise damaged(self.path, f"meta that is not JSON: {error}") from error
        if not isinstance(meta, dict):
            raise damaged(self.path, "meta that is not a JSON object")
        return meta

    def count(self, table: str) -> int:
        """Rows of ``items`` or ``edges``."""
        with translated(self.path):
            return int(self._connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0])

    def read(self, layout: Layout, after_item: int = 0, after_edge: int = 0) -> Contents:
        """Items and edges after the given rows, checked against the layout."""
        items = self._connection.execute(
            "SELECT row, id, key, code FROM items WHERE row > ? ORDER BY row", (after_item,)
        ).fetchall()
        edges = self._connection.execute(
            "SELECT row, source, target, weight FROM edges WHERE row > ? ORDER BY row", (after_edge,)
        ).fetchall()
        sizes = {(len(row[2]), len(row[3])) for row in items}
        if sizes - {(4 * layout.dim, 2 * layout.k)}:
            raise damaged(self.path, f"keys and codes of {sorted(sizes)} bytes")
        keys = np.frombuffer(b"".join(row[2] for row in items), "<f4").reshape(-1, layout.dim)
        codes = np.frombuffer(b"".join(row[3] for row in items), "<u2").reshape(-1, layout.k)
        self._check_rows(keys, codes, layout)
        return Contents(
            ids=np.array([row[1] for row in items], dtype=np.int64),
            keys=keys.astype(np.float32, copy=False),
            codes=codes.astype(np.uint16, copy=False),
            sources=np.array([row[1] for row in edges], dtype=np.int64),
            targets=np.array([row[2] for row in edges], dtype=np.int64),
            weights=np.array([row[3] for row in edges], dtype=np.float64),
            epoch=int(self.get("epoch")),
            last_item=items[-1][0] if items else after_item,
            last_edge=edges[-1][0] if edges else after_edge,
        )

    def _check_rows(self, keys: Float32, codes: Code, layout: Layout) -> None:
        """Keys of norm 1 and codes of increasing units: pages of zeros or noise are neither."""
        wrong = int((np.abs(np.einsum("ij,ij->i", keys, keys, dtype=np.float64) - 1.0) > _NORM_ERROR).sum())
        if wrong or not np.isfinite(keys).all():
            raise damaged(self.path, f"{wrong} keys that are not unit vectors")
        if (np.diff(codes.astype(np.int32), axis=1) <= 0).any() or (codes >= layout.code_dim).any():
            raise damaged(self.path, "codes whose units are out of order or out of range")

    @property
    def nbytes(self) -> int:
        """Bytes of the database, the write-ahead log's pages counted in."""
        with translated(self.path):
            (pages,) = self._connection.execute("PRAGMA page_count").fetchone()
            (size,) = self._connection.execute("PRAGMA page_size").fetchone()
            return int(pages * size)

    def compact(self) -> None:
        """Give free pages back to the file system and empty the write-ahead log."""
        with translated(self.path):
            self._connection.execute("VACUUM")
            self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def close(self) -> None:
        """Close the connection; a second call does nothing."""
        self._connection.close()


def encode_meta(meta: Meta | None) -> str | None:
    """Meta as JSON text; :class:`UsageError` for what JSON cannot hold."""
    if meta is None:
        return None
    try:
        if not isinstance(meta, Mapping):
            raise TypeError(f"{type(meta).__name__} is no mapping")
        return json.dumps(dict(meta), ensure_ascii=False, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise UsageError(
            "meta must be a JSON object",
            where="meta",
            found=str(error),
            allowed="strings, numbers, lists, objects",
        ) from error
