"""Our closed form for Loihi 1 equals SANA-FE's total, where the user has SANA-FE.

``SNN_DEPLOY_SANAFE_PYTHON`` names an interpreter that can import it (pip install sanafe==2.2.9).
"""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import numpy as np
import pytest
from networks import chain

from snn_deploy.hw_profiles import load
from snn_deploy.hw_profiles.counts import count
from snn_deploy.hw_profiles.description import Activity
from snn_deploy.hw_profiles.energy import energy
from snn_deploy.hw_profiles.partition import partition
from snn_deploy.hw_profiles.placement import Mesh, place, traffic

INPUTS, SIZE, LAYERS, STEPS = 8, 40, 6, 20


def network_file(spikes: np.ndarray) -> str:
    """The chain as SANA-FE's YAML, one layer a core; a bias makes every neuron update in every step."""
    rng = np.random.default_rng(1)
    groups = ["    - name: in", "      attributes: []", "      neurons:"]
    groups += [f"        - {i}: [spikes: {spikes[:, i].tolist()}, log_spikes: true]" for i in range(INPUTS)]
    edges, mappings = [], [f'  - in.{i}: [core: 0.0, soma: "loihi_inputs[{i}]"]' for i in range(INPUTS)]
    source, size = "in", INPUTS
    for i in range(LAYERS):
        soma = "{threshold: 3.0, leak_decay: 0.8, bias: 0.01}"
        groups += [f"    - name: l{i + 1}", "      attributes: []", "      neurons:"]
        groups += [f"        - 0..{SIZE - 1}: [soma: {soma}, log_spikes: true]"]
        weights = rng.normal(0.5, 1, size * SIZE).round(3).tolist()
        edges.append(f"    - {source} -> l{i + 1}: [type: dense, weight: {weights}]")
        mappings.append(f"  - l{i + 1}: [core: {i // 4}.{i % 4}, soma: loihi_lif]")
        source, size = f"l{i + 1}", SIZE
    head = ["network:", "  name: chain", "  groups:", *groups, "  edges:", *edges, "mappings:", *mappings]
    return "\n".join(head) + "\n"


def test_total_equals_sanafe(tmp_path: Path) -> None:
    python = os.environ.get("SNN_DEPLOY_SANAFE_PYTHON")
    if not python:
        pytest.skip("SNN_DEPLOY_SANAFE_PYTHON names no interpreter with SANA-FE")
    spikes = (np.random.default_rng(0).random((STEPS, INPUTS)) < 0.4).astype(int)
    (tmp_path / "net.yaml").write_text(network_file(spikes), encoding="utf-8")
    worker = Path(__file__).with_name("sanafe_worker.py")
    arguments = [python, worker, tmp_path / "net.yaml", str(STEPS), tmp_path / "out.json"]
    subprocess.run(arguments, check=True, timeout=120, capture_output=True, cwd=tmp_path)
    theirs = json.loads((tmp_path / "out.json").read_text(encoding="utf-8"))

    network, profile = chain(INPUTS, *[SIZE] * LAYERS), load("loihi1")
    fired = {"in": spikes.sum(axis=0).astype(float)}
    for layer in network.layers:
        fired[layer.name] = np.array(
            [theirs["fired"].get(f"{layer.name}.{i}", 0) for i in range(SIZE)], float
        )
    activity = Activity(fired, 1, STEPS, "SANA-FE")
    cut = partition(network, profile, co_locate=False)
    mesh = Mesh.of(profile)
    assert mesh is not None
    counts = count(network, profile, cut, activity, placement=place(traffic(network, cut, activity), mesh, 1))
    ours = energy(counts, profile)

    assert counts.spikes > 500
    assert counts.hops_ns is not None
    assert counts.hops_ns > 100
    assert counts.spikes + fired["in"].sum() == theirs["neurons_fired"]
    assert counts.synops == theirs["spikes"]
    assert counts.packets + counts.input_packets == theirs["packets_sent"]
    assert ours.by_table["fitted"].nominal == pytest.approx(theirs["energy"]["total"], rel=1e-9)
