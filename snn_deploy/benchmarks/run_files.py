"""Reading back what ``bench emoji-captions`` wrote: report.json, checked field by field."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from snn_deploy.errors import UsageError, Violation
from snn_deploy.files import existing_file

_MAX_BYTES = 64 << 20


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, allow_inf_nan=False)


class Estimate(_Part):
    """A figure, its 95 % interval, and the number of queries."""

    value: float
    ci95: tuple[float, float]
    n: int


class Joules(_Part):
    """An energy in joules, as an interval."""

    low: float
    nominal: float
    high: float


class PerItem(_Part):
    """Joules of one item; ``marginal``: of the cores' events, without the floor."""

    marginal: Joules | Literal["unavailable"]


class Priced(_Part):
    """Joules by one table of prices; ``label`` says where they were inherited from."""

    profile: str
    label: str
    per_item: PerItem


class Energy(_Part):
    """``priced`` by the profile itself, ``inherited`` by a donor's prices."""

    item: str
    priced: Priced
    inherited: dict[str, Priced]

    def tables(self) -> dict[str, tuple[Joules, str]]:
        """Name of a price table -> (marginal joules of an item, label), where it has prices."""
        named = {self.priced.profile: self.priced, **self.inherited}
        return {
            name: (priced.per_item.marginal, priced.label)
            for name, priced in named.items()
            if isinstance(priced.per_item.marginal, Joules)
        }


class Activity(_Part):
    """Events of one query, means."""

    spikes: float
    synops: float
    synops_stored: float
    neuron_updates: float


class Parity(_Part):
    """What the certificate said."""

    equal: bool


class Config(_Part):
    """How the run was asked for."""

    encoder: str
    profile: str
    quick: bool


class Run(_Part):
    """One report.json; metrics: query -> metric -> engine -> estimate."""

    task: str
    n: dict[str, int]
    seeds: tuple[int, ...]
    split: str
    metrics: dict[str, dict[str, dict[str, Estimate]]]
    chance: dict[str, dict[str, float]]
    baselines: dict[str, dict[str, dict[str, Estimate]]]
    activity: dict[str, Activity]
    energy: Energy
    parity: Parity | None
    config: Config


class _Head(_Part):
    """What every report.json says."""

    task: str


def read_runs(folders: Sequence[Path], task: str) -> dict[str, Run]:
    """The runs in ``folders`` by folder, all of the same ``task`` on the same queries.

    Raises UsageError with every folder that has no report, another task's or a damaged one, is named twice,
    or asked other queries than the first.
    """
    runs: dict[str, Run] = {}
    faults: list[Violation] = []
    for folder in folders:
        if str(folder) in runs:
            faults.append(Violation("a run is named twice", where=str(folder)))
            continue
        try:
            runs[str(folder)] = _read(folder, task)
        except UsageError as error:
            faults += error.violations
    faults += _other_queries(runs)
    if faults:
        raise UsageError(faults)
    return runs


def _read(folder: Path, task: str) -> Run:
    path = existing_file(folder / "report.json", "report of a benchmark run")
    if path.stat().st_size > _MAX_BYTES:
        raise UsageError("this file is too large for a report", where=path, allowed=f"{_MAX_BYTES} bytes")
    text = path.read_bytes()
    try:
        found = _Head.model_validate_json(text).task
        if found == task:
            return Run.model_validate_json(text)
    except ValidationError as error:
        raise UsageError(
            Violation(
                fault["msg"],
                where=f"{path}: {'.'.join(map(str, fault['loc'])) or 'file'}",
                remedy=f"Run `snn-deploy bench {task}` again.",
            )
            for fault in error.errors()
        ) from error
    raise UsageError("a report of another task", where=path, found=found, allowed=task)


def _other_queries(runs: dict[str, Run]) -> Iterable[Violation]:
    if not runs:
        return
    first_name, first = next(iter(runs.items()))
    for name, run in runs.items():
        for field in ("n", "split"):
            if getattr(run, field) != getattr(first, field):
                yield Violation(
                    f"other queries than in {first_name}: {field} differs",
                    where=name,
                    found=str(getattr(run, field)),
                    allowed=str(getattr(first, field)),
                )
        if set(run.metrics) != set(first.metrics):
            yield Violation(
                f"other queries than in {first_name}",
                where=name,
                found=", ".join(run.metrics),
                allowed=", ".join(first.metrics),
            )
