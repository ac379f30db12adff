"""What finds chirps without a spiking network: energy, matched filter, a small convolutional network."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

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

    With templates c, s of two phases a quarter apart and unit norm, white noise and d the strain:
    rho = max over template and time of sqrt((d * c)^2 + (d * s)^2)   (Allen et al. 2012).
    """
    mass = np.geomspace(*MASSES, _TEMPLATES)
    end = np.full(_TEMPLATES, (SAMPLES - 100) / RATE)
    quadratures = [
        np.fft.rfft(whitened_chirps(mass, end, np.full(_TEMPLATES, phase))) for phase in (0, np.pi / 2)
    ]
    best = np.zeros(len(strain), np.float32)
    for first in range(0, len(strain), _ITEMS):
        spectrum = np.fft.rfft(strain[first : first + _ITEMS])
        for template in range(_TEMPLATES):
            rho = np.hypot(*(np.fft.irfft(spectrum * q[template].conj(), SAMPLES) for q in quadratures))
            best[first : first + _ITEMS] = np.maximum(best[first : first + _ITEMS], rho.max(axis=1))
    return best


def as_scores(train: NDArray[Any], labels: NDArray[np.int64], asked: NDArray[Any]) -> NDArray[np.float32]:
    """Scores (items, 2) of a detector's outputs, above 0 for a chirp from the threshold on that is right most
    often on the training windows."""
    order = np.argsort(train)
    above = np.cumsum(labels[order][::-1])[::-1]  # chirps at or above each output
    right = above + np.concatenate([[0], np.cumsum(1 - labels[order])[:-1]])
    threshold = train[order[int(right.argmax())]]
    return np.column_stack([np.zeros(len(asked)), asked - threshold + 1e-6]).astype(np.float32)
