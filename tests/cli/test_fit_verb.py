"""``snn-deploy fit`` and ``profiles`` as a user calls them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import nir
import numpy as np
import pytest

from snn_deploy.convert.conversion import Options, convert_graph
from snn_deploy.hw_profiles import names


def snn_deploy(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "snn_deploy", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    rng = np.random.default_rng(2)
    one = np.ones(700)
    graph = nir.NIRGraph.from_list(
        nir.Input({"input": np.array([300])}),
        nir.Linear(rng.normal(0, 1, (700, 300))),
        nir.LIF(tau=0.01 * one, r=one, v_leak=0 * one, v_threshold=one, v_reset=0 * one),
        nir.Output({"output": np.array([700])}),
    )
    path = tmp_path_factory.mktemp("fit") / "m.snn"
    options = Options(profile="loihi1", dt=1e-3, reset="zero", level=0)  # one plane: 700 x 300 synapses
    convert_graph(graph, options).save(path)
    np.savez(path.with_suffix(".npz"), spikes=(rng.random((2, 16, 300)) < 0.1).astype(np.uint8))
    return path


def test_fit_answers_in_json_with_a_picture(model: Path, tmp_path: Path) -> None:
    picture = tmp_path / "grid.png"
    done = snn_deploy(
        "fit",
        model,
        "--profile",
        "loihi1",
        "--input",
        model.with_suffix(".npz"),
        "--picture",
        picture,
        "--json",
    )
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert answer["fits"] is True
    assert answer["cores"] == 2
    assert answer["picture"] == str(picture)
    assert picture.read_bytes()[:4] == b"\x89PNG"
    limits = {row["limit"]: row for row in answer["findings"]}
    assert limits["input_axons_per_core"]["used"] == 300
    assert limits["synapse_bits_per_core"]["verdict"] in ("ok", "tight")
    assert answer["counts"]["total"]["synops"] > 0
    assert answer["energy"]["kind"] == "proxy"
    assert {term["name"] for term in answer["energy"]["terms"]} >= {"synapses", "floor: idle power"}
    assert answer["placement"]["hops_per_step"] == 0


def test_fit_says_what_does_not_fit_and_ends_with_4(model: Path) -> None:
    done = snn_deploy("fit", model, "--profile", "xylo_audio2", "--json")
    assert done.returncode == 4
    assert json.loads(done.stdout)["fits"] is False
    for rule in ("fan in", "input channels", "output channels"):
        assert rule in done.stderr
    assert "Traceback" not in done.stderr
    small = snn_deploy("fit", model, "--cores", "1")  # the profile it was converted for
    assert small.returncode == 4
    assert "does not fit loihi1" in small.stdout


def test_fit_for_people_shows_limits_energy_and_labels(model: Path) -> None:
    done = snn_deploy("fit", model, "--profile", "loihi2", "--inherit", "loihi1", "--rate", "0.1", "--anneal")
    assert done.returncode == 0, done.stderr
    for words in (
        "unknown limit",
        "inherited from loihi1",
        "proxy",
        "assumed",
        "unavailable",
        "annealed",
        "under cpu45nm",
    ):
        assert words in done.stdout
    plain = snn_deploy("fit", model, "--profile", "loihi2")
    assert "inherited" not in plain.stdout.replace("inherits", "")
    assert "unavailable" in plain.stdout


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("--profile", "loihi9"), 2, "unknown hardware profile"),
        (("--profile", "loihi1", "--inherit", "loihi2"), 2, "cannot inherit"),
        (("--profile", "truenorth", "--picture", "x.png"), 2, "no mesh"),
    ],
)
def test_wrong_requests(model: Path, arguments: tuple[str, ...], code: int, message: str) -> None:
    done = snn_deploy("fit", model, *arguments)
    assert done.returncode == code
    assert message in done.stderr


def test_profiles_lists_them_all_and_shows_one_with_sources() -> None:
    listed = snn_deploy("profiles", "--json")
    assert listed.returncode == 0, listed.stderr
    rows = json.loads(listed.stdout)["profiles"]
    assert tuple(row["name"] for row in rows) == names()
    assert {row["name"]: row["energy"] for row in rows}["loihi2"] == "unavailable"
    shown = snn_deploy("profiles", "loihi1", "--json")
    limit = json.loads(shown.stdout)["limits"]["neurons_per_core"]
    assert (limit["value"], limit["unit"], limit["source"]) == (1024, "neurons", ["NL", "SF"])
    for_people = snn_deploy("profiles", "loihi1")
    for words in (
        "energy.tables.fitted.synop",
        "35.5",
        "pre-silicon",
        "Davies et al.",
        "time.tables.fitted.barrier[0]",
    ):
        assert words in for_people.stdout
    assert all(name in snn_deploy("profiles").stdout for name in names())


def test_an_own_profile_that_is_wrong_is_refused_with_every_mistake(tmp_path: Path) -> None:
    path = tmp_path / "own.toml"
    path.write_text('schema = 1\nname = "own"\ncolour = 3\n', encoding="utf-8")
    done = snn_deploy("profiles", path)
    assert done.returncode == 2
    assert "colour: unknown key" in done.stderr
    assert "supports: missing key" in done.stderr
