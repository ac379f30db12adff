"""The format of a memory's database, and the checksum of each kind of row.

    settings   name, value              the layout, and the unit statistics (float32 blobs)
    state      counters and sums        one row, see contents.State
    items      row, id, key, code, note key: see vectors.py; code: k increasing uint16; note: the
                                        checksum of the item's row in notes, 0 where it has none
    notes      row, meta, text          of the item of the same row, where it has any; meta: JSON
    edges      row, source, target, weight   one row for each linked pair of ids
    removals   row, source, target      a log: the item ``source`` (target null) or a link that went away

``row`` only grows, so "everything after row r" is what was appended since; a link with a new weight, and
an item with a new key, is a removal and a new row. Every row carries the CRC-32 of its own contents, row
number included, and ``state`` carries their sums: a damaged, lost, doubled or stale row is seen.
"""

from __future__ import annotations

import struct
from zlib import crc32

APPLICATION_ID = 0x534E4E4D  # "SNNM" in the file header: other people's databases are refused
VERSION = 2
PAGE_SIZE = 8192
PROJECTION = "signed-hadamard-1"

TABLES = (
    "CREATE TABLE settings (name TEXT PRIMARY KEY, value NOT NULL, checksum INTEGER NOT NULL) WITHOUT ROWID",
    "CREATE TABLE state (one INTEGER PRIMARY KEY, next_id INTEGER NOT NULL, last_row INTEGER NOT NULL,"
    " last_edge INTEGER NOT NULL, last_removal INTEGER NOT NULL, items INTEGER NOT NULL,"
    " items_sum INTEGER NOT NULL, edges INTEGER NOT NULL,"
    " edges_sum INTEGER NOT NULL, checksum INTEGER NOT NULL)",
    "CREATE TABLE items (row INTEGER PRIMARY KEY, id INTEGER NOT NULL, key BLOB NOT NULL,"
    " code BLOB NOT NULL, note INTEGER NOT NULL, checksum INTEGER NOT NULL)",
    "CREATE TABLE notes (row INTEGER PRIMARY KEY, meta TEXT, text TEXT, checksum INTEGER NOT NULL)",
    "CREATE TABLE edges (row INTEGER PRIMARY KEY, source INTEGER NOT NULL, target INTEGER NOT NULL,"
    " weight REAL NOT NULL, checksum INTEGER NOT NULL)",
    "CREATE TABLE removals (row INTEGER PRIMARY KEY, source INTEGER NOT NULL, target INTEGER)",
    "CREATE UNIQUE INDEX items_by_id ON items (id)",
    "CREATE UNIQUE INDEX edges_by_pair ON edges (source, target)",
    "CREATE INDEX edges_by_target ON edges (target)",
)

# What release 1 of the format was made of, to be recognised and migrated.
VERSION_1_TABLES = (
    "CREATE TABLE settings (name TEXT PRIMARY KEY, value NOT NULL) WITHOUT ROWID",
    "CREATE TABLE items (row INTEGER PRIMARY KEY AUTOINCREMENT, id INTEGER NOT NULL UNIQUE,"
    " key BLOB NOT NULL, code BLOB NOT NULL, meta TEXT)",
    "CREATE TABLE edges (row INTEGER PRIMARY KEY AUTOINCREMENT,"
    " source INTEGER NOT NULL REFERENCES items(id) ON DELETE CASCADE,"
    " target INTEGER NOT NULL REFERENCES items(id) ON DELETE CASCADE,"
    " weight REAL NOT NULL, UNIQUE (source, target))",
    "CREATE INDEX edges_by_target ON edges(target)",
)
# SQLite's own, of the AUTOINCREMENT columns of format 1; it cannot be dropped.
SEQUENCES = "CREATE TABLE sqlite_sequence(name,seq)"


def item_checksum(row: int, item: int, key: bytes, code: bytes, note: int) -> int:
    """Checksum of a row of ``items``."""
    return crc32(code, crc32(key, crc32(struct.pack("<qqq", row, item, note))))


def note_checksum(row: int, meta: str | None, text: str | None) -> int:
    """Checksum of a row of ``notes``."""
    summed = crc32(struct.pack("<q??", row, meta is None, text is None))
    meta_bytes = (meta or "").encode("utf-8", "surrogatepass")
    summed = crc32(struct.pack("<q", len(meta_bytes)) + meta_bytes, summed)
    return crc32((text or "").encode("utf-8", "surrogatepass"), summed) or 1  # 0 means that there is none


def edge_checksum(row: int, source: int, target: int, weight: float) -> int:
    """Checksum of a row of ``edges``."""
    return crc32(struct.pack("<qqqd", row, source, target, weight))


def setting_checksum(name: str, value: object) -> int:
    """Checksum of a row of ``settings``."""
    data = value if isinstance(value, bytes) else f"{type(value).__name__} {value}".encode()
    return crc32(data, crc32(name.encode()))


def state_checksum(values: tuple[int, ...]) -> int:
    """Checksum of the row of ``state``."""
    return crc32(struct.pack(f"<{len(values)}q", *values))
