"""Associative memory: recall the nearest stored key, then follow what it was associated with."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from numbers import Real
from pathlib import Path
from types import TracebackType
from typing import Any, cast

import numpy as np
from numpy.typing import ArrayLike

from snn_deploy.deploy.memory.caches import Caches
from snn_deploy.deploy.memory.checks import check_positive, checked_id
from snn_deploy.deploy.memory.codes import SignedHadamard, SparseCoder, UnitStatistics
from snn_deploy.deploy.memory.contents import Contents, joined
from snn_deploy.deploy.memory.database import Database, Meta, damaged
from snn_deploy.deploy.memory.filters import Filter, matching_ids
from snn_deploy.deploy.memory.fitting import fit, fit_if_due
from snn_deploy.deploy.memory.hops import POLICIES, Cue
from snn_deploy.deploy.memory.opening import DEFAULT_FIT_AT, open_database
from snn_deploy.deploy.memory.results import Chain, Hit, Hop, Link, MemoryStats
from snn_deploy.deploy.memory.snapshot import read_snapshot, snapshot_path, write_snapshot
from snn_deploy.deploy.memory.vectors import Float32, checked_keys
from snn_deploy.errors import SnnDeployError, UsageError, Violation

_BETA = 20.0  # inverse temperature of the confidence; 20 to 50 keep the order of the cosines in noise
_CONFIDENCE_NEIGHBOURS = 32  # the confidence is taken over these, so that it does not depend on k


class AssociativeMemory:
    """Items (unit key, sparse code, meta) and weighted links between them, on disk.

    The first hop is FAISS's exact inner product over unit keys; a chain runs over sparse codes (see
    codes.py and hops.py). One process writes, any number may read; a reader follows the writer's commits.
    A store, link or forget is on disk when the call returns (SQLite, WAL, full sync). Neighbour index and
    postings are caches, built at the first recall and never trusted over the database.

    **Unit statistics.** Codes are made with per-unit mean and deviation. They are fitted when the number
    of items first reaches each of ``fit_at`` (default 64, 256, 1024, 4096) and at :meth:`refit`, over all
    items then stored; statistics and the recoded items are written in the same transaction as the store
    that reached the mark. Between fits the codes of stored items never change.
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
        self._version = 0
        self._projection = SignedHadamard(self.layout.dim, self.layout.code_dim, self.layout.seed)
        self._coder = self._coder_with(database.statistics(self.layout.code_dim))

    @classmethod
    def open(
        cls,
        path: str | Path,
        dim: int | None = None,
        code_dim: int | None = None,
        k: int | None = None,
        seed: int | None = None,
        *,
        fit_at: Sequence[int] | None = None,
        readonly: bool = False,
        exclusive: bool = False,
    ) -> AssociativeMemory:
        """Open the memory at ``path``, or create it there if ``dim`` is given and there is none.

        ``dim`` is the width of a key, ``code_dim`` (default 16384) the units of a code, ``k`` (default 50)
        its winners, ``seed`` (default 0) the projection's. A memory that exists keeps its own; a value
        given here that differs is a :class:`UsageError`, as is ``exclusive`` where a memory exists.
        :class:`UnsafeFile` for a damaged or foreign file, :class:`BackendUnavailable` for a second writer.
        """
        wanted = {"dim": dim, "code_dim": code_dim, "k": k, "seed": seed}
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

    def store(self, key: ArrayLike, *, meta: Meta | None = None, id: int | None = None) -> int:
        """Store one key (dim,) of spike counts or floats; returns its id, new unless ``id`` is given."""
        return self.store_many(_single(key), [meta], None if id is None else [id])[0]

    def store_many(
        self,
        keys: ArrayLike,
        metas: Sequence[Meta | None] | None = None,
        ids: Sequence[int] | None = None,
    ) -> list[int]:
        """Store keys (samples, dim) in one transaction: all of them or none; returns their ids.

        Automatic ids are larger than every id ever used, those of forgotten items included.
        :class:`UsageError` for wrong widths, NaN, silent keys, ids in use, meta that is not JSON.
        """
        self._check_writable()
        unit = checked_keys(keys, self.layout.dim)
        count = unit.shape[0]
        for name, given in (("metas", metas), ("ids", ids)):
            if given is not None and len(given) != count:
                raise UsageError(
                    f"not one of {name} for each key", where=name, found=len(given), allowed=count
                )
        with self._mutex:
            with self._changing() as updates:
                chosen = self._new_ids(count, ids)
                fitted = fit_if_due(self._database, self.layout, self._coder, unit)
                codes = (fitted or self._coder).encode(unit)
                self._database.insert_items(
                    chosen, unit, codes, metas if metas is not None else [None] * count
                )
                updates.append(lambda caches: caches.add(chosen, unit, codes))
            self._recode(fitted)
        return chosen

    def refit(self) -> int:
        """Fit the unit statistics on all stored keys and recode them at once; returns their number."""
        self._check_writable()
        none = np.empty((0, self.layout.dim), np.float32)
        with self._mutex:
            with self._changing():
                fitted = fit(self._database, self.layout, self._coder, none)
            self._recode(fitted)
        return fitted.statistics.items

    def link(self, a: int, b: int, weight: float = 1.0) -> None:
        """Associate item ``a`` with item ``b``; linking again replaces the weight."""
        self.link_many([(a, b)], weight)

    def link_many(self, pairs: Iterable[tuple[int, int]], weight: float = 1.0) -> None:
        """Associate each pair (source id, target id) in one transaction, all with one positive weight."""
        self._check_writable()
        if not (isinstance(weight, Real) and math.isfinite(weight) and weight > 0):
            raise UsageError("weight out of range", where="weight", found=repr(weight), allowed="finite, > 0")
        links = [(checked_id(a, "source"), checked_id(b, "target")) for a, b in pairs]
        with self._changing() as updates:
            self._check_known(item for pair in links for item in pair)
            new = [self._database.write_edge(a, b, float(weight)) for a, b in links]
            if not all(new):
                self._database.raise_epoch()
            updates.extend(partial(Caches.link, source=a, target=b, weight=float(weight)) for a, b in links)

    def forget(self, id: int) -> None:
        """Delete an item and its links; it is never returned again, nor its id given out anew."""
        self.forget_many([id])

    def forget_many(self, ids: Iterable[int]) -> None:
        """Delete items and their links in one transaction: all of them or, if one is unknown, none."""
        self._check_writable()
        items = list(dict.fromkeys(checked_id(item, "id") for item in ids))
        with self._changing() as updates:
            self._check_known(items)
            self._database.delete_items(items)
            self._database.raise_epoch()
            updates.extend(partial(Caches.forget, item=item) for item in items)

    def links(self, id: int) -> list[Link]:
        """Links out of an item, from the database, heaviest first, then by id."""
        with self._mutex:
            self._check_known([checked_id(id, "id")])
            return [Link(target, weight) for target, weight in self._database.links(id)]

    def meta(self, id: int) -> dict[str, Any] | None:
        """What was stored beside an item's key."""
        with self._mutex:
            self._check_known([checked_id(id, "id")])
            return self._database.meta(id)

    def recall(self, key: ArrayLike, k: int = 10, filter: Filter | None = None) -> list[Hit]:
        """The ``k`` stored items nearest to ``key`` (dim,) by cosine, nearest first; fewer if fewer fit.

        ``filter`` keeps the items whose meta has all the given values, or for which the function of the
        meta is true; the search among those is exact too.
        """
        check_positive(k, "k")
        unit = checked_keys(_single(key), self.layout.dim, "key")[0]
        with self._mutex:
            caches = self._loaded()
            allowed = caches.allowed(None if filter is None else matching_ids(self._database.metas(), filter))
            slots, cosines = caches.neighbours.search(unit, max(k, _CONFIDENCE_NEIGHBOURS), allowed)
            confidences = _softmax(cosines, cosines[:_CONFIDENCE_NEIGHBOURS])
            ids = [caches.id_at(slot) for slot in slots[:k].tolist()]
            return [
                Hit(item, float(cosine), float(confidence), self._database.meta(item))
                for item, cosine, confidence in zip(ids, cosines, confidences, strict=False)
            ]

    def recall_chain(
        self,
        key_or_id: ArrayLike | int,
        hops: int,
        policy: str = "threshold",
        stop_confidence: float = 0.8,
    ) -> Chain:
        """Follow associations for ``hops`` hops from a stored item, or from the item nearest to a key.

        The start is cleaned up to the nearest stored key, whose code is then the first cue. ``policy`` is
        ``threshold``, ``hebbian`` or ``willshaw`` (hops.py). The chain ends early before a hop whose
        overlap is below ``stop_confidence``, in [0, 1]: at 1 an item without a link ends the chain, below
        that an item similar enough lends its own.
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
        with self._mutex:
            start, score = self.resolve(key_or_id)
            caches = self._loaded()
            slot = caches.slot_at(start)
            cue = Cue(caches.postings.codes[slot], slot)
            path: list[Hop] = []
            stopped = "hops"
            while len(path) < hops:
                recalled = POLICIES[policy](cue, caches, self.layout.k, self.layout.code_dim)
                if recalled is None or recalled.overlap < stop_confidence:
                    stopped = "no association" if recalled is None else "confidence"
                    break
                cue = recalled.cue
                item = caches.id_at(cue.slot)
                path.append(Hop(item, recalled.overlap, self._database.meta(item)))
            return Chain(start, score, policy, tuple(path), stopped)

    def resolve(self, key_or_id: ArrayLike | int) -> tuple[int, float]:
        """Id of the stored item that a cue stands for, and its cosine with the cue (1 for an id)."""
        with self._mutex:
            if np.ndim(key_or_id) == 0:
                item = checked_id(key_or_id, "id")
                self._check_known([item])
                return item, 1.0
            nearest = self.recall(key_or_id, 1)
            if not nearest:
                raise UsageError("the memory is empty", where=str(self.path), remedy="Store something first.")
            return nearest[0].id, nearest[0].score

    def stats(self) -> MemoryStats:
        """Sizes and state; loads the caches."""
        with self._mutex:
            caches = self._loaded()
            use = caches.postings.unit_use()
            return MemoryStats(
                items=self._database.count("items"),
                links=self._database.count("edges"),
                dim=self.layout.dim,
                code_dim=self.layout.code_dim,
                k=self.layout.k,
                seed=self.layout.seed,
                fitted_items=self._coder.statistics.items,
                hub_ratio=float(use.max() / use.mean()) if caches.postings.size else 0.0,
                tombstones=caches.tombstones,
                code_bytes=caches.postings.nbytes + caches.edges.nbytes,
                database_bytes=self._database.nbytes,
                snapshot=snapshot_path(self.path).exists(),
            )

    def snapshot(self) -> Path:
        """Write everything into one file beside the database, which later opens read instead of the rows."""
        self._check_writable()
        with self._mutex:
            return write_snapshot(self.path, self.layout, self._contents())

    def compact(self) -> None:
        """Drop the tombstones and give the database's free pages back to the file system."""
        self._check_writable()
        with self._mutex:
            self._caches = None
            self._database.compact()

    def _contents(self) -> Contents:
        with self._database.one_view():
            return self._database.read(self.layout)

    @contextmanager
    def _changing(self) -> Iterator[list[Callable[[Caches], None]]]:
        """A transaction; what is appended to the yielded list is done to the caches after the commit.

        The caches are away meanwhile: after an interrupt at any point they are built anew, never used half.
        """
        with self._mutex:
            caches, self._caches = self._caches, None
            updates: list[Callable[[Caches], None]] = []
            try:
                with self._database.transaction():
                    yield updates
            except SnnDeployError:
                self._caches = caches  # refused and rolled back: they are as good as before
                raise
            if caches is not None:
                for update in updates:
                    update(caches)
            self._caches = caches

    def _recode(self, fitted: SparseCoder | None) -> None:
        """Use newly fitted statistics, with which every stored code has changed."""
        if fitted is not None:
            self._coder, self._caches = fitted, None

    def _loaded(self) -> Caches:
        """The caches, built from snapshot and database; anew where another process has written since."""
        version = self._database.data_version()
        if self._caches is not None and version == self._version:
            return self._caches
        with self._database.one_view():
            # Of a reader: the writer may have fitted anew since this memory was opened.
            self._coder = self._coder_with(self._database.statistics(self.layout.code_dim))
            contents = read_snapshot(self.path, self.layout, int(self._database.get("epoch")))
            if contents is None:
                contents = self._database.read(self.layout)
            else:
                recent = self._database.read(self.layout, contents.last_item, contents.last_edge)
                contents = joined(contents, recent)
        try:
            self._caches = Caches(contents, self.layout.code_dim)
        except ValueError as error:
            raise damaged(self.path, str(error)) from error
        self._version = version
        return self._caches

    def _coder_with(self, statistics: UnitStatistics) -> SparseCoder:
        return SparseCoder(self._projection, statistics, self.layout.k)

    def _new_ids(self, count: int, given: Sequence[int] | None) -> list[int]:
        """Ids for ``count`` new items (inside a transaction): the given ones if free, else the next ones."""
        following = int(self._database.get("next_id"))
        if given is None:
            chosen = list(range(following, following + count))
        else:
            chosen = [checked_id(item, f"ids[{position}]") for position, item in enumerate(given)]
            free = set(self._database.missing(chosen))
            taken = [item for n, item in enumerate(chosen) if item not in free or item in chosen[:n]]
            if taken:
                raise UsageError(
                    Violation("id in use", f"id {item}", remedy="Forget it first, or choose another.")
                    for item in taken
                )
        if chosen:
            self._database.set("next_id", max(following, max(chosen) + 1))
        return chosen

    def _check_known(self, ids: Iterable[int]) -> None:
        unknown = self._database.missing(ids)
        if unknown:
            raise UsageError(
                Violation(
                    "no item of this id", f"id {item}", remedy="It was never stored, or it was forgotten."
                )
                for item in dict.fromkeys(unknown)
            )

    def _check_writable(self) -> None:
        if self.readonly:
            raise UsageError("this memory was opened for reading only", where=str(self.path))


def _single(key: ArrayLike) -> ArrayLike:
    """One key (dim,) as keys (1, dim)."""
    return cast(ArrayLike, [key])


def _softmax(cosines: Float32, over: Float32) -> Float32:
    """exp(beta c) of each of ``cosines`` over the sum of those of ``over``, both nearest first."""
    if not cosines.size:
        return cosines
    weights: Float32 = np.exp(_BETA * (cosines - cosines[0]))
    weights /= np.exp(_BETA * (over - cosines[0])).sum()
    return weights
