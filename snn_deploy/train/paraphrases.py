"""A text tower for paraphrases: it says of other texts what the first tower says of the name.

A tower that was trained on names alone turns a name with keywords into something else. Its copy learns that
afterwards, with every name's own vector as the fixed target, so that what is stored need not change.
Imports torch: reach it inside functions.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch.nn import functional

from snn_deploy.train.contrast import text_tower, tower_maps

_BATCH, _PEAK, _WARM_UP = 256, 1e-3, 0.15


def learn_paraphrases(
    constants: Mapping[str, torch.Tensor],
    tower: str,
    texts: Sequence[npt.NDArray[np.float32]],
    *,
    steps: int,
    temperature: float,
    seed: int,
) -> dict[str, npt.NDArray[Any]]:
    """The arrays of a copy of ``tower`` that learned, by their names in it.

    constants: those of the model, with the tower's two linear maps. texts: vectors (n, width), the names
    first, then other texts of the same n items. Loss of a text: cross-entropy of its cosines with all n
    targets over ``temperature``, and 1 - cos with its own.
    """
    names = [f"{part}_{array}" for part in tower_maps(tower) for array in ("weight", "bias")]
    learned = {name: constants[name].detach().clone().requires_grad_(True) for name in names}
    vectors = torch.from_numpy(np.stack(texts))
    with torch.no_grad():
        targets = functional.normalize(text_tower(tower, vectors[0], constants), dim=1)
    rng = np.random.default_rng(seed)
    optimiser = torch.optim.AdamW(learned.values(), lr=_PEAK)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, _PEAK, total_steps=steps, pct_start=_WARM_UP)
    for _ in range(steps):
        kinds = torch.from_numpy(rng.integers(0, len(texts), _BATCH))
        rows = torch.from_numpy(rng.integers(0, len(targets), _BATCH))
        said = functional.normalize(text_tower(tower, vectors[kinds, rows], learned), dim=1)
        cosines = said @ targets.t()
        own = cosines[torch.arange(_BATCH), rows]
        loss = functional.cross_entropy(cosines / temperature, rows) + (1 - own).mean()
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        schedule.step()
    return {name: value.detach().numpy() for name, value in learned.items()}
