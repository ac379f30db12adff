"""Norse models: the checkpoint that this package writes and reads."""

from __future__ import annotations

import warnings
from typing import Any

from snn_deploy.errors import BackendUnavailable


def import_norse() -> Any:
    """The ``norse.torch`` package, imported on first use.

    Norse 1.1.0 calls ``torch.jit.script`` while it is imported, which torch now announces as deprecated;
    the user can do nothing about it, so the warning stays inside. Raises BackendUnavailable where torch
    or Norse is missing.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            import norse.torch as norse
        except ImportError as error:
            raise BackendUnavailable(
                "Norse models need torch and norse",
                found=str(error),
                remedy="Install snn-deploy[train].",
            ) from error
    return norse
