"""Chains: follow associations hop by hop through stored read-outs, beside NN + edge table."""

from __future__ import annotations

import tempfile
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from snn_deploy.benchmarks.metrics.estimate import proportion
from snn_deploy.benchmarks.record import Chain
from snn_deploy.deploy.memory import AssociativeMemory, edge_table_chain, unit_vectors

HOPS = 6
_CHAINS = 40


def six_hop_recall(stored: NDArray[np.float32], cues: NDArray[np.float32], seed: int) -> Chain:
    """Recall of every hop in disjoint random chains over stored items.

    stored, cues: (items, n), row i of ``cues`` a fresh read-out of the same item. Each chain starts from
    the cue of its first item; hop h is right where it reaches the chain's h-th next item. Returns, for
    the Hebbian chain and for NN + edge table, the share of hops that are right, with n and interval.
    """
    usable = np.flatnonzero(~unit_vectors(stored).silent & ~unit_vectors(cues).silent)
    order = np.random.default_rng(seed).permutation(usable)
    chains = min(_CHAINS, order.size // (HOPS + 1))
    paths = order[: chains * (HOPS + 1)].reshape(chains, HOPS + 1)
    with (
        tempfile.TemporaryDirectory() as folder,
        AssociativeMemory.open(Path(folder) / "chains.sqlite", dim=stored.shape[1]) as memory,
    ):
        ids = dict(zip(usable.tolist(), memory.store_many(stored[usable]), strict=True))
        row_of = {item: row for row, item in ids.items()}
        memory.link_many((ids[a], ids[b]) for path in paths.tolist() for a, b in pairwise(path))
        hebbian = np.zeros((chains, HOPS))
        table = np.zeros((chains, HOPS))
        for row, path in enumerate(paths.tolist()):
            for right, chain in (
                (hebbian, memory.recall_chain(cues[path[0]], HOPS)),
                (table, edge_table_chain(memory, cues[path[0]], HOPS)),
            ):
                for hop, reached in enumerate(chain.path):
                    right[row, hop] = row_of[reached.id] == path[hop + 1]
    return Chain(
        hops=HOPS,
        chains=chains,
        stored=int(usable.size),
        hop_recall=proportion(hebbian.ravel()),
        complete=int(hebbian.all(axis=1).sum()),
        baseline_edge_table=proportion(table.ravel()),
        baseline_complete=int(table.all(axis=1).sum()),
        chance=1.0 / int(usable.size),
    )
