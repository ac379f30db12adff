"""RAPL counters on a made-up /sys: joules above idle, wrap-around, and an honest "not measured"."""

from __future__ import annotations

from pathlib import Path

import pytest

from snn_deploy.benchmarks.rapl import Rapl


def machine(folder: Path, counters: dict[str, tuple[int, int]]) -> Path:
    for name, (energy, limit) in counters.items():
        (folder / name).mkdir(parents=True)
        (folder / name / "energy_uj").write_text(f"{energy}\n", encoding="utf-8")
        (folder / name / "max_energy_range_uj").write_text(f"{limit}\n", encoding="utf-8")
    return folder


def test_packages_are_summed_and_their_parts_are_not(tmp_path: Path) -> None:
    counters = {"intel-rapl:0": (5, 999), "intel-rapl:1": (7, 999), "intel-rapl:0:0": (3, 999)}
    rapl = Rapl(machine(tmp_path, counters))
    assert rapl.available
    assert rapl.read() == [5, 7]


def test_a_counter_that_wrapped_around(tmp_path: Path) -> None:
    rapl = Rapl(machine(tmp_path, {"intel-rapl:0": (0, 999)}))
    assert rapl.joules_between([990], [20]) == pytest.approx(30e-6)
    assert rapl.joules_between([20], [990]) == pytest.approx(970e-6)


def test_a_call_is_measured_above_idle_with_an_interval(tmp_path: Path) -> None:
    rapl = Rapl(machine(tmp_path, {"intel-rapl:0": (0, 10**9)}))
    counter = tmp_path / "intel-rapl:0" / "energy_uj"
    spent = iter([2_000_000, 4_000_000, 3_000_000])

    def call() -> None:
        counter.write_text(str(int(counter.read_text()) + next(spent)), encoding="utf-8")

    found = rapl.measure(call, repeats=3, idle_seconds=0.01)
    assert found.joules == pytest.approx(3.0)
    assert found.low == pytest.approx(3.0 - 1.96 / 3**0.5)
    assert found.high == pytest.approx(3.0 + 1.96 / 3**0.5)
    assert found.idle_watts == 0.0
    assert found.as_dict()["status"] == "measured"


@pytest.mark.parametrize("broken", ["empty", "garbage"])
def test_without_counters_nothing_is_measured_and_the_reason_is_given(tmp_path: Path, broken: str) -> None:
    if broken == "garbage":
        machine(tmp_path, {"intel-rapl:0": (0, 9)})
        (tmp_path / "intel-rapl:0" / "energy_uj").write_text("none", encoding="utf-8")
    rapl = Rapl(tmp_path)
    found = rapl.measure(lambda: pytest.fail("called without a counter"))
    assert found.joules is None
    assert found.as_dict()["status"] == "not measured"
    assert "RAPL" in found.reason
