"""The backends that run an artifact: one module of this folder each, named as the backend is.

To add one, write its module: a subclass of :class:`~snn_deploy.deploy.backends.base.Backend`, and
``BACKEND = ThatClass``. ``run``, ``parity``, ``support``, the help and the conformance suite find it here.
"""

from __future__ import annotations

from functools import cache
from importlib import import_module
from inspect import signature
from pkgutil import iter_modules
from typing import TYPE_CHECKING, Any

from snn_deploy.errors import UsageError

if TYPE_CHECKING:
    from snn_deploy.deploy.backends.base import Backend

_NOT_BACKENDS = {"base"}


@cache
def names() -> tuple[str, ...]:
    """Names of all backends, available here or not, in alphabetical order; none of them is imported."""
    return tuple(sorted(module.name for module in iter_modules(__path__) if module.name not in _NOT_BACKENDS))


def kind(name: str) -> type[Backend]:
    """The class of the backend of that name; raises UsageError for an unknown one."""
    if name not in names():
        raise UsageError("unknown backend", where="--backend", found=name, allowed=", ".join(names()))
    found: type[Backend] = import_module(f"{__name__}.{name}").BACKEND
    return found


def get(name: str, **options: Any) -> Backend:
    """Return the backend of that name, built with the options that are not None.

    Raises UsageError for an unknown backend or an option that it does not have.
    """
    cls = kind(name)
    given = {key: value for key, value in options.items() if value is not None}
    unknown = sorted(set(given) - set(signature(cls).parameters))
    if unknown:
        raise UsageError(
            "this backend has no such option", where=f"--backend {name}", found=", ".join(unknown)
        )
    return cls(**given)


def certified() -> tuple[str, ...]:
    """Names of the backends that claim something a certificate can say."""
    return tuple(name for name in names() if kind(name).claim)


def references() -> tuple[str, ...]:
    """Names of the backends that ``parity`` can compare ``fixed`` with."""
    return tuple(name for name in certified() if name != "fixed")
