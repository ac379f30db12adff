"""Which kernel of ``fixed`` runs: the one place to ask.

SNN_DEPLOY_KERNEL names a kernel (numpy, portable, avx2, avx512); without it the fastest compiled kernel
that this processor can run is taken, and NumPy where none was built.
"""

from __future__ import annotations

import os
from dataclasses import dataclass

from snn_deploy.engine.fixed.prepared import NO_RESETS, Prepared, Resets
from snn_deploy.engine.kernels.library import missing, usable_kernels
from snn_deploy.errors import BackendUnavailable, UsageError
from snn_deploy.network.quantised import QuantisedNetwork

#: Environment variable that names the kernel to use.
VARIABLE = "SNN_DEPLOY_KERNEL"
NUMPY = "numpy"
_COMPILED = ("portable", "avx2", "avx512")


@dataclass(frozen=True)
class Choice:
    """The kernel that runs, and why that one."""

    name: str
    reason: str


def choose(wanted: str | None = None) -> Choice:
    """Return the kernel to use: ``wanted``, else $SNN_DEPLOY_KERNEL, else the fastest that can run.

    Raises UsageError for an unknown name, BackendUnavailable for a kernel that cannot run here.
    """
    asked = wanted or os.environ.get(VARIABLE)
    usable = usable_kernels()
    if asked:
        return _asked(asked, "the argument" if wanted else VARIABLE, usable)
    if usable:
        return Choice(usable[0], f"the fastest of {', '.join(usable)} that this processor runs")
    return Choice(NUMPY, missing())


def names() -> tuple[str, ...]:
    """Kernels that can run here, slowest first."""
    return (NUMPY, *reversed(usable_kernels()))


def prepare(network: QuantisedNetwork, kernel: str, resets: Resets = NO_RESETS) -> Prepared:
    """Make a network ready for the kernel of that name (see :func:`choose`)."""
    from snn_deploy.engine.fixed.compiled_kernel import Compiled
    from snn_deploy.engine.fixed.numpy_kernel import Golden

    return Golden(network, resets) if kernel == NUMPY else Compiled(network, kernel, resets)


def _asked(name: str, where: str, usable: tuple[str, ...]) -> Choice:
    if name == NUMPY or name in usable:
        return Choice(name, f"named by {where}")
    if name not in _COMPILED:
        raise UsageError("unknown kernel", where=where, found=name, allowed=", ".join((NUMPY, *_COMPILED)))
    lacking = missing()
    raise BackendUnavailable(
        lacking or "this processor cannot run the kernel",
        where=where,
        found=name,
        allowed=", ".join((NUMPY, *usable)),
        remedy="Install a C compiler and install the package again, or use numpy." if lacking else "",
    )
