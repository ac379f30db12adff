"""What finds chirps without a spiking network: energy, matched filter, a small convolutional network."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from snn_deploy.benchmarks.tasks.chirps.signals import MASSES, RATE, SAMPLES, whitened_chirps

_TEMPLATES = 80
_ENERGY_SAMPLES = 256
_ITEMS = 200


def energy(strain: NDArray[np.float32]) -> NDArray[np.float32]:
    """The largest energy of an eighth of a second, (items,)."""
    power = np.cumsum(np.square(strain, dtype=np.float64), axis=1)
    sums = power[:, _ENERGY_SAMPLES:] - power[:, :-_ENERGY_SAMPLES]
    return np.asarray(sums.max(axis=1), np.float32)


def matched_filter(strain: NDArray[np.float32]) -> NDArray[np.float32]:
    """The largest output of 80 templates over all times and phases, (items,).

    With templates c of unit norm, s a quarter of a turn later, and white noise in the strain d:
    rho = max over template and time of sqrt((d * c)^2 + (d * s)^2)   (Allen et al. 2012),
    the magnitude of the analytic correlation, which half of the samples hold, as the band ends at 400 Hz.
    """
    mass = np.geomspace(*MASSES, _TEMPLATES)
    end, phase = np.full(_TEMPLATES, (SAMPLES - 100) / RATE), np.zeros(_TEMPLATES)
    kept = SAMPLES // 4
    templates = fft.rfft(whitened_chirps(mass, end, phase))[:, :kept].conj()
    best = np.zeros(len(strain), np.float32)
    for first in range(0, len(strain), _ITEMS):
        spectrum = fft.rfft(strain[first : first + _ITEMS])[:, :kept] * np.float32(2 * 2 * kept / SAMPLES)
        for template in templates:
            rho = np.abs(fft.ifft(spectrum * template, 2 * kept)).max(axis=1)
            best[first : first + _ITEMS] = np.maximum(best[first : first + _ITEMS], rho)
    return best


def as_scores(train: NDArray[Any], labels: NDArray[np.int64], asked: NDArray[Any]) -> NDArray[np.float32]:
    """Scores (items, 2) of a detector's outputs, above 0 for a chirp from the threshold on that is right most
    often on the training windows."""
    order = np.argsort(train)
    above = np.cumsum(labels[order][::-1])[::-1]  # chirps at or above each output
    right = above + np.concatenate([[0], np.cumsum(1 - labels[order])[:-1]])
    threshold = train[order[int(right.argmax())]]
    return np.column_stack([np.zeros(len(asked)), asked - threshold + 1e-6]).astype(np.float32)
