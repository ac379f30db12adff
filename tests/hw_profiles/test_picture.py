"""The picture of the core grid is drawn for every format, and shows what is there."""

from __future__ import annotations

from pathlib import Path

import pytest
from networks import chain

from snn_deploy.hw_profiles import load
from snn_deploy.hw_profiles.assessment import Choices, assess
from snn_deploy.hw_profiles.description import assumed_activity
from snn_deploy.hw_profiles.picture import draw


def test_svg_names_each_layer_and_draws_each_core(tmp_path: Path) -> None:
    network = chain(256, 1500, 700)
    answer = assess(network, load("loihi1"), assumed_activity(network, 0.05), Choices(annealed=True))
    assert answer.placement is not None
    path = tmp_path / "grid.svg"
    draw(answer, answer.placement, path)
    text = path.read_text(encoding="utf-8")
    for words in ("l1", "l2", "annealed", "hops a step"):
        assert f"<!-- {words}" in text or words in text
    assert text.count("<path") > 32 + 2 * len(answer.fit.partition.cores)


@pytest.mark.parametrize("ending", ["png", "pdf"])
def test_other_formats(tmp_path: Path, ending: str) -> None:
    network = chain(16, 1024 * 130)
    answer = assess(network, load("loihi1"), assumed_activity(network, 0.05))
    assert answer.fit.chips == 2
    assert answer.placement is not None
    path = tmp_path / f"grid.{ending}"
    draw(answer, answer.placement, path)
    assert path.stat().st_size > 4000
