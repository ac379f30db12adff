"""Decay groups: the pairs of decay registers of one node, no more than a chip's tables hold.

A trained time constant for each neuron gives nearly as many pairs of registers as neurons, and each pair
is a process of its own. Where there are more than a limit, neurons share pairs: the members nearest to
the centres of a k-means over the logarithms of both decays. The axes are weighted as count errors are:
behind rate-coded spikes a wrong synaptic decay costs less of them than the same wrong membrane decay
(measured on 512 neurons of random time constants, for 32 to 128 groups: least between .5 and 1). The
gain that calibration then fits to each neuron takes away most of what is left.
"""

from __future__ import annotations

import numpy as np

from snn_deploy.convert.quantise.decays import kept_decays, round_decays, unity
from snn_deploy.hw_profiles import Profile
from snn_deploy.network.arrays import IntArray
from snn_deploy.network.discrete import DiscretePopulation

#: Pairs of a node where the profile does not say how many a core holds: what Lava starts in a minute.
DEFAULT_LIMIT = 128
#: Weight of log du against log dv.
_SYNAPTIC = 0.7


def limit_of(profile: Profile, asked: int | None) -> int:
    """How many pairs of decay registers a node may have."""
    if asked is not None:
        return asked
    tables = profile.limits.compartment_configurations
    return DEFAULT_LIMIT if tables is None or tables.value is None else tables.value


def grouped_decays(population: DiscretePopulation, profile: Profile, limit: int) -> tuple[IntArray, IntArray]:
    """Return the registers (du, dv), int64, shape (neurons,), with at most ``limit`` different pairs."""
    from scipy.cluster.vq import kmeans2

    du, dv = round_decays(population, profile)
    pairs, which = np.unique(np.stack([du, dv], axis=1), axis=0, return_inverse=True)
    if len(pairs) <= limit:
        return du, dv
    which = which.reshape(-1)
    of_u, of_v = kept_decays(pairs[:, 0], pairs[:, 1], profile)
    smallest = 0.5 / unity(profile)  # of a decay that rounds to none
    axes = [_SYNAPTIC * np.log(np.maximum(of_u, smallest)), np.log(np.maximum(of_v, smallest))]
    members = np.stack(axes, axis=1)[which]  # a pair counts as often as there are neurons of it
    _, cluster = kmeans2(members, limit, minit="++", seed=0, missing="warn")
    shared = np.empty_like(pairs[which])
    for k in np.unique(cluster):
        inside = np.flatnonzero(cluster == k)
        centre = members[inside].mean(axis=0)
        nearest = inside[np.argmin(((members[inside] - centre) ** 2).sum(axis=1))]
        shared[inside] = pairs[which[nearest]]
    return shared[:, 0], shared[:, 1]
