"""Recall by words and meaning on conversations (--data DIR): questions against the turns that answer them.

Retrieval by cosine alone, BM25 alone and both fused, on the same questions; also with the embeddings as
spike counts (deterministic ON/OFF coding). A question counts at k where any turn that answers it is among
the k recalled of its conversation. Reads ``locomo_conversations_1_to_5.json`` of a folder.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from snn_deploy.benchmarks.metrics.estimate import mean, proportion
from snn_deploy.benchmarks.outcome import BenchOptions, Outcome, Stage
from snn_deploy.benchmarks.report import write_json
from snn_deploy.benchmarks.studies._memory_data import data_file
from snn_deploy.deploy.memory import AssociativeMemory
from snn_deploy.deploy.memory.lexical import COSINE_WEIGHT
from snn_deploy.deploy.memory.sources import text_encoder_name, text_vectors
from snn_deploy.errors import UnsafeFile

FILE = "locomo_conversations_1_to_5.json"
DEPTHS = (1, 5, 10, 20)
STEPS = (60, 10, 5, 3, 2)  # of the deterministic spike counts
_ONLY_WORDS = 1e-9  # weight of the cosine that only breaks ties


@dataclass(frozen=True, eq=False)
class Conversation:
    """Turns (texts and ids), and questions with the ids of the turns that answer each."""

    turns: list[str]
    ids: list[str]
    questions: list[str]
    answers: list[set[str]]


def study(options: BenchOptions, folder: Path, stage: Stage) -> Outcome:
    """Measure, and write report.json into ``folder``."""
    stage(f"questions of {FILE}")
    report = run(options.data)
    write_json(folder / "report.json", report)
    return Outcome(report, text, lambda: None)


def run(folder: Path | None) -> dict[str, Any]:
    """any@k of each way to recall, with n and interval over questions."""
    conversations = read_conversations(data_file(folder, FILE))
    ways: dict[str, list[NDArray[np.int64]]] = {}
    spikes: dict[int, list[float]] = {steps: [] for steps in STEPS}
    for conversation in conversations:
        turns, cues = text_vectors(conversation.turns), text_vectors(conversation.questions)
        _collect(ways, "cosine", _by_memory(conversation, turns, cues))
        _collect(ways, "words", _by_memory(conversation, turns, cues, weight=_ONLY_WORDS))
        _collect(ways, "words + cosine", _by_memory(conversation, turns, cues, weight=COSINE_WEIGHT))
        for steps in STEPS:
            counts = spike_counts(turns, steps)
            spikes[steps].append(float(np.abs(counts).sum(axis=1).mean()))
            found = _by_memory(conversation, counts, spike_counts(cues, steps))
            _collect(ways, f"spike counts, {steps} steps", found)
    ranks = {name: np.concatenate(found) for name, found in ways.items()}
    return {
        "study": "memory-paraphrase",
        "encoder": text_encoder_name(),
        "conversations": len(conversations),
        "turns": sum(len(conversation.turns) for conversation in conversations),
        "ways": {
            name: {k: proportion(_hit(rank, k)).to_json() for k in DEPTHS} for name, rank in ranks.items()
        },
        "gain_at_10": _gain(ranks["words + cosine"], ranks["cosine"]),
        "gain_over_words_at_10": _gain(ranks["words + cosine"], ranks["words"]),
        "spikes_per_item": {steps: float(np.mean(values)) for steps, values in spikes.items()},
        "spike_loss_at_10": {
            steps: _gain(ranks["cosine"], ranks[f"spike counts, {steps} steps"]) for steps in STEPS
        },
    }


def spike_counts(vectors: NDArray[np.float32], steps: int) -> NDArray[np.int16]:
    """Signed spike counts of integrate-and-fire neurons driven by ON/OFF pairs for so many steps.

    Each row is scaled so that its largest entry fires in every step; subtractive reset: the count is the
    whole part of drive x steps + 1/2 (the membrane starts half full). int16 (samples, n), ON minus OFF.
    """
    drive = vectors / np.abs(vectors).max(axis=1, keepdims=True)
    counts = np.minimum(np.floor(np.abs(drive) * steps + 0.5), steps)
    return np.asarray(np.sign(drive) * counts, np.int16)


def read_conversations(path: Path) -> list[Conversation]:
    """Conversations of a LoCoMo file, questions with evidence only; :class:`UnsafeFile` for another file."""
    try:
        return [_conversation(sample) for sample in json.loads(path.read_text("utf-8"))]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, OSError) as error:
        raise UnsafeFile("not a file of conversations", where=str(path), found=repr(error)[:200]) from error


def _conversation(sample: Mapping[str, Any]) -> Conversation:
    said = [
        turn
        for name, session in sample["conversation"].items()
        if isinstance(session, list) and name.startswith("session_")
        for turn in session
    ]
    texts = {turn["dia_id"]: f"{turn['speaker']}: {turn['text']}" for turn in said}
    asked = [
        (question["question"], set(question.get("evidence", ())) & texts.keys()) for question in sample["qa"]
    ]
    asked = [(question, answers) for question, answers in asked if answers]
    questions, answers = [question for question, _ in asked], [answers for _, answers in asked]
    return Conversation(list(texts.values()), list(texts), questions, answers)


def _by_memory(
    conversation: Conversation, turns: Any, cues: Any, *, weight: float | None = None
) -> NDArray[np.int64]:
    """Rank from 1 of the first answering turn for each question, 0 where none is in the first 20."""
    with (
        tempfile.TemporaryDirectory() as folder,
        AssociativeMemory.open(Path(folder) / "turns.sqlite", turns.shape[1], fit_at=()) as memory,
    ):
        memory.store_many(turns, texts=conversation.turns)
        recall: Callable[[int], Sequence[int]]
        if weight is None:
            table = memory.recall_many(cues, max(DEPTHS)).ids
            recall = lambda row: table[row].tolist()  # noqa: E731
        else:
            recall = lambda row: [  # noqa: E731
                hit.id
                for hit in memory.recall(
                    cues[row], max(DEPTHS), text=conversation.questions[row], cosine_weight=weight
                )
            ]
        ranks = np.zeros(len(conversation.questions), np.int64)
        for row, answers in enumerate(conversation.answers):
            right = [
                place for place, item in enumerate(recall(row), 1) if conversation.ids[item - 1] in answers
            ]
            ranks[row] = right[0] if right else 0
    return ranks


def _collect(ways: dict[str, list[NDArray[np.int64]]], name: str, ranks: NDArray[np.int64]) -> None:
    ways.setdefault(name, []).append(ranks)


def _hit(ranks: NDArray[np.int64], k: int) -> NDArray[np.float64]:
    return ((ranks > 0) & (ranks <= k)).astype(np.float64)


def _gain(first: NDArray[np.int64], second: NDArray[np.int64]) -> dict[str, Any]:
    """Paired difference of any@10."""
    return dict(mean(_hit(first, 10) - _hit(second, 10)).to_json())


def text(report: Mapping[str, Any]) -> str:
    """any@k of each way, then what words add and what spikes cost."""
    lines = [
        f"memory-paraphrase: {report['turns']:,} turns of {report['conversations']} conversations, "
        f"{report['encoder']}"
    ]
    for name, depths in report["ways"].items():
        cells = "".join(
            f"  any@{k} {100 * e['value']:5.1f} [{100 * e['ci95'][0]:.1f}, {100 * e['ci95'][1]:.1f}]"
            for k, e in depths.items()
        )
        lines.append(f"  {name:<24}{cells}  n = {depths[10]['n']}")
    for name, key in (("over cosine", "gain_at_10"), ("over words", "gain_over_words_at_10")):
        gain = report[key]
        lines.append(f"  words + cosine {name}: {100 * gain['value']:+.1f} points of any@10")
    for steps, loss in report["spike_loss_at_10"].items():
        lines.append(
            f"  {steps} steps, {report['spikes_per_item'][steps]:,.0f} spikes an item: "
            f"{100 * loss['value']:+.2f} points of any@10 lost"
        )
    return "\n".join(lines)
