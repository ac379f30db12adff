"""Timing ``pipelined`` against stock Lava's golden traces, every spike at every Lava step."""

from __future__ import annotations

import golden
import numpy as np
import pytest

from snn_deploy.engine.fixed import kernel
from snn_deploy.engine.fixed.pipelined import lif_resets, run, stream
from snn_deploy.engine.fixed.prepared import Reset
from snn_deploy.network.schedule import depths
from tests import quantised_nets as nets

PROVENANCE, CASES = golden.load()
BY_NAME = {case.name: (case, trace) for case, trace in CASES}


def test_the_traces_are_lavas_and_those_of_the_script() -> None:
    assert PROVENANCE["lava-nc"] == "0.10.0"
    assert PROVENANCE["run_config"] == "Loihi2SimCfg(select_tag='fixed_pt')"
    made = [golden.describe(case) for case in golden.cases()]
    assert [golden.describe(case) for case, _ in CASES] == made


@pytest.mark.parametrize("name", kernel.names())
@pytest.mark.parametrize("case", BY_NAME)
def test_golden_traces(case: str, name: str) -> None:
    given, trace = BY_NAME[case]
    resets = {p: Reset(*reset) for p, reset in given.resets.items()}
    ours = stream(given.network, given.inputs, resets=resets, kernel_name=name)
    for population, lava in trace.items():
        np.testing.assert_array_equal(ours.spikes[population], lava, err_msg=population)
        assert 0 < lava.mean() < 1
    assert any(len(set(lava.sum(axis=0).tolist())) > 1 for lava in trace.values())


def _isolated(case: golden.Case) -> dict[str, np.ndarray]:
    fired, _ = nets.reference(case.network, case.inputs)
    return fired


def test_resets_at_each_layers_offset_isolate_the_samples() -> None:
    case, trace = BY_NAME["LIFReset at each layer's offset"]
    depth = depths(case.network)
    for p, fired in _isolated(case).items():
        samples = [trace[p][i * 20 + depth[p] :][:20] for i in range(3)]
        np.testing.assert_array_equal(np.stack(samples), fired)
    assert {p: (r.interval, r.offset) for p, r in lif_resets(case.network, 20).items()} == case.resets


def test_without_reset_the_lead_in_changes_the_first_sample_already() -> None:
    case, trace = BY_NAME["biases integrate in the lead-in"]
    depth, fired = depths(case.network), _isolated(case)
    assert any(not np.array_equal(trace[p][depth[p] :][:20], fired[p][0]) for p in fired)


def test_the_recurrent_buffer_leaks_into_the_next_sample() -> None:
    case, _ = BY_NAME["LIFReset leaves the recurrent buffer"]
    resets = lif_resets(case.network, 20)
    ours, fired = stream(case.network, case.inputs, resets=resets), _isolated(case)
    leaked = [not np.array_equal(ours.samples_of(ours.spikes, p)[1:], fired[p][1:]) for p in fired]
    assert any(leaked)


@pytest.mark.parametrize("name", kernel.names())
def test_a_gap_lets_feed_forward_samples_run_dry(name: str) -> None:
    """A gap moves the samples apart; with resets at the new interval they stay isolated."""
    case, _ = BY_NAME["LIFReset at each layer's offset"]
    ours = stream(case.network, case.inputs, gap=7, resets=lif_resets(case.network, 27), kernel_name=name)
    for p, fired in _isolated(case).items():
        np.testing.assert_array_equal(ours.samples_of(ours.spikes, p), fired)


def test_a_run_cuts_the_samples_out_of_lavas_trace() -> None:
    """Rasters and counts of a run are Lava's own golden spikes, moved back by each layer's latency."""
    case, trace = BY_NAME["biases integrate in the lead-in"]
    samples, steps = next(iter(case.inputs.values())).shape[:2]
    result = run(case.network, case.inputs, record=[p.node for p in case.network.populations])
    isolated, depth = _isolated(case), depths(case.network)
    for p in case.network.populations:
        lava = np.stack([trace[p.name][i * steps + depth[p.name] :][:steps] for i in range(samples)])
        np.testing.assert_array_equal(result.spikes[p.node], lava)
        assert lava.any()
    assert any(not np.array_equal(result.spikes[p.node], isolated[p.name]) for p in case.network.populations)
    for output in case.network.outputs:
        np.testing.assert_array_equal(result.counts[output.name], result.spikes[output.node].sum(axis=1))
    assert result.total_spikes == sum(int(result.spikes[p.node].sum()) for p in case.network.populations)


def test_a_run_with_resets_isolates_the_samples() -> None:
    case, _ = BY_NAME["LIFReset at each layer's offset"]
    result = run(case.network, case.inputs, record=[p.node for p in case.network.populations], lif_reset=True)
    for p, fired in _isolated(case).items():
        np.testing.assert_array_equal(result.spikes[p], fired)
        assert fired.any()
