"""Pictures varied at random: each kind of variation alone, against what it should do."""

import dataclasses

import numpy as np
import pytest

pytest.importorskip("torch")

from snn_deploy.train.augment import Augmentation

NONE = Augmentation(**{field.name: 0.0 for field in dataclasses.fields(Augmentation)})


@pytest.fixture
def ink():
    """A bright square in the middle of each picture."""
    pictures = np.zeros((60, 32, 32, 3), np.uint8)
    pictures[:, 12:20, 12:20] = np.random.default_rng(0).integers(60, 250, (60, 1, 1, 3))
    return pictures


def varied(ink, **limits):
    return dataclasses.replace(NONE, **limits)(ink, np.random.default_rng(4))


def centres(pictures):
    ink = pictures.sum(1)
    rows = (ink.sum(2) * np.arange(32)).sum(1) / ink.sum((1, 2))
    columns = (ink.sum(1) * np.arange(32)).sum(1) / ink.sum((1, 2))
    return np.stack([rows, columns])


def areas(pictures):
    return pictures.max(1).sum((1, 2)) / pictures.max((1, 2, 3))


def test_nothing_varied_is_the_picture(ink):
    found = varied(ink)
    assert found.shape == (60, 3, 32, 32)
    assert np.abs(found - ink.transpose(0, 3, 1, 2) / 255).max() < 1e-5


def test_shift_moves_by_up_to_its_share_of_half_a_side(ink):
    moved = centres(varied(ink, shift=0.25)) - 15.5
    assert 3 < np.abs(moved).max() <= 4.01
    assert moved.min() < -2 < 2 < moved.max()
    assert np.abs(areas(varied(ink, shift=0.25)) - 64).max() < 16


def test_scale_and_aspect_change_the_size(ink):
    sizes = areas(varied(ink, scale=0.3))
    assert 64 * np.exp(-0.75) < sizes.min() < 50
    assert 80 < sizes.max() < 64 * np.exp(0.75)
    assert np.abs(centres(varied(ink, scale=0.3)) - 15.5).max() < 0.1
    wide = varied(ink, aspect=0.4).max(1) > 0.05
    ratio = wide.any(1).sum(1) / wide.any(2).sum(1)
    assert ratio.min() < 0.9
    assert ratio.max() > 1.1
    assert np.abs(areas(varied(ink, aspect=0.4)) - 64).max() < 12


def test_rotation_keeps_centre_and_area(ink):
    found = varied(ink, rotation=0.8)
    assert np.abs(centres(found) - 15.5).max() < 0.1
    assert np.abs(areas(found) - 64).max() < 10
    assert not np.allclose(found, varied(ink))


@pytest.mark.parametrize("kind", ["colour", "saturation", "gamma"])
def test_colours_vary_and_paper_stays_silent(ink, kind):
    found, plain = varied(ink, **{kind: 0.3}), varied(ink)
    assert np.array_equal(found[:, :, :8], np.zeros((60, 3, 8, 32)))
    inside = found[:, :, 15, 15], plain[:, :, 15, 15]
    assert 0.01 < np.abs(inside[0] - inside[1]).mean() < 0.3
    if kind == "saturation":
        assert inside[0].mean(1) == pytest.approx(inside[1].mean(1), abs=0.05)


def test_noise_has_a_level_of_its_own_in_every_picture(ink):
    ink[:] = 128
    deviations = varied(ink, noise=0.2).std((1, 2, 3))
    assert 0.15 < deviations.max() < 0.2
    assert deviations.min() < 0.05


def test_cut_cells_are_whole_and_all_colours(ink):
    ink[:] = 255
    found = varied(ink, cut_pictures=0.5, cut_cells=0.2)
    cells = found.reshape(60, 3, 8, 4, 8, 4)
    assert np.array_equal(cells.max((1, 3, 5)), cells.min((1, 3, 5)))
    lost = 1 - found.mean((1, 2, 3))
    assert 0.3 < (lost > 0).mean() < 0.7
    assert lost[lost > 0].mean() == pytest.approx(0.2, abs=0.04)


def test_the_generator_decides(ink):
    whole = Augmentation()
    first, again = (whole(ink, np.random.default_rng(1)) for _ in range(2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, whole(ink, np.random.default_rng(2)))
    assert first.min() >= 0 and first.max() <= 1
