"""Associative memory: recall the nearest stored key, then follow what it was associated with."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, cast

import numpy as np
from numpy.typing import ArrayLike

from snn_deploy.deploy.memory import inspection, recalling, storing
from snn_deploy.deploy.memory.caches import Caches
from snn_deploy.deploy.memory.checks import check_positive, checked_id
from snn_deploy.deploy.memory.codes import SignedHadamard, SparseCoder
from snn_deploy.deploy.memory.database import Database
from snn_deploy.deploy.memory.filters import Filter
from snn_deploy.deploy.memory.fitting import fit
from snn_deploy.deploy.memory.hops import NOWHERE, POLICIES, Cue, walk
from snn_deploy.deploy.memory.lexical import COSINE_WEIGHT
from snn_deploy.deploy.memory.loading import current_caches, read_contents
from snn_deploy.deploy.memory.opening import DEFAULT_FIT_AT, open_database
from snn_deploy.deploy.memory.results import Chain, Check, Hit, Hop, Item, Link, MemoryStats, Recall
from snn_deploy.deploy.memory.rows import Meta
from snn_deploy.deploy.memory.snapshot import write_snapshot
from snn_deploy.deploy.memory.vectors import Float32, checked_keys, unit_rows
from snn_deploy.errors import UsageError

_SETTLE_NEIGHBOURS = 256


class AssociativeMemory:
    """Items (key, sparse code, meta, text) and weighted links between them, on disk.

    The first hop is FAISS's exact inner product over unit keys (neighbours.py has the other indexes); a
    chain runs over sparse codes (codes.py, hops.py). One process writes, any number may read; every
    answer is that of one committed state, and a reader takes in what was committed since its last one.
    A store, link or forget is on disk when the call returns (SQLite, WAL, full sync). Neighbour index and
    postings are caches, built at the first recall and never trusted over the database.

    **Unit statistics.** Codes are made with per-unit mean and deviation. They are fitted when the number
    of items first reaches each of ``fit_at`` (default 64, 256, 1024, 4096) and at :meth:`refit`, over up
    to 8,192 of the items then stored; statistics and the recoded items are written in the same
    transaction as the store that reached the mark. After the last mark they are fitted again each time
    the items are four times as many, for the items to come: stored codes then stay as they are.
    """

    def __init__(
        self, path: Path, database: Database, release: Callable[[], None], *, readonly: bool
    ) -> None:
        self.path = path
        self.readonly = readonly
        self.layout = database.layout()
        self._database = database
        self._release = release
        self._mutex = threading.RLock()
        self._caches: Caches | None = None
        projection = SignedHadamard(self.layout.dim, self.layout.code_dim, self.layout.seed)
        self._coder = SparseCoder(projection, database.statistics(self.layout.code_dim), self.layout.k)

    @classmethod
    def open(
        cls,
        path: str | Path,
        dim: int | None = None,
        code_dim: int | None = None,
        k: int | None = None,
        seed: int | None = None,
        *,
        encoder: str | None = None,
        index: str | None = None,
        fit_at: Sequence[int] | None = None,
        readonly: bool = False,
        exclusive: bool = False,
    ) -> AssociativeMemory:
        """Open the memory at ``path``, or create it there if ``dim`` is given and there is none.

        ``dim`` is the width of a key, ``code_dim`` (default 16384) the units of a code, ``k`` (default 50)
        its winners, ``seed`` (default 0) the projection's; ``encoder`` names what makes the keys, ``index``
        how the first hop searches (default ``exact``). A memory that exists keeps its own; a value given
        here that differs is a :class:`UsageError`, as is ``exclusive`` where a memory exists.
        :class:`UnsafeFile` for a damaged or foreign file, :class:`BackendUnavailable` for a second writer.
        """
        wanted: dict[str, int | str | None] = {
            "dim": dim, "code_dim": code_dim, "k": k, "seed": seed, "encoder": encoder, "index": index
        }  # fmt: skip
        store = Path(path)
        marks = tuple(DEFAULT_FIT_AT if fit_at is None else fit_at)
        database, release = open_database(store, wanted, marks, readonly=readonly, exclusive=exclusive)
        try:
            return cls(store, database, release, readonly=readonly)
        except BaseException:
            database.close()
            release()
            raise

    def __enter__(self) -> AssociativeMemory:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the database and let the next writer in; a second call does nothing."""
        with self._mutex:
            self._caches = None
            self._database.close()
            self._release()

    def store(
        self,
        key: ArrayLike,
        *,
        value: ArrayLike | None = None,
        target: int | None = None,
        meta: Meta | None = None,
        text: str | None = None,
        id: int | None = None,
        upsert: bool = False,
    ) -> int:
        """Store one key (dim,) of spike counts or floats; returns its id, new unless ``id`` is given."""
        return self.store_many(
            _single(key),
            [meta],
            None if id is None else [id],
            values=None if value is None else _single(value),
            targets=None if target is None else [target],
            texts=[text],
            upsert=upsert,
        )[0]

    def store_many(
        self,
        keys: ArrayLike,
        metas: Sequence[Meta | None] | None = None,
        ids: Sequence[int] | None = None,
        *,
        values: ArrayLike | None = None,
        targets: Sequence[int] | None = None,
        texts: Sequence[str | None] | None = None,
        upsert: bool = False,
        progress: storing.Progress | None = None,
    ) -> list[int]:
        """Store keys (samples, dim) in one transaction: all of them or none; returns their ids.

        Each key is linked to the item that stands beside it in ``targets`` (ids), or in ``values``
        (samples, dim), which become items of their own behind the keys. Automatic ids are larger than every
        id ever used, those of forgotten items included; with ``upsert`` an id in use gets the new key, meta
        and text and keeps its links. ``progress`` is called with the number of items of each part written.
        :class:`UsageError` for wrong widths, NaN, silent keys, ids in use, meta that is not JSON.
        """
        self._check_writable()
        batch = storing.checked_batch(
            self.layout.dim, keys, metas=metas, ids=ids, values=values, targets=targets, texts=texts
        )
        with self._changing():
            stored, coder = storing.store_batch(
                self._database, self.layout, self._coder, batch, upsert=upsert, progress=progress
            )
        self._coder = coder
        return stored

    def refit(self) -> int:
        """Fit the unit statistics on the stored keys and recode them all; returns their number."""
        self._check_writable()
        none = np.empty((0, self.layout.dim), np.float32)
        with self._changing():
            coder, state = fit(self._database, self.layout, self._database.state(), self._coder, none)
            self._database.write_state(state)
        self._coder = coder
        return coder.statistics.items

    def link(self, a: int, b: int, weight: float = 1.0) -> None:
        """Associate item ``a`` with item ``b``; linking again replaces the weight."""
        self.link_many([(a, b)], weight)

    def link_many(self, pairs: Iterable[tuple[int, int]], weight: float | Sequence[float] = 1.0) -> int:
        """Associate each pair (source id, target id) in one transaction; returns their number.

        ``weight`` is one positive number for all, or one for each pair.
        """
        self._check_writable()
        links = storing.checked_links(pairs, weight)
        with self._changing():
            storing.write_links(self._database, links)
        return len(links)

    def forget(self, id: int) -> None:
        """Delete an item and its links; it is never returned again, nor its id given out anew."""
        self.forget_many([id])

    def forget_many(self, ids: Iterable[int]) -> None:
        """Delete items and their links in one transaction: all of them or, if one is unknown, none."""
        self._check_writable()
        items = list(dict.fromkeys(checked_id(item, "id") for item in ids))
        with self._changing():
            storing.forget_items(self._database, items)

    def links(self, id: int) -> list[Link]:
        """Links out of an item, heaviest first, then by id."""
        with self.view() as caches:
            slot = self._slot(caches, id)
            found = [(-weight, int(caches.slots.ids[to])) for to, weight in caches.edges.out_of(slot)]
            return [Link(target, -weight) for weight, target in sorted(found)]

    def get(self, id: int) -> Item:
        """An item's meta and text."""
        with self.view() as caches:
            item = checked_id(id, "id")
            return Item(item, *recalling.note_at(self._database, caches, self._slot(caches, item)))

    def meta(self, id: int) -> dict[str, Any] | None:
        """What was stored beside an item's key."""
        return self.get(id).meta

    def items(self, filter: Filter | None = None) -> Iterator[Item]:
        """Items that pass ``filter``, in the order in which they were stored, of one committed state.

        The memory is held while the iterator is in use: exhaust or close it before the next change.
        """
        with self.view() as caches:
            mask = recalling.mask_of(self._database, caches, filter)
            yield from recalling.items(self._database, caches, mask)

    def reconstruct(self, ids: Sequence[int]) -> Float32:
        """Keys of items as unit vectors, float32 (ids, dim), as the index holds them."""
        with self.view() as caches:
            slots = np.array([self._slot(caches, item) for item in ids], np.int64)
            if not slots.size:
                return np.empty((0, self.layout.dim), np.float32)
            return caches.neighbours.unit_vectors(slots)

    def recall(
        self,
        key: ArrayLike,
        k: int = 10,
        filter: Filter | None = None,
        *,
        text: str | None = None,
        cosine_weight: float = COSINE_WEIGHT,
    ) -> list[Hit]:
        """The ``k`` stored items nearest to ``key`` (dim,) by cosine, nearest first; fewer if fewer fit.

        ``filter`` (filters.py) keeps the items whose meta has all the given values, fulfils all conditions,
        or for which the function of the meta is true; the search among those is exact too. With ``text``
        the order is by words and cosine together (lexical.py), ``cosine_weight`` being that of the cosine.
        """
        check_positive(k, "k")
        cue = checked_keys(_single(key), self.layout.dim, "key")
        with self.view() as caches:
            mask = recalling.mask_of(self._database, caches, filter)
            if text is None:
                answer = recalling.nearest(caches, cue, k, mask)[0]
            else:
                answer = recalling.nearest_in_words(
                    self._database, caches, cue, k, mask, text=text, weight=cosine_weight
                )
            return recalling.hits(self._database, caches, answer)

    def recall_many(self, keys: ArrayLike, k: int = 10, filter: Filter | None = None) -> Recall:
        """As :meth:`recall`, for cues (cues, dim) in one search, as arrays and without metas."""
        check_positive(k, "k")
        cues = checked_keys(keys, self.layout.dim)
        with self.view() as caches:
            mask = recalling.mask_of(self._database, caches, filter)
            return recalling.table(caches, recalling.nearest(caches, cues, k, mask), k)

    def settle(self, key: ArrayLike, beta: float = recalling.BETA) -> Float32:
        """The denoised cue: mean of the stored unit keys, weighted by softmax(beta x cosine): float32 (dim,).

        One step of a modern Hopfield network (Ramsauer et al. 2020) over the 256 nearest items. It orders
        nothing: ranking by the settled vector is worse than by the cue.
        """
        if not (np.isfinite(beta) and beta > 0):
            raise UsageError("out of range", where="beta", found=repr(beta), allowed="finite, > 0")
        cue = checked_keys(_single(key), self.layout.dim, "key")
        with self.view() as caches:
            slots, cosines = caches.neighbours.search(cue, _SETTLE_NEIGHBOURS, caches.allowed(None))[0]
            if not slots.size:
                raise UsageError("the memory is empty", where=str(self.path), remedy="Store something first.")
            weights = recalling.softmax(cosines, cosines, beta)
            return np.asarray(weights @ caches.neighbours.unit_vectors(slots), np.float32)

    def recall_chain(
        self,
        key_or_id: ArrayLike | int,
        hops: int,
        policy: str = "threshold",
        stop_confidence: float = 0.8,
        *,
        clean_up: bool = True,
    ) -> Chain:
        """Follow associations for ``hops`` hops from a stored item, or from the item nearest to a key.

        The start is cleaned up to the nearest stored key, whose code is then the first cue; without
        ``clean_up`` the first cue is the key's own code. ``policy`` is ``threshold``, ``hebbian`` or
        ``willshaw`` (hops.py). The chain ends early before a hop whose overlap is below
        ``stop_confidence``, in [0, 1]: at 1 an item without a link ends the chain, below that an item
        similar enough lends its own.
        """
        check_positive(hops, "hops")
        if policy not in POLICIES:
            raise UsageError(
                "unknown policy", where="policy", found=repr(policy), allowed=", ".join(POLICIES)
            )
        if not 0.0 <= stop_confidence <= 1.0:
            raise UsageError(
                "out of range", where="stop_confidence", found=repr(stop_confidence), allowed="0 to 1"
            )
        with self.view() as caches:
            start, score = self.resolve(key_or_id)
            slot = caches.slots.find(start)
            cue = Cue(caches.postings.codes[slot], slot)
            if not clean_up and np.ndim(key_or_id):
                own = checked_keys(_single(key_or_id), self.layout.dim, "key")
                cue = Cue(self._coder.encode(unit_rows(own))[0], NOWHERE)
            walked = walk(cue, caches, hops, policy, stop_confidence)
            path = [
                Hop(int(caches.slots.ids[at]), overlap, recalling.note_at(self._database, caches, at)[0])
                for at, overlap in zip(walked.slots, walked.overlaps, strict=True)
            ]
            return Chain(start, score, policy, tuple(path), walked.stopped)

    def resolve(self, key_or_id: ArrayLike | int) -> tuple[int, float]:
        """Id of the stored item that a cue stands for, and its cosine with the cue (1 for an id)."""
        with self.view() as caches:
            if np.ndim(key_or_id) == 0:
                item = checked_id(key_or_id, "id")
                self._slot(caches, item)
                return item, 1.0
            nearest = self.recall(key_or_id, 1)
            if not nearest:
                raise UsageError("the memory is empty", where=str(self.path), remedy="Store something first.")
            return nearest[0].id, nearest[0].score

    def stats(self) -> MemoryStats:
        """Sizes and state; loads the caches."""
        with self.view() as caches:
            return inspection.stats(self.path, self._database, caches, self._coder.statistics.items)

    def check(self) -> Check:
        """Read every row and compare it with its checksum; :class:`UnsafeFile` naming what is damaged."""
        with self._mutex, self._database.one_view():
            return inspection.check(self.path, self._database, self.layout)

    def snapshot(self) -> Path:
        """Write everything into one file beside the database, which later opens read instead of the rows."""
        self._check_writable()
        with self._mutex, self._database.one_view():
            contents = read_contents(self._database, self.layout, self._database.state())
            return write_snapshot(self.path, self.layout, contents)

    def compact(self) -> None:
        """Drop the tombstones and give the database's free pages back to the file system."""
        self._check_writable()
        with self._mutex:
            self._caches = None
            self._database.compact()

    @contextmanager
    def view(self) -> Iterator[Caches]:
        """Caches of one committed state, which all reads inside the block see."""
        with self._mutex, self._database.one_view():
            held, self._caches = self._caches, None  # after an interrupt they are built anew, never used half
            try:
                self._caches = current_caches(self.path, self._database, self.layout, held)
            except UsageError:
                self._caches = held
                raise
            if self._caches is not held and self.readonly:  # the writer may have fitted anew
                statistics = self._database.statistics(self.layout.code_dim)
                self._coder = self._coder.with_statistics(statistics)
            yield self._caches

    @contextmanager
    def _changing(self) -> Iterator[None]:
        with self._mutex, self._database.transaction():
            yield

    def _slot(self, caches: Caches, id: int) -> int:
        item = checked_id(id, "id")
        slot = caches.slots.find(item)
        if slot < 0:
            raise storing.unknown_ids([item])
        return slot

    def _check_writable(self) -> None:
        if self.readonly:
            raise UsageError("this memory was opened for reading only", where=str(self.path))


def _single(key: ArrayLike) -> ArrayLike:
    """One key (dim,) as keys (1, dim)."""
    return cast(ArrayLike, [key])
