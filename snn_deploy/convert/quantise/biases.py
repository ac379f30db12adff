"""Biases: a signed mantissa and an exponent of its own for every neuron."""

from __future__ import annotations

import numpy as np

from snn_deploy.hw_profiles import Profile
from snn_deploy.network.arrays import FloatArray, IntArray


def largest_bias(profile: Profile) -> float:
    """The largest bias that mantissa and exponent hold, in units of v."""
    integers = profile.integers
    return float(integers.bias_mantissa.high) * 2.0**integers.bias_exp.high


def round_bias(bias: FloatArray, profile: Profile) -> tuple[IntArray, IntArray]:
    """Return (mantissa, exponent), int64: the smallest exponent whose mantissa holds each bias."""
    integers = profile.integers
    top = float(integers.bias_mantissa.high)
    exponent = np.ceil(np.log2(np.maximum(np.abs(bias) / top, 1.0))).astype(np.int64)
    exponent = np.clip(exponent, max(0, integers.bias_exp.low), integers.bias_exp.high)
    mantissa = np.clip(np.rint(bias / 2.0**exponent), -top, top).astype(np.int64)
    return mantissa, exponent
