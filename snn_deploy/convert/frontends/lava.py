"""Front end for lava-dl's SLAYER blocks: what to do with them instead.

They compute in the chip's own integers, rounded in every step, which no graph of floats repeats. Their file
holds these integers, and :mod:`.lavadl` reads it without rounding anything anew.
"""

from __future__ import annotations

import torch

from snn_deploy.convert.frontends.modules.writer import EXPLANATIONS


def _explain(module: torch.nn.Module) -> tuple[str, str]:
    return (
        "SLAYER's blocks compute in integers, which a graph of floats does not repeat",
        "Export the network, net.export_hdf5('network.net'), and convert that file: it is exact.",
    )


EXPLANATIONS["lava"] = _explain
