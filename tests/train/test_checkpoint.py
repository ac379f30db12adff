"""A run that is killed goes on with the result of one that is not."""

from __future__ import annotations

import hashlib
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from snn_deploy.errors import UnsafeFile, UsageError  # noqa: E402
from snn_deploy.train import checkpoint  # noqa: E402
from snn_deploy.train.coding import rate_code  # noqa: E402
from snn_deploy.train.encoders import describe, feed_forward  # noqa: E402
from snn_deploy.train.examples import Examples  # noqa: E402
from snn_deploy.train.loop import fit  # noqa: E402
from snn_deploy.train.objectives import CrossEntropyOfCounts  # noqa: E402
from snn_deploy.train.recipe import Recipe  # noqa: E402

RECIPE = Recipe(steps=6, hidden=20, rate_epochs=3, epochs=6, batch=16, drop=0.2, spike_budget=20.0)


def views(rng):
    """96 examples of three classes under noise."""
    labels = np.arange(96) % 3
    means = np.random.default_rng(1).choice([0.05, 0.7], (3, 12))[labels]
    noisy = np.clip(means + rng.normal(0, 0.1, means.shape), 0, 1)
    return Examples({"a": noisy.astype(np.float32)}, {"label": labels})


def validate(module):
    """A score of the weights alone, which need not be best in the last epoch."""
    return float(np.sin(1e3 * module.constants.get_buffer("classes_bias").double().sum().item()))


def train(path=None, *, recipe=RECIPE, seed=0, stop=None, scored=True):
    tower = feed_forward((12,), [20, 8], recipe, norm=True, recurrent=True)
    constants = {"classes_weight": [3, 8], "classes_bias": [3]}
    config = describe(
        {"a": tower}, {"a": 12}, recipe, task="t", seed=seed, constants=constants, readout="counts"
    )
    return fit(
        config,
        views,
        CrossEntropyOfCounts(head="classes"),
        recipe,
        seed,
        validate=validate if scored else None,
        checkpoint=path,
        progress=stop,
        device="cpu",
    )


def digest(trained):
    found = hashlib.sha256(repr((trained.history, trained.best_epoch)).encode())
    for name, value in sorted(trained.module.state_dict().items()):
        found.update(name.encode() + value.numpy().tobytes())
    return found.hexdigest()


CHILD = """
import sys, time
from pathlib import Path
from snn_deploy.train import checkpoint
from tests.train import test_checkpoint as here
checkpoint.SECONDS = 0.0
write = checkpoint.Checkpoint.write
def counted(self, run):
    write(self, run)
    print(run.position.stage, run.position.epoch, run.position.batch, flush=True)
checkpoint.Checkpoint.write = counted
here.train(Path(sys.argv[1]))
"""


@pytest.fixture(scope="module")
def whole():
    """The run that nothing interrupts."""
    return train()


@pytest.mark.parametrize("seed", [0, pytest.param(1, marks=pytest.mark.slow)])
def test_a_killed_run_goes_on_bit_for_bit(tmp_path, seed, whole):
    path = tmp_path / "run.state"
    kill_after = int(np.random.default_rng(seed).integers(2, 50))  # of 54 batches
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD, str(path)], stdout=subprocess.PIPE, text=True, cwd=Path.cwd()
    )
    for _ in range(kill_after):
        assert child.stdout.readline()
    child.send_signal(signal.SIGKILL)
    assert child.wait(timeout=30) == -signal.SIGKILL
    child.stdout.close()
    seen = []
    resumed = train(path, stop=seen.append)
    assert digest(resumed) == digest(whole)
    assert len(seen) < len(whole.history) == 9  # it did not begin anew
    assert all(rate > 0 for epoch in whole.history for rate in epoch.rates["a"])
    again = train(path, stop=seen.append)  # a finished run has nothing left to do
    assert digest(again) == digest(whole)


@pytest.mark.parametrize("batch", [1, 6, 7])
def test_every_batch_can_be_the_last_before_a_crash(tmp_path, batch, monkeypatch, whole):
    monkeypatch.setattr(checkpoint, "SECONDS", 0.0)
    path, written = tmp_path / "run.state", []
    write = checkpoint.Checkpoint.write

    def crash(self, run):
        write(self, run)
        written.append(run.position.batch)
        if len(written) == 18 + batch:  # in the stage of spikes, at its first, last and next first batch
            raise KeyboardInterrupt

    monkeypatch.setattr(checkpoint.Checkpoint, "write", crash)
    with pytest.raises(KeyboardInterrupt):
        train(path)
    monkeypatch.setattr(checkpoint.Checkpoint, "write", write)
    assert digest(train(path)) == digest(whole)


def test_the_state_of_another_run_is_refused_by_name(tmp_path):
    path = tmp_path / "run.state"
    short = RECIPE.changed({"rate_epochs": 0, "epochs": 1})
    train(path, recipe=short)
    with pytest.raises(UsageError) as caught:
        train(path, recipe=short.changed({"slope": 4.0}), seed=3)
    text = str(caught.value)
    assert "recipe.slope: the training state is of another run; found 5.0; allowed 4.0" in text
    assert "seed: the training state is of another run; found 0; allowed 3" in text
    assert "hidden" not in text
    with pytest.raises(UsageError, match=r"validated: .* found True; allowed False"):
        train(path, recipe=short, scored=False)


def test_a_damaged_state_is_refused(tmp_path):
    path = tmp_path / "run.state"
    train(path, recipe=RECIPE.changed({"rate_epochs": 0, "epochs": 1}))
    content = path.read_bytes()
    rng = np.random.default_rng(0)
    for cut in rng.integers(0, len(content), 5):
        path.write_bytes(content[:cut])
        with pytest.raises(UnsafeFile):
            train(path, recipe=RECIPE.changed({"rate_epochs": 0, "epochs": 1}))


class Mean:
    """An objective that has no text of its own."""

    targets, heads = (), ()

    def __call__(self, layers, batch):
        return layers["a"][-1].mean()


def louder(gain):
    """A coding whose number its name does not tell."""
    return lambda values, steps, rng: rate_code(np.clip(gain * values, 0, 1), steps, rng)


def short_run(path, *, gain=1.0, start=0.0, constant=0.0):
    recipe = RECIPE.changed({"rate_epochs": 0, "epochs": 1})
    config = describe(
        {"a": feed_forward((12,), [8], recipe)}, {"a": 12}, recipe, task="t", seed=0, constants={"c": [2]}
    )
    weights = {"towers.a.0.weight": torch.full((8, 12), start)}
    return fit(
        config,
        views,
        Mean(),
        recipe,
        0,
        constants={"c": np.full(2, constant, np.float32)},
        coding=louder(gain),
        start=weights,
        checkpoint=path,
        device="cpu",
    )


def test_coding_start_and_constants_tell_a_run_from_another(tmp_path):
    path = tmp_path / "run.state"
    first = short_run(path)
    assert digest(short_run(path)) == digest(first)  # new closures and objects of the same values
    for change, name in (
        ({"gain": 0.5}, "coding"),
        ({"start": 0.1}, "start"),
        ({"constant": 1.0}, "constants"),
    ):
        with pytest.raises(UsageError) as caught:
            short_run(path, **change)
        (violation,) = caught.value.violations
        assert violation.where.endswith(f": {name}")
