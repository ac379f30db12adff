"""The engines that run an artifact. To add one, write its module and name it in ``_BACKENDS``."""

from __future__ import annotations

from importlib import import_module
from inspect import signature
from typing import Any

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


def get(name: str, **options: Any) -> Backend:
    """Return the backend of that name, built with the options that are not None.

    Raises UsageError for an unknown backend or an option that it does not have.
    """
    if name not in _BACKENDS:
        raise UsageError("unknown backend", where="--backend", found=name, allowed=", ".join(_BACKENDS))
    module, _, attribute = _BACKENDS[name].partition(":")
    kind = getattr(import_module(module), attribute)
    given = {key: value for key, value in options.items() if value is not None}
    unknown = sorted(set(given) - set(signature(kind).parameters))
    if unknown:
        raise UsageError(
            "this backend has no such option", where=f"--backend {name}", found=", ".join(unknown)
        )
    backend: Backend = kind(**given)
    return backend
