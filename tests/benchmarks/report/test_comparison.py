"""Comparing runs: what is read and refused, the front, and the report that is written."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from snn_deploy.benchmarks.report.comparison import compare, comparison_text, on_front
from snn_deploy.errors import UsageError
from tests.benchmarks.records import QUERIES, document


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Write runs as folders of the working folder; returns their paths."""
    monkeypatch.chdir(tmp_path)

    def write(**runs: Any) -> list[Path]:
        for name, found in runs.items():
            Path(name).mkdir()
            text = found if isinstance(found, str) else json.dumps(found)
            Path(name, "report.json").write_text(text, encoding="utf-8")
        return [Path(name) for name in runs]

    return write


def test_the_front_is_what_no_other_point_beats() -> None:
    points = {"a": (1.0, 0.2), "b": (2.0, 0.5), "c": (2.0, 0.4), "d": (3.0, 0.5), "e": (9.0, 0.6)}
    assert on_front(points) == ["a", "b", "e"]
    assert on_front({"x": (1.0, 0.5), "twin": (1.0, 0.5)}) == ["x", "twin"]
    assert on_front({"alone": (1.0, 0.0)}) == ["alone"]


def test_runs_are_compared_in_a_page_and_a_file(write: Any) -> None:
    folders = write(small=document(0.4, 1e6), large=document(0.6, 3e6), worse=document(0.5, 4e6, parity=None))
    found = compare(folders, Path("out"))
    assert json.loads(Path("out/comparison.json").read_text()) == {k: found[k] for k in found if k != "page"}
    assert found["fronts"]["synops"][QUERIES[0]]["front"] == ["small", "large"]
    assert list(found["fronts"]["joules"]) == [QUERIES[1]]  # joules were counted on the unseen queries
    point = found["fronts"]["joules"][QUERIES[1]]["points"]["small"]
    assert point["cost_range"] == pytest.approx([5e-7, 2e-6])
    assert point["cost"] == pytest.approx(1e-6)
    assert (point["recall"], found["joules"]["table"]) == (0.4, "loihi1")
    assert found["references"][QUERIES[1]] == {"chance": 0.1, "baseline": {"name": "pixels", "value": 0.3}}
    rows = [(row["query"], row["run"], row["backend"], row["events"] is not None) for row in found["rows"]]
    assert rows[:2] == [(QUERIES[0], "small", "float", False), (QUERIES[0], "small", "fixed", True)]
    assert len(rows) == 2 * 3 * 2
    page = Path("out/comparison.html").read_text()
    assert page.count("<svg") == 2
    assert "inherited from loihi1" in page
    assert "not compared" in page
    text = comparison_text(found)
    assert "front of recall@1 against synaptic operations: small, large" in text
    assert "60.0 % [ 55.0,  65.0]" in text
    assert "3,000,000 synops" in text


def test_joules_of_different_tables_are_not_compared(write: Any) -> None:
    other = document(0.6, 3e6)
    other["energy"]["inherited"] = {}
    found = compare(write(one=document(0.4, 1e6), other=other), Path("out"))
    assert found["joules"] is None
    assert found["fronts"]["joules"] == {}
    assert "no table of prices is shared" in Path("out/comparison.html").read_text()
    assert "joules" not in comparison_text(found)


def test_a_profile_and_its_heir_share_a_table(write: Any) -> None:
    own = document(0.4, 1e6)
    own["energy"]["priced"] = {**own["energy"]["inherited"]["loihi1"], "profile": "loihi1", "label": ""}
    own["energy"]["inherited"] = {}
    found = compare(write(own=own, heir=document(0.6, 3e6)), Path("out"))
    assert found["joules"]["table"] == "loihi1"
    labels = {name: joules["label"] for name, joules in found["joules"]["by_run"].items()}
    assert labels == {"own": "", "heir": "inherited from loihi1"}


def test_every_fault_is_named_at_once(write: Any) -> None:
    damaged = document(0.4, 1e6)
    del damaged["activity"][QUERIES[0]]["synops"]
    folders = write(
        good=document(0.4, 1e6),
        study={"task": "quantisation"},
        other_task=document(0.4, 1e6, task="chords"),
        other_queries=document(0.4, 1e6, n={"seen": 41, "unseen": 10}),
        damaged=damaged,
        no_json="{",
    )
    with pytest.raises(UsageError) as caught:
        compare([*folders, Path("good"), Path("nowhere")], Path("out"))
    said = {violation.where: str(violation) for violation in caught.value.violations}
    assert "found quantisation, version 0; allowed version 1" in said["study/report.json"]
    assert "found chords; allowed emoji-captions" in said["other_task"]
    assert "n differs" in said["other_queries"]
    assert "Field required" in said[f"damaged/report.json: activity.{QUERIES[0]}.synops"]
    assert "Invalid JSON" in said["no_json/report.json: file"]
    assert "named twice" in said["good"]
    assert "no such report" in said["nowhere/report.json"]
    assert len(said) == 7
    assert not Path("out").exists()


def test_a_run_that_lacks_a_query_is_refused(write: Any) -> None:
    lacking = document(0.4, 1e6)
    for key in ("metrics", "chance", "baselines", "activity"):
        lacking[key].pop(QUERIES[0])
    with pytest.raises(UsageError, match="other queries than in whole"):
        compare(write(whole=document(0.4, 1e6), lacking=lacking), Path("out"))
