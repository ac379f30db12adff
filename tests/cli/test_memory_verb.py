"""snn-deploy memory, through its Typer application."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from snn_deploy.cli.memory import app
from snn_deploy.deploy.memory import AssociativeMemory
from snn_deploy.errors import SnnDeployError, UsageError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with read-outs of 30 samples, and metas for them."""
    counts = np.random.default_rng(0).integers(0, 20, size=(30, 32))
    np.savez(tmp_path / "out.npz", counts=counts)
    (tmp_path / "metas.jsonl").write_text(
        "".join(json.dumps({"n": n, "odd": n % 2 == 1}) + "\n" for n in range(30))
    )
    return tmp_path


def run(*arguments: object) -> str:
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result.stdout


def run_json(*arguments: object) -> dict[str, Any]:
    answer = json.loads(run(*arguments, "--json"))
    assert isinstance(answer, dict)
    return answer


def test_a_session_from_create_to_compact(folder: Path) -> None:
    store, out = folder / "m.db", folder / "out.npz"
    created = run_json("create", store, "--dim", 16, "--code-dim", 1024, "-k", 20, "--seed", 4)
    assert created == {"store": str(store), "dim": 16, "code_dim": 1024, "k": 20, "seed": 4}
    stored = run_json("store", store, out, "--on-off", "--metas", folder / "metas.jsonl")
    assert stored["ids"] == list(range(1, 31))
    assert run_json("link", store, *range(1, 11)) == {"linked": 9, "weight": 1.0}

    hits = run_json("recall", store, out, "--on-off", "--row", 4, "-k", 3)["hits"]
    assert len(hits) == 3 and hits[0]["id"] == 5 and hits[0]["meta"] == {"n": 4, "odd": False}
    odd = run_json("recall", store, out, "--on-off", "--row", 4, "--where", "odd=true")["hits"]
    assert len(odd) == 10 and all(hit["meta"]["odd"] for hit in odd)

    chain = run_json("chain", store, out, "--on-off", "--row", 0, "--hops", 7)
    assert [hop["id"] for hop in chain["chain"]["path"]] == list(range(2, 9))
    assert [hop["id"] for hop in chain["baseline"]["path"]] == list(range(2, 9))
    by_id = run_json("chain", store, "--from", 3, "--policy", "hebbian", "--hops", 1)
    assert by_id["chain"]["path"][0]["id"] == 4

    run("snapshot", store)
    assert run_json("forget", store, 2, 3) == {"forgotten": [2, 3]}
    assert run_json("compact", store)["database_bytes"] > 0
    stats = run_json("stats", store)
    assert (stats["items"], stats["links"], stats["snapshot"]) == (28, 6, True)
    with AssociativeMemory.open(store, readonly=True) as memory:
        assert memory.stats().items == 28


def test_text_output_names_every_entry(folder: Path) -> None:
    store = folder / "m.db"
    run("create", store, "--dim", 32)
    assert run("store", store, folder / "out.npz").splitlines() == [f"ids: {n}" for n in range(1, 31)]
    lines = run("recall", store, folder / "out.npz", "-k", 2).splitlines()
    assert len(lines) == 2 and lines[0].startswith('hits: {"id": 1,')
    assert "items: 30" in run("stats", store).splitlines()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["stats", "none.db"], "no memory there"),
        (["create", "m.db", "--dim", "4"], "exists there already"),
        (["store", "m.db", "none.npz"], "no such file"),
        (["store", "m.db", "out.npz", "--on-off"], "width 16"),
        (["link", "m.db", "1"], "needs two"),
        (["link", "m.db", "1", "2"], "no item of this id"),
        (["recall", "m.db", "out.npz", "--where", "x"], "name=value"),
        (["chain", "m.db"], "one cue"),
        (["chain", "m.db", "out.npz", "--from", "1"], "one cue"),
        (["forget", "m.db", "1"], "no item of this id"),
    ],
)
def test_errors_go_up_to_the_frame(
    folder: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], message: str
) -> None:
    monkeypatch.chdir(folder)
    run("create", "m.db", "--dim", 32)
    with pytest.raises(SnnDeployError, match=message) as caught:
        run(*arguments)
    assert isinstance(caught.value, UsageError)
