"""Whole files in and out of a memory: what the command line does, as functions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from snn_deploy.deploy.memory import sources
from snn_deploy.deploy.memory.associative import AssociativeMemory
from snn_deploy.deploy.memory.chain import edge_table_chain
from snn_deploy.deploy.memory.filters import Condition
from snn_deploy.deploy.memory.keyfile import read_keys, read_metas, read_texts
from snn_deploy.deploy.memory.results import Hit
from snn_deploy.deploy.memory.vectors import on_minus_off, silent_rows
from snn_deploy.errors import UsageError


@dataclass(frozen=True, eq=False)
class Given:
    """Keys of a file, and what came with them: ``where`` they are from and which ``encoder`` made them."""

    keys: NDArray[Any]
    where: str
    ids: list[int] | None = None
    texts: list[str] | None = None
    metas: list[dict[str, Any] | None] | None = None
    encoder: str | None = None


@dataclass(frozen=True)
class Stored:
    """Ids of what was stored, and the samples that were left out as silent."""

    ids: list[int]
    skipped: list[int]


def given_keys(path: Path, array: str | None, *, on_off: bool) -> Given:
    """Keys of an .npz file."""
    found = read_keys(path, array=array, on_off=on_off)
    return Given(found.keys, str(path), ids=found.ids, encoder=found.encoder)


def given_spikes(artifact: Path, spikes: Path, output: str | None, *, on_off: bool) -> Given:
    """Spike counts of an artifact's output for an input file."""
    counts, encoder = sources.counts_of(artifact, spikes, output)
    return Given(on_minus_off(counts) if on_off else counts, str(spikes), encoder=encoder)


def given_texts(path: Path) -> Given:
    """Sentence embeddings of a file's texts."""
    texts, metas = read_texts(path)
    vectors = sources.text_vectors(texts)
    return Given(vectors, str(path), texts=texts, metas=metas, encoder=sources.text_encoder_name())


def store(
    path: Path,
    given: Given,
    *,
    metas: Path | None,
    upsert: bool,
    skip_silent: bool,
    any_encoder: bool,
    progress: Callable[[float], object] | None = None,
) -> Stored:
    """Store what a file gave, all or none."""
    beside: dict[str, list[Any] | None] = {
        "ids": given.ids,
        "texts": given.texts,
        "metas": read_metas(metas) if metas is not None else given.metas,
    }
    keys, skipped = given.keys, []
    if skip_silent:
        silent = silent_rows(keys)
        skipped = np.flatnonzero(silent).tolist()
        for name, values in beside.items():
            if values is not None and len(values) != len(keys):
                raise UsageError(f"not one of {name} for each key", where=name, found=len(values))
            beside[name] = values and [value for value, gone in zip(values, silent, strict=True) if not gone]
        keys = keys[~silent]
    with _opened(path, given.encoder, any_encoder=any_encoder, readonly=False) as memory:
        ids = memory.store_many(keys, **beside, upsert=upsert, progress=progress)
    return Stored(ids, skipped)


def cues(given: Given, row: int | None, *, skip_silent: bool) -> Given:
    """The cues of a file: one row, or all."""
    keys = given.keys
    if row is not None:
        if keys.ndim != 2 or not 0 <= row < keys.shape[0]:
            found = f"row {row} of shape {keys.shape}"
            raise UsageError("no such row", where=given.where, found=found)
        keys = keys[row : row + 1]
    if skip_silent:
        keys = keys[~silent_rows(keys)]
    return Given(keys, given.where, encoder=given.encoder)


def recall(
    path: Path, given: Given, k: int, conditions: Sequence[Condition] | None, *, any_encoder: bool
) -> dict[str, Any]:
    """ids, scores, confidence and metas of the nearest items, a row a cue."""
    with _opened(path, given.encoder, any_encoder=any_encoder, readonly=True) as memory, memory.view():
        answer = memory.recall_many(given.keys, k, conditions)
        kept = [int((row >= 0).sum()) for row in answer.ids]
        ids = [row[:n].tolist() for row, n in zip(answer.ids, kept, strict=True)]
        return {
            "ids": ids,
            "scores": [row[:n].tolist() for row, n in zip(answer.scores, kept, strict=True)],
            "confidence": [row[:n].tolist() for row, n in zip(answer.confidence, kept, strict=True)],
            "metas": [[memory.meta(item) for item in row] for row in ids],
        }


def recall_text(
    path: Path, text: str, k: int, conditions: Sequence[Condition] | None, *, any_encoder: bool
) -> dict[str, Any]:
    """As :func:`recall`, for one text, with the texts found."""
    key = sources.text_vectors([text])[0]
    encoder = sources.text_encoder_name()
    with _opened(path, encoder, any_encoder=any_encoder, readonly=True) as memory:
        hits: list[Hit] = memory.recall(key, k, conditions, text=text)
    return {
        "ids": [[hit.id for hit in hits]],
        "scores": [[hit.score for hit in hits]],
        "confidence": [[hit.confidence for hit in hits]],
        "metas": [[{**(hit.meta or {}), "text": hit.text} if hit.text else hit.meta for hit in hits]],
    }


def chains(
    path: Path,
    cue: Given | int,
    hops: int,
    *,
    policy: str,
    stop_confidence: float,
    any_encoder: bool,
) -> dict[str, Any]:
    """paths, overlaps and baseline_paths of chains from a file's cues or from one stored item."""
    encoder = cue.encoder if isinstance(cue, Given) else None
    any_encoder = any_encoder or not isinstance(cue, Given)
    starts: list[Any] = list(cue.keys) if isinstance(cue, Given) else [cue]
    with _opened(path, encoder, any_encoder=any_encoder, readonly=True) as memory, memory.view():
        found = [memory.recall_chain(start, hops, policy, stop_confidence) for start in starts]
        tables = [edge_table_chain(memory, start, hops) for start in starts]
    return {
        "policy": policy,
        "starts": [chain.start for chain in found],
        "start_scores": [chain.start_score for chain in found],
        "paths": [list(chain.ids) for chain in found],
        "overlaps": [[hop.overlap for hop in chain.path] for chain in found],
        "stopped": [chain.stopped for chain in found],
        "baseline_paths": [list(chain.ids) for chain in tables],
    }


def ranges(numbers: Sequence[int]) -> str:
    """Numbers as ranges: ``1-30, 32``."""
    parts: list[list[int]] = []
    for number in numbers:
        if parts and number == parts[-1][1] + 1:
            parts[-1][1] = number
        else:
            parts.append([number, number])
    return ", ".join(f"{a}-{b}" if a != b else str(a) for a, b in parts)


def _opened(path: Path, encoder: str | None, *, any_encoder: bool, readonly: bool) -> AssociativeMemory:
    """The memory; refused where it belongs to another encoder than the keys, unless told."""
    memory = AssociativeMemory.open(path, readonly=readonly)
    own = memory.layout.encoder
    if any_encoder or not own or encoder == own:
        return memory
    memory.close()
    raise UsageError(
        "keys of another encoder than the memory's",
        where=str(path),
        found=encoder or "a file that does not say which",
        allowed=own,
        remedy="Store them in a memory of their own, or say --any-encoder.",
    )
