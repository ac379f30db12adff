"""The engines that run an artifact. To add one, write its module and name it in ``_BACKENDS``."""

from __future__ import annotations

from importlib import import_module

from snn_deploy.deploy.backends.base import Backend
from snn_deploy.errors import UsageError

_BACKENDS = {
    "float": "snn_deploy.deploy.backends.float_reference:FloatBackend",
    "fixed": "snn_deploy.deploy.backends.fixed:FixedBackend",
    "lava": "snn_deploy.deploy.backends.lava.backend:LavaBackend",
    "loihi2": "snn_deploy.deploy.backends.lava.loihi2:Loihi2Backend",
    "auto": "snn_deploy.deploy.backends.auto:AutoBackend",
}


def names() -> tuple[str, ...]:
    """Names of all backends, available here or not."""
    return tuple(_BACKENDS)


def get(name: str) -> Backend:
    """Return the backend of that name; raises UsageError for an unknown one."""
    if name not in _BACKENDS:
        raise UsageError("unknown backend", where="--backend", found=name, allowed=", ".join(_BACKENDS))
    module, _, attribute = _BACKENDS[name].partition(":")
    backend: Backend = getattr(import_module(module), attribute)()
    return backend
