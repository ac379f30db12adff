"""The memory on a Milvus server, for more items than one machine holds; embedded milvus-lite by a file name.

    items     id, key (dense, inner product of unit keys), code (sparse k-hot), meta, linked
    links     "source:target", source, target, weight
    settings  name, value (JSON), numbers (unit means and scales as vectors)

The first hop is a search of the dense field. A chain's overlaps come out of the sparse field: the inner
product of two k-hot codes is the number of winners that they share. Milvus has no transactions: a store
is acknowledged when the server has it, and many writers must not share ids.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from types import TracebackType
from typing import Any, cast

import numpy as np
from numpy.typing import ArrayLike

from snn_deploy.deploy.memory.checks import check_positive, checked_id
from snn_deploy.deploy.memory.codes import Code, SignedHadamard, SparseCoder, UnitStatistics
from snn_deploy.deploy.memory.contents import Layout, new_layout
from snn_deploy.deploy.memory.hops import VOTE_THRESHOLD
from snn_deploy.deploy.memory.opening import DEFAULT_FIT_AT
from snn_deploy.deploy.memory.recalling import BETA, CONFIDENCE_NEIGHBOURS, softmax
from snn_deploy.deploy.memory.results import Chain, Hit, Hop, Link
from snn_deploy.deploy.memory.rows import Meta, encode_meta
from snn_deploy.deploy.memory.storing import check_one_each, checked_links, unknown_ids
from snn_deploy.deploy.memory.vectors import Float32, checked_keys, unit_rows
from snn_deploy.errors import BackendUnavailable, SnnDeployError, UsageError

_ROWS_AT_ONCE = 1000
_VOTERS_MAX = 256
_META_MAX = 65535  # characters that a Milvus string holds
_NEVER = np.array([1.0, 0.0], np.float32)  # a collection must have a vector; the links need none


class MilvusMemory:
    """Store, link, recall, follow chains and forget as :class:`AssociativeMemory` does, on Milvus."""

    def __init__(self, client: Any, name: str, layout: Layout, statistics: UnitStatistics) -> None:
        self.layout = layout
        self._client = client
        self._items, self._links, self._settings = _collections(name)
        projection = SignedHadamard(layout.dim, layout.code_dim, layout.seed)
        self._coder = SparseCoder(projection, statistics, layout.k)

    @classmethod
    def open(
        cls, uri: str, dim: int | None = None, *, name: str = "snn_memory", token: str = "",
        code_dim: int = 16384, k: int = 50, seed: int = 0, encoder: str = "",
    ) -> MilvusMemory:  # fmt: skip
        """Open the memory ``name`` at ``uri`` (http://host:19530, or a file for milvus-lite), or create it.

        The options after ``token`` count when it is created. :class:`BackendUnavailable` where pymilvus is
        not installed or the server does not answer, :class:`UsageError` for another ``dim``.
        """
        try:
            pymilvus: Any = import_module("pymilvus")
        except ModuleNotFoundError as error:
            raise BackendUnavailable(
                "pymilvus is not installed", where=uri, remedy="Install snn-deploy[milvus]."
            ) from error
        with _translated(uri):
            client = pymilvus.MilvusClient(uri=uri, token=token)
            if not client.has_collection(_collections(name)[2]):
                if dim is None:
                    raise UsageError(
                        "no memory there", where=f"{uri} {name}", remedy="Create it with dim=..."
                    )
                layout = new_layout(
                    dim=dim,
                    code_dim=code_dim,
                    k=k,
                    seed=seed,
                    fit_at=DEFAULT_FIT_AT,
                    encoder=encoder,
                    index="exact",
                )
                _create(pymilvus, client, name, layout)
                memory = cls(client, name, layout, UnitStatistics.unfitted(code_dim))
                memory._write_settings(next_id=1)
                return memory
            rows = client.query(_collections(name)[2], filter='name != ""', output_fields=["*"], limit=10)
        settings = {row["name"]: row for row in rows}
        values = json.loads(settings["layout"]["value"])
        layout = Layout(**{**values, "fit_at": tuple(values["fit_at"])})
        if dim is not None and dim != layout.dim:
            raise UsageError(
                "the memory was created with another dim", where=uri, found=dim, allowed=layout.dim
            )
        mean, scale = (np.array(settings[part]["numbers"], np.float32) for part in ("mean", "scale"))
        fitted = int(json.loads(settings["counters"]["value"])["fitted"])
        return cls(client, name, layout, UnitStatistics(mean, scale, fitted))

    def __enter__(self) -> MilvusMemory:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection."""
        self._client.close()

    def store(self, key: ArrayLike, *, meta: Meta | None = None) -> int:
        """Store one key (dim,); returns its id."""
        return self.store_many(cast(ArrayLike, [key]), [meta])[0]

    def store_many(
        self, keys: ArrayLike, metas: Sequence[Meta | None] | None = None, ids: Sequence[int] | None = None
    ) -> list[int]:
        """Store keys (samples, dim); returns their ids, new unless given."""
        units = unit_rows(checked_keys(keys, self.layout.dim))
        count = units.shape[0]
        check_one_each(count, {"metas": metas, "ids": ids})
        texts = [encode_meta(meta) for meta in metas] if metas is not None else [None] * count
        if any(text is not None and len(text) > _META_MAX for text in texts):
            raise UsageError("a meta too long for Milvus", where="metas", allowed=f"{_META_MAX} characters")
        following = self._counter("next_id")
        chosen = list(range(following, following + count))
        if ids is not None:
            chosen = [checked_id(item, "ids") for item in ids]
            if len(set(chosen)) < count or self._known(chosen):
                raise UsageError("id in use", where="ids", remedy="Forget it first, or choose another.")
        if not count:
            return []
        self._fit_if_due(units)
        codes = self._coder.encode(units)
        rows = [
            {"id": item, "key": unit, "code": _k_hot(code), "meta": text or "", "linked": False}
            for item, unit, code, text in zip(chosen, units, codes, texts, strict=True)
        ]
        self._put(self._items, rows)
        self._write_settings(next_id=max(following, max(chosen) + 1))
        return chosen

    def link(self, a: int, b: int, weight: float = 1.0) -> None:
        """Associate item ``a`` with item ``b``; linking again replaces the weight."""
        self.link_many([(a, b)], weight)

    def link_many(self, pairs: Iterable[tuple[int, int]], weight: float | Sequence[float] = 1.0) -> int:
        """Associate each pair (source id, target id); returns their number."""
        links = checked_links(pairs, weight)
        ends = sorted({item for pair in links for item in pair})
        unknown = set(ends) - self._known(ends)
        if unknown:
            raise unknown_ids(sorted(unknown))
        rows = [
            {"pair": f"{a}:{b}", "source": a, "target": b, "weight": heavy, "never": _NEVER}
            for (a, b), heavy in links.items()
        ]
        self._put(self._links, rows)
        self._set_linked({a for a, _ in links}, True)
        return len(links)

    def forget(self, id: int) -> None:
        """Delete an item and its links; its id is not given out anew."""
        item = checked_id(id, "id")
        if not self._known([item]):
            raise unknown_ids([item])
        sources = {row["source"] for row in self._query(self._links, f"target == {item}", ["source"])}
        with _translated(self._links):
            self._client.delete(self._links, filter=f"source == {item} or target == {item}")
            self._client.delete(self._items, ids=[item])
        left = {source for source in sources - {item} if not self.links(source)}
        self._set_linked(left, False)

    def links(self, id: int) -> list[Link]:
        """Links out of an item, heaviest first, then by id."""
        rows = self._query(self._links, f"source == {checked_id(id, 'id')}", ["target", "weight"])
        return sorted(
            (Link(row["target"], row["weight"]) for row in rows), key=lambda x: (-x.weight, x.target)
        )

    def recall(self, key: ArrayLike, k: int = 10) -> list[Hit]:
        """The ``k`` stored items nearest to ``key`` (dim,) by cosine, nearest first."""
        check_positive(k, "k")
        cue = unit_rows(checked_keys(cast(ArrayLike, [key]), self.layout.dim, "key"))
        wanted = max(k, CONFIDENCE_NEIGHBOURS)
        found = self._search("key", cue, wanted, "", ["meta"])
        scores = np.array([score for _, score, _ in found], np.float32)
        confidence = softmax(scores, scores[:CONFIDENCE_NEIGHBOURS], BETA)
        return [
            Hit(item, score, float(sure), json.loads(row["meta"]) if row["meta"] else None)
            for (item, score, row), sure in zip(found[:k], confidence, strict=False)
        ]

    def recall_chain(self, key_or_id: ArrayLike | int, hops: int, stop_confidence: float = 0.8) -> Chain:
        """Follow associations by the policy ``threshold`` (hops.py) from an item or the nearest to a key."""
        check_positive(hops, "hops")
        start, score = (checked_id(key_or_id, "id"), 1.0) if np.ndim(key_or_id) == 0 else (-1, 0.0)
        if start < 0:
            nearest = self.recall(key_or_id, 1)
            if not nearest:
                raise UsageError("the memory is empty", where=self._items, remedy="Store something first.")
            start, score = nearest[0].id, nearest[0].score
        elif not self._known([start]):
            raise unknown_ids([start])
        path: list[Hop] = []
        at, stopped = start, "hops"
        while len(path) < hops:
            best, at = self._hop(at)
            if not best or best / self.layout.k < stop_confidence:
                stopped = "confidence" if best else "no association"
                break
            (row,) = self._query(self._items, f"id == {at}", ["meta"])
            path.append(Hop(at, best / self.layout.k, json.loads(row["meta"]) if row["meta"] else None))
        return Chain(start, score, "threshold", tuple(path), stopped)

    def _hop(self, item: int) -> tuple[int, int]:
        """Overlap of the best linked cue with an item's code, and the item that the vote elects."""
        (row,) = self._query(self._items, f"id == {item}", ["code"])
        found = self._search("code", [row["code"]], _VOTERS_MAX, "linked == true", [])
        overlaps = {other: round(score) for other, score, _ in found}
        best = max(overlaps.values(), default=0)
        if not best:
            return 0, item
        exact = best == self.layout.k
        voters = [other for other, o in overlaps.items() if o >= (best if exact else VOTE_THRESHOLD * best)]
        if exact and overlaps.get(item) == best:
            voters = [item]
        votes: dict[int, float] = {}
        for link in self._query(self._links, f"source in {voters}", ["source", "target", "weight"]):
            added = link["weight"] * overlaps[link["source"]]
            votes[link["target"]] = votes.get(link["target"], 0.0) + added
        return best, min(votes, key=lambda target: (-votes[target], target))

    def _search(
        self, field: str, data: Any, k: int, only: str, fields: list[str]
    ) -> list[tuple[int, float, Any]]:
        with _translated(self._items):
            (hits,) = self._client.search(
                self._items, data=list(data), anns_field=field, limit=k, filter=only, output_fields=fields,
                search_params={"metric_type": "IP"}, consistency_level="Strong",
            )  # fmt: skip
        return sorted(
            ((int(hit["id"]), float(hit["distance"]), hit["entity"]) for hit in hits),
            key=lambda hit: (-hit[1], hit[0]),
        )

    def _query(self, collection: str, only: str, fields: list[str]) -> list[dict[str, Any]]:
        with _translated(collection):
            rows: list[dict[str, Any]] = self._client.query(
                collection, filter=only, output_fields=fields, consistency_level="Strong"
            )
            return rows

    def _known(self, ids: Sequence[int]) -> set[int]:
        known: set[int] = set()
        for start in range(0, len(ids), _ROWS_AT_ONCE):
            part = list(ids[start : start + _ROWS_AT_ONCE])
            known.update(int(row["id"]) for row in self._query(self._items, f"id in {part}", ["id"]))
        return known

    def _set_linked(self, ids: Iterable[int], linked: bool) -> None:
        wanted = sorted(ids)
        for start in range(0, len(wanted), _ROWS_AT_ONCE):
            part = wanted[start : start + _ROWS_AT_ONCE]
            rows = self._query(self._items, f"id in {part}", ["id", "key", "code", "meta", "linked"])
            self._put(self._items, [{**row, "linked": linked} for row in rows if row["linked"] != linked])

    def _put(self, collection: str, rows: list[dict[str, Any]]) -> None:
        with _translated(collection):
            for start in range(0, len(rows), _ROWS_AT_ONCE):
                self._client.upsert(collection, rows[start : start + _ROWS_AT_ONCE])

    def _counter(self, name: str) -> int:
        (row,) = self._query(self._settings, 'name == "counters"', ["value"])
        return int(json.loads(row["value"])[name])

    def _write_settings(self, next_id: int) -> None:
        statistics = self._coder.statistics
        none = np.zeros(self.layout.code_dim, np.float32)
        counters = json.dumps({"next_id": next_id, "fitted": statistics.items})
        rows = [
            {"name": "layout", "value": json.dumps(dataclasses.asdict(self.layout)), "numbers": none},
            {"name": "counters", "value": counters, "numbers": none},
            {"name": "mean", "value": "", "numbers": statistics.mean},
            {"name": "scale", "value": "", "numbers": statistics.scale},
        ]
        self._put(self._settings, rows)

    def _fit_if_due(self, arriving: Float32) -> None:
        """Fit the unit statistics at the marks, on the keys that arrive and up to 16,384 stored ones."""
        marks = [mark for mark in self.layout.fit_at if mark > self._coder.statistics.items]
        (row,) = self._query(self._items, "", ["count(*)"])
        items = int(row["count(*)"])
        if not marks or items + arriving.shape[0] < min(marks):
            return
        with _translated(self._items):
            fields = ["id", "key", "code", "meta", "linked"]
            rows = self._client.query(self._items, filter="id >= 0", output_fields=fields, limit=16384)
        stored = np.array([row["key"] for row in rows], np.float32).reshape(-1, self.layout.dim)
        fitted = UnitStatistics.fit(self._coder.projection, np.concatenate((stored, arriving)))
        self._coder = self._coder.with_statistics(
            UnitStatistics(fitted.mean, fitted.scale, items + arriving.shape[0])
        )
        codes = self._coder.encode(stored)
        self._put(self._items, [{**row, "code": _k_hot(code)} for row, code in zip(rows, codes, strict=True)])


def _collections(name: str) -> tuple[str, str, str]:
    return f"{name}_items", f"{name}_links", f"{name}_settings"


def _k_hot(code: Code) -> dict[int, float]:
    return dict.fromkeys(code.tolist(), 1.0)


def _create(pymilvus: Any, client: Any, name: str, layout: Layout) -> None:
    """The three collections, each with the index that its searches need."""
    kind = pymilvus.DataType
    items, links, settings = _collections(name)
    columns: dict[str, list[tuple[str, Any, dict[str, Any]]]] = {
        items: [
            ("id", kind.INT64, {"is_primary": True}),
            ("key", kind.FLOAT_VECTOR, {"dim": layout.dim}),
            ("code", kind.SPARSE_FLOAT_VECTOR, {}),
            ("meta", kind.VARCHAR, {"max_length": _META_MAX}),
            ("linked", kind.BOOL, {}),
        ],
        links: [
            ("pair", kind.VARCHAR, {"is_primary": True, "max_length": 64}),
            ("source", kind.INT64, {}),
            ("target", kind.INT64, {}),
            ("weight", kind.DOUBLE, {}),
            ("never", kind.FLOAT_VECTOR, {"dim": _NEVER.size}),
        ],
        settings: [
            ("name", kind.VARCHAR, {"is_primary": True, "max_length": 64}),
            ("value", kind.VARCHAR, {"max_length": _META_MAX}),
            ("numbers", kind.FLOAT_VECTOR, {"dim": layout.code_dim}),
        ],
    }
    for collection in (items, links, settings):  # the settings last: they say that the memory is there
        fields = columns[collection]
        form = client.create_schema(auto_id=False, enable_dynamic_field=False)
        indexes = client.prepare_index_params()
        for field, data_type, options in fields:
            form.add_field(field, data_type, **options)
            if data_type == kind.FLOAT_VECTOR:
                indexes.add_index(field, index_type="FLAT", metric_type="IP")
            elif data_type == kind.SPARSE_FLOAT_VECTOR:
                indexes.add_index(field, index_type="SPARSE_INVERTED_INDEX", metric_type="IP")
        if client.has_collection(collection):  # of a creation that did not finish
            client.drop_collection(collection)
        client.create_collection(collection, schema=form, index_params=indexes, consistency_level="Strong")


@contextmanager
def _translated(where: str) -> Iterator[None]:
    """Milvus's and the network's errors as :class:`BackendUnavailable`."""
    try:
        yield
    except SnnDeployError:
        raise
    except Exception as error:  # pymilvus raises its own, gRPC's and plain ones
        raise BackendUnavailable(
            "Milvus did not do it", where=where, found=str(error)[:300], remedy="Is the server there?"
        ) from error
