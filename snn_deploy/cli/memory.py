"""Store read-outs, recall the nearest, follow chains of links."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any

import typer

from snn_deploy.cli.output import JsonOption, emit
from snn_deploy.errors import UsageError

app = typer.Typer(help="Associative memory over read-out vectors.", no_args_is_help=True)

Store = Annotated[Path, typer.Argument(help="The memory, one SQLite file.", show_default=False)]
Keys = Annotated[Path, typer.Argument(help=".npz file, as 'snn-deploy run' writes it.", show_default=False)]
Array = Annotated[str, typer.Option("--array", help="Name of the array of keys (samples, n) in the .npz.")]
OnOff = Annotated[
    bool, typer.Option("--on-off", help="Keys are ON minus OFF: first half of columns minus second.")
]
Row = Annotated[int, typer.Option(help="Which sample of the .npz is the cue.")]


@app.command()
def create(
    store: Store,
    *,
    dim: Annotated[int, typer.Option(help="Width of a key.", show_default=False)],
    code_dim: Annotated[int, typer.Option(help="Units of a sparse code.")] = 16384,
    k: Annotated[int, typer.Option("-k", "--winners", help="Active units of a code.")] = 50,
    seed: Annotated[int, typer.Option(help="Seed of the projection.")] = 0,
    as_json: JsonOption = False,
) -> None:
    """Create an empty memory; refuses to touch an existing one."""
    from snn_deploy.deploy.memory import AssociativeMemory

    with AssociativeMemory.open(store, dim, code_dim, k, seed, exclusive=True):
        pass
    emit({"store": str(store), "dim": dim, "code_dim": code_dim, "k": k, "seed": seed}, as_json, _lines)


@app.command("store")
def store_keys(
    store: Store,
    keys: Keys,
    *,
    array: Array = "counts",
    on_off: OnOff = False,
    metas: Annotated[Path | None, typer.Option(help="JSON lines, one object a sample.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Store every sample of an .npz file, all or none, and print the ids."""
    from snn_deploy.deploy.memory import AssociativeMemory
    from snn_deploy.deploy.memory.keyfile import read_keys, read_metas

    vectors = read_keys(keys, array=array, on_off=on_off)
    with AssociativeMemory.open(store) as memory:
        ids = memory.store_many(vectors, None if metas is None else read_metas(metas))
    emit({"ids": ids}, as_json, _lines)


@app.command()
def link(
    store: Store,
    ids: Annotated[list[int], typer.Argument(help="Each id is linked to the next one.", show_default=False)],
    weight: Annotated[float, typer.Option(help="Strength of the association.")] = 1.0,
    as_json: JsonOption = False,
) -> None:
    """Associate each item with the next: A -> B -> C."""
    from snn_deploy.deploy.memory import AssociativeMemory

    if len(ids) < 2:
        raise UsageError("a link needs two items", where="IDS", found=len(ids), allowed="two or more ids")
    with AssociativeMemory.open(store) as memory:
        memory.link_many(pairwise(ids), weight)
    emit({"linked": len(ids) - 1, "weight": weight}, as_json, _lines)


@app.command()
def recall(
    store: Store,
    keys: Keys,
    *,
    k: Annotated[int, typer.Option("-k", help="Number of items to recall.")] = 10,
    row: Row = 0,
    array: Array = "counts",
    on_off: OnOff = False,
    where: Annotated[list[str] | None, typer.Option(help="Only items whose meta has name=value.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Recall the stored items nearest to a cue, by cosine."""
    from snn_deploy.deploy.memory import AssociativeMemory
    from snn_deploy.deploy.memory.keyfile import read_filter, read_key

    key = read_key(keys, row, array=array, on_off=on_off)
    with AssociativeMemory.open(store, readonly=True) as memory:
        hits = memory.recall(key, k, read_filter(where or []))
    emit({"hits": [dataclasses.asdict(hit) for hit in hits]}, as_json, _lines)


@app.command()
def chain(
    store: Store,
    keys: Annotated[Path | None, typer.Argument(help="Cue: an .npz file.", show_default=False)] = None,
    *,
    start: Annotated[int | None, typer.Option("--from", help="Cue: the id of a stored item.")] = None,
    hops: Annotated[int, typer.Option(help="Number of associations to follow.")] = 6,
    policy: Annotated[str, typer.Option(help="threshold, hebbian or willshaw.")] = "threshold",
    stop_confidence: Annotated[float, typer.Option(help="Overlap below which the chain ends.")] = 0.8,
    row: Row = 0,
    array: Array = "counts",
    on_off: OnOff = False,
    as_json: JsonOption = False,
) -> None:
    """Follow associations from a cue, and print the edge-table baseline beside the chain."""
    from snn_deploy.deploy.memory import AssociativeMemory, edge_table_chain
    from snn_deploy.deploy.memory.keyfile import read_key

    if (keys is None) == (start is None):
        raise UsageError("one cue is needed", where="KEYS or --from", allowed="either an .npz file or an id")
    cue: Any = start if keys is None else read_key(keys, row, array=array, on_off=on_off)
    with AssociativeMemory.open(store, readonly=True) as memory:
        recalled = memory.recall_chain(cue, hops, policy, stop_confidence)
        baseline = edge_table_chain(memory, cue, hops)
    emit({"chain": dataclasses.asdict(recalled), "baseline": dataclasses.asdict(baseline)}, as_json, _lines)


@app.command()
def forget(
    store: Store,
    ids: Annotated[list[int], typer.Argument(help="Items to delete, with their links.", show_default=False)],
    as_json: JsonOption = False,
) -> None:
    """Delete items for good, all or none."""
    from snn_deploy.deploy.memory import AssociativeMemory

    with AssociativeMemory.open(store) as memory:
        memory.forget_many(ids)
    emit({"forgotten": ids}, as_json, _lines)


@app.command()
def stats(store: Store, as_json: JsonOption = False) -> None:
    """Sizes and state of a memory."""
    from snn_deploy.deploy.memory import AssociativeMemory

    with AssociativeMemory.open(store, readonly=True) as memory:
        emit(dataclasses.asdict(memory.stats()), as_json, _lines)


@app.command()
def snapshot(store: Store, as_json: JsonOption = False) -> None:
    """Write a snapshot beside the memory, from which it opens faster."""
    from snn_deploy.deploy.memory import AssociativeMemory

    with AssociativeMemory.open(store) as memory:
        emit({"snapshot": str(memory.snapshot())}, as_json, _lines)


@app.command()
def compact(store: Store, as_json: JsonOption = False) -> None:
    """Give the space of forgotten items back to the file system."""
    from snn_deploy.deploy.memory import AssociativeMemory

    with AssociativeMemory.open(store) as memory:
        memory.compact()
        bytes_left = memory.stats().database_bytes
    emit({"database_bytes": bytes_left}, as_json, _lines)


def _lines(result: Mapping[str, Any]) -> str:
    """A result for people: a line for each of its entries, and for each row of a list."""
    return "\n".join(
        f"{name}: {json.dumps(row, ensure_ascii=False, default=str)}"
        for name, value in result.items()
        for row in (value if isinstance(value, list) else [value])
    )
