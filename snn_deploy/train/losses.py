"""Contrastive loss over paired embeddings. Imports torch: reach it inside functions."""

from __future__ import annotations

import torch
from torch.nn import functional


def nt_xent(a: torch.Tensor, b: torch.Tensor, temperature: float) -> torch.Tensor:
    """Symmetric NT-Xent of paired rows (n, d): row k of ``a`` belongs to row k of ``b`` and to no other.

    s_kl = cos(a_k, b_l) / temperature ;
    L = -1/(2n) sum_k [ log softmax_l(s_kl)|l=k + log softmax_l(s_lk)|l=k ]
    (Sohn 2016; Chen et al. 2020, with the negatives taken across the two modalities).
    """
    similarity = functional.normalize(a, dim=1) @ functional.normalize(b, dim=1).t() / temperature
    target = torch.arange(len(a))
    forward = functional.cross_entropy(similarity, target)
    backward = functional.cross_entropy(similarity.t(), target)
    return (forward + backward) / 2
