"""Store read-outs, recall the nearest, follow chains of links."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from snn_deploy.cli.output import JsonOption, emit, progress
from snn_deploy.errors import UsageError

if TYPE_CHECKING:
    from snn_deploy.deploy.memory.importing import Given

app = typer.Typer(help="Associative memory over read-out vectors.", no_args_is_help=True)

Store = Annotated[Path, typer.Argument(help="The memory, one SQLite file.", show_default=False)]
KeysFile = Annotated[
    Path | None,
    typer.Argument(help=".npz of keys or counts (INPUT.npz with --artifact).", show_default=False),
]
Array = Annotated[
    str | None,
    typer.Option("--array", help="Array of the .npz that holds the keys; else keys, counts, or mean."),
]
OnOff = Annotated[
    bool, typer.Option("--on-off", help="Keys are ON minus OFF: first half of columns minus second.")
]
Artifact = Annotated[
    Path | None, typer.Option(help="FILE.snn: run it on INPUT.npz, its spike counts are the keys.")
]
Output = Annotated[str | None, typer.Option(help="Output of FILE.snn, where it has several.")]
SkipSilent = Annotated[bool, typer.Option("--skip-silent", help="Leave samples without a spike out.")]
AnyEncoder = Annotated[
    bool, typer.Option("--any-encoder", help="Take keys of another encoder than the memory's.")
]
Row = Annotated[int | None, typer.Option(help="Only this sample of the file; else all of them.")]


@app.command()
def create(
    store: Store,
    *,
    dim: Annotated[int | None, typer.Option(help="Width of a key.", show_default=False)] = None,
    encoder: Annotated[
        Path | None, typer.Option(help="FILE.snn whose spike counts are the keys; also gives --dim.")
    ] = None,
    output: Output = None,
    text: Annotated[bool, typer.Option("--text", help="Keys are sentence embeddings of texts.")] = False,
    code_dim: Annotated[int, typer.Option(help="Units of a sparse code.")] = 16384,
    k: Annotated[int, typer.Option("-k", "--winners", help="Active units of a code.")] = 50,
    seed: Annotated[int, typer.Option(help="Seed of the projection.")] = 0,
    index: Annotated[str, typer.Option(help="First hop: exact, fp16, sq8 or hnsw.")] = "exact",
    as_json: JsonOption = False,
) -> None:
    """Create an empty memory; refuses to touch an existing one."""
    from snn_deploy.deploy.memory import AssociativeMemory, sources

    if (encoder is not None) and text:
        raise UsageError("two encoders", where="--encoder and --text", allowed="one of the two")
    name = ""
    if text:
        name, width = sources.text_encoder_name(), sources.TEXT_DIM
    elif encoder is not None:
        name, width = sources.artifact_encoder(encoder, output)
    elif dim is not None:
        width = dim
    else:
        raise UsageError(
            "no width of the keys", where="create", allowed="--dim, --encoder FILE.snn or --text"
        )
    # ON-minus-OFF keys are half as wide as the read-out that they come from.
    layout: dict[str, Any] = {"dim": dim or width, "code_dim": code_dim, "k": k, "seed": seed}
    with AssociativeMemory.open(store, **layout, encoder=name, index=index, exclusive=True):
        pass
    emit({"store": str(store), **layout, "encoder": name, "index": index}, as_json, _lines)


@app.command("store")
def store_keys(
    store: Store,
    keys: KeysFile = None,
    *,
    text: Annotated[
        Path | None, typer.Option(help="Texts: lines, or .jsonl objects with a text and more.")
    ] = None,
    artifact: Artifact = None,
    output: Output = None,
    array: Array = None,
    on_off: OnOff = False,
    metas: Annotated[Path | None, typer.Option(help="JSON lines, one object a sample.")] = None,
    upsert: Annotated[bool, typer.Option("--upsert", help="Ids in use get the new key and meta.")] = False,
    skip_silent: SkipSilent = False,
    any_encoder: AnyEncoder = False,
    as_json: JsonOption = False,
) -> None:
    """Store every sample of a file, all or none, and print the ids (of the array ids, if there is one)."""
    from snn_deploy.deploy.memory import importing

    if (text is not None) + (keys is not None) != 1:
        raise UsageError("one source of keys is needed", where="KEYS or --text", allowed="one of the two")
    given = importing.given_texts(text) if text is not None else _given(keys, artifact, output, array, on_off)
    with progress("storing", len(given.keys)) as advance:
        done = importing.store(
            store,
            given,
            metas=metas,
            upsert=upsert,
            skip_silent=skip_silent,
            any_encoder=any_encoder,
            progress=advance,
        )
    emit({"ids": done.ids, "stored": len(done.ids), "skipped": done.skipped}, as_json, _stored)


@app.command()
def link(
    store: Store,
    ids: Annotated[list[str], typer.Argument(help="LINKS.npz, or ids of which each is linked to the next.")],
    weight: Annotated[float, typer.Option(help="Strength of the association.")] = 1.0,
    as_json: JsonOption = False,
) -> None:
    """Associate items: LINKS.npz holds links (m, 2) of ids and maybe weights (m,); or A -> B -> C."""
    from snn_deploy.deploy.memory import AssociativeMemory
    from snn_deploy.deploy.memory.keyfile import read_links

    weights: Sequence[float] | None = None
    if len(ids) == 1 and not ids[0].isdigit():
        pairs, weights = read_links(Path(ids[0]))
    else:
        numbers = _ids(ids)
        if len(numbers) < 2:
            raise UsageError("a link needs two items", where="IDS", found=len(ids), allowed="two or more ids")
        pairs = list(pairwise(numbers))
    with AssociativeMemory.open(store) as memory:
        linked = memory.link_many(pairs, weight if weights is None else weights)
    emit({"linked": linked, "weight": weight if weights is None else "of the file"}, as_json, _lines)


@app.command()
def recall(
    store: Store,
    keys: KeysFile = None,
    *,
    text: Annotated[str | None, typer.Option(help="Cue: a text, by words and by meaning.")] = None,
    k: Annotated[int, typer.Option("-k", help="Number of items to recall.")] = 10,
    row: Row = None,
    artifact: Artifact = None,
    output: Output = None,
    array: Array = None,
    on_off: OnOff = False,
    where: Annotated[
        list[str] | None,
        typer.Option(help="Only items whose meta has name=value; also != < <= > >= ^= (begins) and in."),
    ] = None,
    skip_silent: SkipSilent = False,
    any_encoder: AnyEncoder = False,
    as_json: JsonOption = False,
) -> None:
    """Recall the stored items nearest to each cue: ids, scores, confidence and metas, a row a cue."""
    from snn_deploy.deploy.memory import importing
    from snn_deploy.deploy.memory.filters import parse_conditions

    if (text is None) == (keys is None):
        raise UsageError("one cue is needed", where="KEYS or --text", allowed="one of the two")
    chosen = parse_conditions(where) if where else None
    if text is not None:
        answer = importing.recall_text(store, text, k, chosen, any_encoder=any_encoder)
    else:
        given = _given(keys, artifact, output, array, on_off)
        cues = importing.cues(given, row, skip_silent=skip_silent)
        answer = importing.recall(store, cues, k, chosen, any_encoder=any_encoder)
    emit(answer, as_json, _hits)


@app.command()
def chain(
    store: Store,
    keys: KeysFile = None,
    *,
    start: Annotated[int | None, typer.Option("--from", help="Cue: the id of a stored item.")] = None,
    hops: Annotated[int, typer.Option(help="Number of associations to follow.")] = 6,
    policy: Annotated[str, typer.Option(help="threshold, hebbian or willshaw.")] = "threshold",
    stop_confidence: Annotated[float, typer.Option(help="Overlap below which the chain ends.")] = 0.8,
    row: Row = None,
    artifact: Artifact = None,
    output: Output = None,
    array: Array = None,
    on_off: OnOff = False,
    skip_silent: SkipSilent = False,
    any_encoder: AnyEncoder = False,
    as_json: JsonOption = False,
) -> None:
    """Follow associations from each cue; the edge-table baseline is printed beside each path."""
    from snn_deploy.deploy.memory import importing

    if (keys is None) == (start is None):
        raise UsageError("one cue is needed", where="KEYS or --from", allowed="either an .npz file or an id")
    cues: Any = start
    if keys is not None:
        given = _given(keys, artifact, output, array, on_off)
        cues = importing.cues(given, row, skip_silent=skip_silent)
    answer = importing.chains(
        store, cues, hops, policy=policy, stop_confidence=stop_confidence, any_encoder=any_encoder
    )
    emit(answer, as_json, _paths)


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
    """Sizes and state of a memory; of an approximate index, what it finds of the exact one's."""
    from snn_deploy.deploy.memory import AssociativeMemory

    with AssociativeMemory.open(store, readonly=True) as memory:
        emit(dataclasses.asdict(memory.stats()), as_json, _lines)


@app.command()
def check(store: Store, as_json: JsonOption = False) -> None:
    """Read every row and compare it with its checksum; exit code 7 names what is damaged."""
    from snn_deploy.deploy.memory import AssociativeMemory

    with AssociativeMemory.open(store, readonly=True) as memory:
        emit({"whole": True, **dataclasses.asdict(memory.check())}, as_json, _lines)


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


def _given(
    keys: Path | None, artifact: Path | None, output: str | None, array: str | None, on_off: bool
) -> Given:
    from snn_deploy.deploy.memory import importing

    if keys is None:
        raise UsageError("no keys", where="KEYS", allowed="an .npz file")
    if artifact is not None:
        return importing.given_spikes(artifact, keys, output, on_off=on_off)
    return importing.given_keys(keys, array, on_off=on_off)


def _ids(texts: Sequence[str]) -> list[int]:
    bad = [text for text in texts if not text.isdigit()]
    if bad:
        raise UsageError("not an id", where="IDS", found=bad[0], allowed="whole numbers, or one .npz file")
    return [int(text) for text in texts]


def _stored(result: Mapping[str, Any]) -> str:
    from snn_deploy.deploy.memory.importing import ranges

    lines = [f"stored: {result['stored']}", f"ids: {ranges(result['ids'])}"]
    if result["skipped"]:
        lines.append(f"silent samples left out: {ranges(result['skipped'])}")
    return "\n".join(lines)


def _hits(result: Mapping[str, Any]) -> str:
    columns = [result[name] for name in ("ids", "scores", "confidence", "metas")]
    return "\n".join(
        f"cue {row}: id {item}  score {score:.4f}  confidence {confidence:.3f}  "
        f"{json.dumps(meta, ensure_ascii=False) if meta is not None else ''}".rstrip()
        for row, answers in enumerate(zip(*columns, strict=True))
        for item, score, confidence, meta in zip(*answers, strict=True)
    )


def _paths(result: Mapping[str, Any]) -> str:
    lines = []
    for row, path in enumerate(result["paths"]):
        overlaps = " ".join(f"{overlap:.2f}" for overlap in result["overlaps"][row])
        chain = " -> ".join(map(str, [result["starts"][row], *path]))
        table = " -> ".join(map(str, [result["starts"][row], *result["baseline_paths"][row]]))
        lines += [
            f"cue {row}: {chain}  overlaps {overlaps}  ({result['stopped'][row]})",
            f"  edge table: {table}",
        ]
    return "\n".join(lines)


def _lines(result: Mapping[str, Any]) -> str:
    """A result for people: a line for each of its entries, and for each row of a list."""
    return "\n".join(
        f"{name}: {json.dumps(row, ensure_ascii=False, default=str)}"
        for name, value in result.items()
        for row in (value if isinstance(value, list) else [value])
    )
