"""Every task and study of the registry: its facts are well-formed, and (slow) its quick form runs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from snn_deploy import cli
from snn_deploy.benchmarks import record, registry
from snn_deploy.benchmarks.deployed import Shown
from snn_deploy.benchmarks.task import Task
from snn_deploy.errors import BackendUnavailable, UsageError


@pytest.fixture(scope="module", params=list(registry.tasks()))
def task(request: pytest.FixtureRequest) -> Task:
    found = registry.load_task(request.param)
    assert found.name == request.param  # a task is called as its file
    found.trained_with = found.quick_recipe
    try:
        found.sizes()
    except BackendUnavailable as error:
        pytest.skip(str(error))
    return found


def test_names_and_lines_come_from_the_files() -> None:
    assert set(registry.tasks()) & set(registry.studies()) == set()
    for path in (*registry.tasks().values(), *registry.studies().values()):
        assert 10 < len(registry.about(path)) < 110
    assert all(callable(registry.load_study(name)) for name in registry.studies())


def test_facts_are_well_formed(task: Task) -> None:
    sizes, queries = task.sizes(), task.queries()
    assert min(sizes.values()) > 1
    assert set(queries.values()) == set(sizes)
    chance = task.chance()
    assert list(chance) == list(queries)
    assert all(list(levels) == list(task.metrics) for levels in chance.values())
    assert all(0 < level < 1 for levels in chance.values() for level in levels.values())
    assert task.main_metric in task.metrics


def test_baselines_answer_the_same_queries_and_beat_chance(task: Task) -> None:
    found, sizes = task.baselines(0), task.sizes()
    for query, split in task.queries().items():
        assert found[query]
        best = 0.0
        for values in found[query].values():
            assert {name: v.shape for name, v in values.items()} == dict.fromkeys(
                task.metrics, (sizes[split],)
            )
            best = max(best, float(values[task.main_metric].mean()))
        assert best > task.chance()[query][task.main_metric]


def test_inputs_have_their_shapes_and_say_something(task: Task) -> None:
    shown = Shown(task.recipe.steps, task.constants(), 0)
    shapes = task.input_shapes()
    epochs = [task.views(np.random.default_rng(seed)) for seed in (0, 0, 1)]
    assert {name.partition("/")[0] for name in epochs[0].inputs} == set(shapes)
    for name, values in epochs[0].inputs.items():
        assert np.array_equal(values, epochs[1].inputs[name])
    for rasters in (task.calibration(shown), task.sample(shown, 3)):
        for tower, raster in rasters.items():
            assert raster.shape[1:] == (task.recipe.steps, *shapes[tower])
            assert np.unique(raster.reshape(len(raster), -1), axis=0).shape[0] == len(raster)
            assert raster.any()


@pytest.mark.slow
def test_the_quick_form_runs(task: Task, tmp_path: Path) -> None:
    with pytest.raises(SystemExit) as end:
        cli.main(["bench", task.name, "--quick", "--no-parity", "-o", str(tmp_path)])
    assert end.value.code == 0
    found = record.read(tmp_path)
    for query in found.queries:
        chance = found.chance[query][found.main_metric]
        assert found.metrics[query][found.main_metric]["fixed"].ci95[0] > chance
        assert found.activity[query].spikes > 0


def test_an_unknown_name_lists_what_there_is() -> None:
    with pytest.raises(UsageError, match=r"emoji-captions.*\.py"):
        registry.load_task("emoji")
