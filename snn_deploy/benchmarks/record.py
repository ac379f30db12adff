"""The record of a benchmark run: the one schema of report.json, for writing and for reading.

Pages, the text for the terminal and comparisons read this and nothing else. ``SCHEMA_VERSION`` counts up
when a field changes its meaning or goes. ``record.schema.json`` beside this file is the same as JSON schema,
for other programs; ``python -m snn_deploy.benchmarks.record`` writes it anew.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from snn_deploy.benchmarks.metrics.estimate import Estimate
from snn_deploy.benchmarks.report import write_json
from snn_deploy.deploy.certificate import Certificate
from snn_deploy.errors import UsageError, Violation
from snn_deploy.files import existing_file

SCHEMA_VERSION: Literal[1] = 1
SCHEMA_FILE = Path(__file__).with_name("record.schema.json")
FILE = "report.json"
_MAX_BYTES = 64 << 20

Unavailable = Literal["unavailable"]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Config(_Part):
    """How the run was asked for.

    seeds: networks trained, seeds seed .. seed + seeds - 1. quick: less training, fewer samples.
    certify: compare with Lava. model: name of the file that was taken instead of training. dt, reset: of
    such a file, where it states none.
    """

    encoder: str
    profile: str
    seeds: int
    seed: int
    quick: bool
    certify: bool
    model: str | None = None
    dt: float | None = None
    reset: str | None = None


class Layer(_Part):
    """Events of one layer per query, means."""

    name: str
    neurons: int
    spikes: float
    input_events: float
    synops: float
    synops_stored: float
    neuron_updates: float


class Activity(_Part):
    """Events per query on the integers, means over all queries, and the same by layer."""

    spikes: float
    input_events: float
    synops: float
    synops_stored: float
    neuron_updates: float
    per_layer: tuple[Layer, ...]


class Chain(_Part):
    """Recall of every hop in disjoint chains of associations, beside nearest neighbour + edge table."""

    hops: int
    chains: int
    stored: int
    hop_recall: Estimate
    complete: int
    baseline_edge_table: Estimate
    baseline_complete: int
    chance: float


class Joules(_Part):
    """An energy in joules, as an interval."""

    low: float
    nominal: float
    high: float


Energy = Joules | Unavailable


class Sums(_Part):
    """marginal: of the cores' events; floor: idle power and overhead; total: both."""

    marginal: Energy
    floor: Energy
    total: Energy


class Term(_Part):
    """One term of the energy of the whole run, with the status and source of every number in it."""

    name: str
    joules: Energy
    statuses: tuple[str, ...]
    sources: tuple[str, ...]
    label: str
    note: str


class Reference(_Part):
    """Joules of the whole run by one table of prices; ``label`` says where they were inherited from."""

    profile: str
    kind: str
    label: str
    unit: str
    terms: tuple[Term, ...]
    marginal: Energy
    floor: Energy
    total: Energy
    per_item: Sums
    by_table: dict[str, Joules]
    spread_of_tables: float | None
    marginal_share_of_total: float | None
    step_time: str
    not_modelled: tuple[str, ...]


class Priced(Reference):
    """The same, and what a right answer costs."""

    per_correct: Sums


class EnergyBaseline(_Part):
    """What the simplest competitor would take for one item; ratio: over the network's own."""

    name: str
    profile: str
    macs: int
    joules: Joules
    ratio: Joules | None
    note: str


class BreakEven(_Part):
    """Spike rate below which the network beats a quantised one, by memory; actual: the run's own."""

    bits: int
    steps: int
    by_memory: dict[str, float]
    actual: float
    literature: str


class HostEnergy(_Part):
    """Joules of the host's processor, measured, or why they were not."""

    status: Literal["measured", "not measured"]
    reason: str = ""
    unit: str | None = None
    joules: float | None = None
    low: float | None = None
    high: float | None = None
    repeats: int = 0
    idle_watts: float | None = None


class Events(_Part):
    """Event counts of the priced run: totals, per item, by layer, and the host's work."""

    origin: str
    samples: int
    steps: int
    total: dict[str, float | None]
    per_item: dict[str, float | None]
    per_layer: tuple[dict[str, Any], ...]
    host: dict[str, int] | None


class EnergySection(_Part):
    """Counts first, then joules as intervals, floor and baselines; all of it a proxy.

    item: what one sample of the priced run is, and split: where it was taken from. statement: the joules
    of a right answer in one line. inherited: the same by the prices of another profile, labelled.
    """

    proxy: str
    statement: str
    item: str
    split: str
    host_multiply_accumulates: dict[str, int]
    profile: str
    fits: bool
    cores: int
    chips: int
    board: str | None
    counts: Events
    latency: dict[str, Any]
    priced: Priced
    inherited: dict[str, Priced]
    baselines: tuple[EnergyBaseline, ...]
    reference_energy: Reference
    break_even: BreakEven | None
    host_energy: HostEnergy
    neurobench_compatible: dict[str, Any]

    def tables(self) -> dict[str, tuple[Joules, str]]:
        """Name of a price table -> (marginal joules of an item, label), where it has prices."""
        named = {self.priced.profile: self.priced, **self.inherited}
        return {
            name: (priced.per_item.marginal, priced.label)
            for name, priced in named.items()
            if isinstance(priced.per_item.marginal, Joules)
        }


class Record(_Part):
    """One run. A query is one kind of question, such as "unseen: image to caption" or "test".

    n: items by split. split: how they were set apart. metrics: query -> metric -> engine -> estimate, the
    first metric being the main one, which ``drop`` (lost from float to fixed, paired), comparisons and
    pictures are about. baselines: query -> method -> metric. margins: by how much the integers beat each
    baseline in the main metric, paired item by item. Of items that depend on each other, such as the windows
    of a piece, the pieces are resampled, and ``n`` of an estimate is their number. quantisation: the
    quantiser's own report.
    """

    schema_version: Literal[1] = SCHEMA_VERSION
    task: str
    about: str
    n: dict[str, int]
    seeds: tuple[int, ...]
    split: str
    metrics: dict[str, dict[str, dict[str, Estimate]]]
    drop: dict[str, Estimate]
    drop_pooled: Estimate
    chance: dict[str, dict[str, float]]
    baselines: dict[str, dict[str, dict[str, Estimate]]]
    margins: dict[str, dict[str, Estimate]] = Field(default_factory=dict)
    chain: Chain | None
    activity: dict[str, Activity]
    energy: EnergySection
    parity: Certificate | None
    quantisation: dict[str, Any]
    seconds: dict[str, float]
    versions: dict[str, str]
    config: Config

    @property
    def queries(self) -> tuple[str, ...]:
        return tuple(self.metrics)

    @property
    def main_metric(self) -> str:
        return next(iter(next(iter(self.metrics.values()))))

    def document(self) -> dict[str, Any]:
        """Plain containers, as they are stored."""
        return self.model_dump(mode="json")


class _Head(BaseModel):
    """What every report.json says, of whatever version."""

    task: str
    schema_version: int = 0


def write(record: Record, folder: Path) -> None:
    """Write report.json into ``folder``."""
    write_json(folder / FILE, record.document())


def read(folder: Path) -> Record:
    """The record in ``folder``, checked field by field.

    Raises UsageError where there is none, where it is damaged or of another version, and for the report of
    a study.
    """
    path = existing_file(folder / FILE, "report of a benchmark run")
    if path.stat().st_size > _MAX_BYTES:
        raise UsageError("this file is too large for a report", where=path, allowed=f"{_MAX_BYTES} bytes")
    text = path.read_bytes()
    again = "Run `snn-deploy bench` again."
    try:
        head = _Head.model_validate_json(text)
        if head.schema_version != SCHEMA_VERSION:
            raise UsageError(
                "not the record of a task of this version",
                where=path,
                found=f"{head.task}, version {head.schema_version}",
                allowed=f"version {SCHEMA_VERSION}",
                remedy=again,
            )
        return Record.model_validate_json(text)
    except ValidationError as error:
        raise UsageError(
            Violation(
                fault["msg"], where=f"{path}: {'.'.join(map(str, fault['loc'])) or 'file'}", remedy=again
            )
            for fault in error.errors()
        ) from error


def schema() -> str:
    """The JSON schema of a record, as ``record.schema.json`` holds it."""
    return json.dumps(Record.model_json_schema(), indent=1, sort_keys=True) + "\n"


if __name__ == "__main__":
    SCHEMA_FILE.write_text(schema(), encoding="utf-8")
