"""Noise, chirps and detectors against formulas written again; values of pairs; strain files."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest

from snn_deploy.benchmarks import registry
from snn_deploy.benchmarks.tasks.chirps import BANDS, detectors, signals
from snn_deploy.errors import UnsafeFile, UsageError
from snn_deploy.train.examples import Examples

RATE, SAMPLES = signals.RATE, signals.SAMPLES


def test_coloured_noise_has_its_density_and_whitened_noise_none() -> None:
    rng = np.random.default_rng(0)
    noise = signals.coloured_noise(300, rng)
    power = (np.abs(np.fft.rfft(noise)) ** 2).mean(axis=0)
    frequency = np.fft.rfftfreq(SAMPLES, 1 / RATE)
    inside = (frequency > 30) & (frequency < 900)
    x = frequency[inside] / 215
    wanted = x**-4.14 - 5 / x**2 + 111 * (2 - 2 * x**2 + x**4) / (2 + x**2)
    ratio = power[inside] / wanted
    assert np.std(ratio) / np.mean(ratio) < 0.08  # 300 draws: 6 %
    assert wanted.max() / wanted.min() > 20
    white = signals.whitened(noise)
    assert white.std() == pytest.approx(1, abs=0.01)
    flat = (np.abs(np.fft.rfft(white)) ** 2).mean(axis=0)[inside]
    assert np.std(flat) / np.mean(flat) < 0.08


@pytest.mark.parametrize("seed", range(3))
def test_a_chirp_turns_as_fast_as_two_masses_do(seed: int) -> None:
    rng = np.random.default_rng(seed)
    mass, end = rng.uniform(*signals.MASSES, 1), rng.uniform(0.6, 0.95, 1)
    cosine, sine = (signals.chirps(mass, end, np.array([phase])) for phase in (0.0, -np.pi / 2))
    on = np.flatnonzero(cosine[0] != 0)[:-1]
    turned = np.unwrap(np.angle(cosine[0] + 1j * sine[0]))
    measured = np.abs(np.diff(turned))[on] * RATE / (2 * np.pi)
    m = mass[0] * 6.6743e-11 * 1.98841e30 / 299_792_458**3
    tau = end[0] - (on + 0.5) / RATE  # the middle of each difference
    wanted = (5 / (256 * tau)) ** (3 / 8) * m ** (-5 / 8) / np.pi
    early = tau > 0.02
    np.testing.assert_allclose(measured[early], wanted[early], rtol=0.01)
    assert wanted[early].max() > 2 * wanted.min()
    assert not cosine[0, int(end[0] * RATE) + 1 :].any()


def test_windows_hold_chirps_of_their_snr_and_noise_without() -> None:
    found = signals.windows(300, 0)
    assert found.strain.shape == (600, SAMPLES)
    assert found.snr.min() > 4 and found.snr.max() < 16
    peak = detectors.matched_filter(found.strain)
    # the best of many templates lies above the SNR by its noise, and below by its mismatch
    assert np.corrcoef(peak[:300], found.snr)[0, 1] > 0.9
    assert abs(np.median(peak[:300] - found.snr)) < 1.0
    assert np.median(peak[300:]) < 5
    energy = detectors.energy(found.strain)
    assert energy[:300].mean() > energy[300:].mean() + 5


def test_templates_are_of_unit_norm_and_snr_is_the_optimal_one() -> None:
    mass, end, phase = np.array([15.0, 25.0]), np.array([0.7, 0.9]), np.array([0.3, 2.0])
    template = signals.whitened_chirps(mass, end, phase)
    np.testing.assert_allclose(np.linalg.norm(template, axis=1), 1, rtol=1e-5)
    noise = signals.band_passed(signals.white_noise(400, np.random.default_rng(1)))
    assert (noise @ template[0]).std() == pytest.approx(1, abs=0.1)


def test_the_matched_filter_is_the_largest_correlation_of_two_quadratures() -> None:
    found = signals.windows(4, 3)
    mass = np.geomspace(*signals.MASSES, 80)
    end = np.full(80, (SAMPLES - 100) / RATE)
    pairs = [signals.whitened_chirps(mass, end, np.full(80, phase)) for phase in (0, -np.pi / 2)]
    wanted = []
    for strain in found.strain:
        twice = np.concatenate([strain, strain])  # the filter is circular
        outputs = [[np.correlate(twice, c, "valid") for c in templates] for templates in pairs]
        wanted.append(np.hypot(*outputs).max())
    np.testing.assert_allclose(detectors.matched_filter(found.strain), wanted, rtol=0.03)
    assert max(wanted) > 2 * min(wanted)


@pytest.mark.parametrize("seed", range(3))
def test_the_threshold_is_right_most_often(seed: int) -> None:
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 2, 40)
    outputs = rng.normal(size=40) + labels
    scores = detectors.as_scores(outputs, labels, outputs)
    best = max(np.mean((outputs >= threshold) == labels) for threshold in outputs)
    assert np.mean((scores[:, 1] > scores[:, 0]) == labels) == best > 0.6


def test_values_of_pairs_against_all_pairs() -> None:
    task = registry.load_task("chirps")
    rng = np.random.default_rng(0)
    labels = np.repeat([1, 0], 200)
    outputs = np.round(rng.normal(size=400) + 1.5 * labels, 1)  # many tie
    values = task.score(
        np.column_stack([np.zeros(400), outputs]), Examples({"strain": outputs[:, None]}, {"label": labels})
    )
    accuracy, area, detection = (values[name] for name in task.metrics)
    right = np.where(outputs == 0, 0.5, (outputs > 0) == labels)
    assert accuracy.mean() == pytest.approx(right.mean())
    chirps, noise = outputs[:200], outputs[200:]
    against = (chirps[:, None] > noise) + 0.5 * (chirps[:, None] == noise)
    assert area.mean() == pytest.approx(against.mean())
    alarms = {t: np.mean(noise > t) for t in noise}
    threshold = min(t for t, share in alarms.items() if share <= 0.01)
    assert detection.mean() == np.mean(chirps > threshold)
    assert 0.05 < detection.mean() < area.mean() < 1


def test_a_constant_detector_is_chance() -> None:
    task = registry.load_task("chirps")
    labels = np.repeat([1, 0], 50)
    values = task.score(np.zeros((100, 2)), Examples({"strain": np.zeros((100, 1))}, {"label": labels}))
    assert [float(v.mean()) for v in values.values()] == [0.5, 0.5, 0.0]


def strain_file(path: Path, rate: int = 4096, seconds: int = 16, **stored: object) -> Path:
    rng = np.random.default_rng(0)
    with h5py.File(path, "w") as file:
        values = stored.get("values", 1e-21 * rng.normal(size=rate * seconds).cumsum())
        data = file.create_dataset(str(stored.get("name", "strain/Strain")), data=values)
        data.attrs["Xspacing"] = 1 / rate
    return path


def test_the_noise_of_a_strain_file_is_whitened(tmp_path: Path) -> None:
    path = strain_file(tmp_path / "s.hdf5")
    white = signals.whitened_strain(path)
    assert len(white) == 14 * RATE
    assert white.std() == pytest.approx(1, abs=0.1)
    power = np.abs(np.fft.rfft(white[: 12 * RATE].reshape(12, -1))) ** 2
    low, high = power[:, 30:200].mean(), power[:, 400:800].mean()
    assert low / high == pytest.approx(1, abs=0.25)
    found = signals.windows(20, 0, path)
    assert found.strain.shape == (40, SAMPLES)
    assert len(np.unique(found.strain[:, 100])) == 40


def test_a_recorded_event_is_not_taken_as_noise(shared_data: Path) -> None:
    path = shared_data / "strain" / "H-H1_LOSC_4_V2-1126259446-32.hdf5"
    series = signals.whitened_strain(path)
    passed = signals.band_passed(series[: len(series) // SAMPLES * SAMPLES].reshape(-1, SAMPLES))
    drawn = signals.windows(200, 0, path).strain[200:]
    assert np.abs(drawn).max() < np.abs(passed).max()


@pytest.mark.parametrize(
    ("stored", "said"),
    [
        ({"name": "other"}, "not a strain file"),
        ({"rate": 3000}, "multiple of 2048 Hz"),
        ({"values": np.full(4096 * 16, np.nan)}, "without gaps"),
        ({"seconds": 3}, "too little strain"),
    ],
)
def test_what_is_no_strain_is_refused(stored: dict[str, object], said: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=said):
        signals.windows(4, 0, strain_file(tmp_path / "s.hdf5", **stored))


def test_a_damaged_or_missing_strain_file(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no such strain file"):
        signals.windows(4, 0, tmp_path / "none.hdf5")
    (tmp_path / "s.hdf5").write_bytes(b"\x89HDF nothing")
    with pytest.raises(UnsafeFile, match="cannot be read"):
        signals.windows(4, 0, tmp_path / "s.hdf5")


def test_splits_by_snr_are_parts_of_the_test() -> None:
    task = registry.load_task("chirps")
    sizes = task.sizes()
    assert list(sizes) == ["test", *(f"SNR {low} to {high}" for low, high in BANDS)]
    assert sizes["test"] == sum(sizes.values()) - sizes["test"] == 2000
