"""Windows of detector noise, whitened, with and without the chirp of two masses that spiral together.

Everything is drawn by numpy; instead of drawn noise, that of a strain file (HDF5 of GWOSC) can be taken.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from snn_deploy.errors import UnsafeFile, UsageError
from snn_deploy.files import existing_file

RATE = 2048
"""Samples per second."""
SAMPLES = 2048
"""Of a window."""
BAND_HZ = (30.0, 400.0)
MASSES = (12.0, 30.0)
"""Chirp masses, in solar masses."""
SNR = (4.0, 16.0)
_SUN_S = 4.925491e-6
"""G M / c^3 of the sun, seconds."""
_LOUDEST_S = 2.0
"""Around the loudest sample of a strain file, which may be an event: not taken as noise."""

Floats = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Windows:
    """strain: whitened, unit variance before the band-pass, float32 (items, samples); the first half of the
    items has a chirp, the second none. snr: optimal signal-to-noise ratio of each chirp, (items / 2,)."""

    strain: Floats
    snr: NDArray[np.float64]


def windows(pairs: int, seed: int, strain_file: Path | None = None) -> Windows:
    """``pairs`` windows with a chirp and as many without, in noise of their own.

    Chirp mass and end in the window are uniform, the SNR is uniform in 4 .. 16. A strain file gives few
    independent windows: they then overlap.
    """
    rng = np.random.default_rng([seed, pairs])
    draw = white_noise if strain_file is None else _recorded(strain_file)
    noise = draw(2 * pairs, rng)
    snr = rng.uniform(*SNR, pairs)
    mass = np.exp(rng.uniform(float(np.log(MASSES[0])), float(np.log(MASSES[1])), pairs))
    end, phase = rng.uniform(0.6, 0.95, pairs), rng.uniform(0, 2 * np.pi, pairs)
    signal = whitened_chirps(mass, end, phase)
    noise[:pairs] += snr[:, None].astype(np.float32) * signal
    return Windows(band_passed(noise), snr)


def noise_density(frequency: NDArray[np.float64]) -> NDArray[np.float64]:
    """One-sided power density of an interferometer's noise, up to a factor (Arun et al. 2005, initial LIGO's
    successor): S = x^-4.14 - 5 x^-2 + 111 (1 - x^2 + x^4 / 2) / (1 + x^2 / 2), x = f / 215 Hz."""
    x = np.maximum(frequency, 10.0) / 215.0
    return np.asarray(x**-4.14 - 5 * x**-2 + 111 * (1 - x**2 + x**4 / 2) / (1 + x**2 / 2))


def coloured_noise(items: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Gaussian noise of this density, (items, samples)."""
    white = np.fft.rfft(rng.standard_normal((items, SAMPLES)))
    return np.fft.irfft(white * np.sqrt(noise_density(_frequencies())), SAMPLES)


def whitened(strain: NDArray[np.float64]) -> NDArray[np.float64]:
    """Strain (items, samples) divided by the noise's amplitude density: noise of unit variance."""
    return np.fft.irfft(np.fft.rfft(strain) / np.sqrt(noise_density(_frequencies())), SAMPLES)


def white_noise(items: int, rng: np.random.Generator) -> Floats:
    """Coloured noise, whitened."""
    return whitened(coloured_noise(items, rng)).astype(np.float32)


def chirps(
    mass: NDArray[np.float64], end: NDArray[np.float64], phase: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Newtonian chirps (items, samples), up to a factor.

    With tau = end - t and m = G M_c / c^3:  f = (5 / (256 tau))^(3/8) m^(-5/8) / pi ;
    h = f^(2/3) cos(phase - 2 (tau / (5 m))^(5/8))   (Peters 1964, lowest order), up to the end or
    f = 0.0095 / m, about where the masses meet; ``end`` in seconds from the window's beginning.
    """
    m = mass[:, None] * _SUN_S
    tau = end[:, None] - np.arange(SAMPLES) / RATE
    before = np.maximum(tau, 1e-5)
    frequency = (5 / (256 * before)) ** 0.375 * m**-0.625 / np.pi
    wave = frequency ** (2 / 3) * np.cos(phase[:, None] - 2 * (before / (5 * m)) ** 0.625)
    return np.asarray(np.where((tau > 0) & (frequency < np.minimum(0.0095 / m, RATE / 3)), wave, 0.0))


def whitened_chirps(
    mass: NDArray[np.float64], end: NDArray[np.float64], phase: NDArray[np.float64]
) -> Floats:
    """Chirps as whitening and the band leave them, of unit norm: in noise of unit variance, SNR 1."""
    found = band_passed(whitened(chirps(mass, end, phase)))
    return np.asarray(found / np.linalg.norm(found, axis=1, keepdims=True), np.float32)


def band_passed(strain: NDArray[np.floating[Any]]) -> Floats:
    """What of windows (items, samples) lies between 30 and 400 Hz."""
    low, high = BAND_HZ
    inside = (_frequencies() >= low) & (_frequencies() <= high)
    return np.fft.irfft(np.fft.rfft(strain) * inside, SAMPLES).astype(np.float32)


def _frequencies() -> NDArray[np.float64]:
    return np.fft.rfftfreq(SAMPLES, 1 / RATE)


def _recorded(path: Path) -> Callable[[int, np.random.Generator], Floats]:
    """Draws windows of the whitened noise of a strain file."""
    series = whitened_strain(path)
    loudest = int(np.abs(series).argmax())
    guard = int(_LOUDEST_S * RATE)
    begins = np.arange(0, len(series) - SAMPLES)
    begins = begins[(begins + SAMPLES < loudest - guard) | (begins > loudest + guard)]
    if not begins.size:
        raise UsageError("too little strain for windows of noise", where=path, found=f"{len(series)} samples")

    def draw(items: int, rng: np.random.Generator) -> Floats:
        first = rng.choice(begins, items)[:, None]
        return np.asarray(series[first + np.arange(SAMPLES)], np.float32)

    return draw


def whitened_strain(path: Path) -> Floats:
    """Strain of a GWOSC file at 2048 Hz, whitened by its own median spectrum, without its first and last
    second. UsageError where the file has no strain, UnsafeFile where it cannot be read."""
    import h5py
    from scipy.signal import decimate, welch

    existing_file(path, "strain file")
    try:
        with h5py.File(path, "r") as file:
            found = file["strain/Strain"]
            strain = np.asarray(found[()], np.float64)
            rate = round(1 / float(found.attrs["Xspacing"]))
    except KeyError as error:
        raise UsageError("not a strain file", where=path, found=error, allowed="strain/Strain") from error
    except (OSError, TypeError, ValueError) as error:
        raise UnsafeFile("the strain file cannot be read", where=path, found=error) from error
    if rate % RATE or strain.ndim != 1 or not np.isfinite(strain).all():
        raise UsageError(
            "strain without gaps at a multiple of 2048 Hz is needed", where=path, found=f"{rate} Hz"
        )
    if rate > RATE:
        strain = decimate(strain * 1e19, rate // RATE, ftype="fir")
    frequency, density = welch(strain, RATE, nperseg=RATE * 2, average="median")
    spectrum = np.fft.rfft(strain)
    amplitude = np.sqrt(np.interp(np.fft.rfftfreq(len(strain), 1 / RATE), frequency, density))
    white = np.fft.irfft(spectrum / amplitude, len(strain))[RATE:-RATE] * np.sqrt(2 / RATE)
    return np.asarray(white, np.float32)
