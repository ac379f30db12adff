"""``run`` tells wraps and saturations: on stderr, in its JSON, and as an error where that is asked for."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from snn_deploy.convert.conversion import Options, convert_graph
from snn_deploy.deploy import backends, overflows
from snn_deploy.errors import UsageError, VerificationMismatch
from tests.nir_models import two_layers


@pytest.fixture(scope="module")
def artifact():
    """A network whose weights became too large for its states behind the conversion's back."""
    made = convert_graph(two_layers((30, 40, 20)), Options(dt=1e-3, reset="zero"))
    edges = [replace(e, weight_exp=7) for e in made.network.projections]
    return replace(made, network=replace(made.network, projections=tuple(edges)))


INPUTS = {"in": (np.random.default_rng(1).random((3, 60, 30)) < 0.5).astype(np.uint8)}


def test_each_layer_and_kind_is_a_warning(artifact, caplog):
    result = backends.get("fixed").run(artifact, INPUTS)
    assert result.wraps["a"] > 0
    with caplog.at_level(logging.WARNING):
        overflows.report(result)
    for name, times in result.wraps.items():
        told = [r.message for r in caplog.records if f"layer {name!r}: u wrapped" in r.message]
        assert len(told) == bool(times)
        assert all(f"{times:,} of " in text and "--calibration" in text for text in told)
    with pytest.raises(VerificationMismatch, match="u wrapped"):
        overflows.report(result, "error")


def test_nothing_is_said_where_nothing_happened(artifact, caplog):
    sound = replace(
        artifact,
        network=replace(
            artifact.network,
            projections=tuple(replace(e, weight_exp=-3) for e in artifact.network.projections),
        ),
    )
    result = backends.get("fixed").run(sound, INPUTS)
    assert sum(result.wraps.values()) == sum(result.saturations.values()) == 0
    overflows.report(result, "error")
    assert not caplog.records


def test_a_policy_needs_a_backend_that_counts():
    overflows.check_policy("error", "fixed", counts=True)
    overflows.check_policy("warn", "lava", counts=False)
    with pytest.raises(UsageError, match="does not count"):
        overflows.check_policy("error", "lava", counts=False)
    with pytest.raises(UsageError, match="unknown policy"):
        overflows.check_policy("never", "fixed", counts=True)


def test_the_verb(artifact, tmp_path):
    artifact.save(tmp_path / "m.snn")
    np.savez(tmp_path / "x.npz", spikes=INPUTS["in"])

    def run(policy: str) -> subprocess.CompletedProcess[str]:
        out = str(tmp_path / f"{policy}.npz")
        verb = ["run", str(tmp_path / "m.snn"), str(tmp_path / "x.npz"), "-o", out, "--json"]
        command = [sys.executable, "-m", "snn_deploy", *verb, "--on-wrap", policy]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    warned = run("warn")
    assert warned.returncode == 0, warned.stderr
    layers = {layer["name"]: layer for layer in json.loads(warned.stdout)["per_layer"]}
    assert layers["a"]["wraps"] > 0
    assert "WARNING" in warned.stderr and "layer 'a': u wrapped" in warned.stderr
    refused = run("error")
    assert refused.returncode == 6, refused.stderr
    assert "error: layer 'a': u wrapped" in refused.stderr and not refused.stdout
    assert Path(tmp_path / "warn.npz").exists() and not Path(tmp_path / "error.npz").exists()
    assert run("never").returncode == 2
