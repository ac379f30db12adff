"""Deploy trained spiking networks to Intel's Loihi, and know what they do there.

Importing this package loads none of torch, norse, lava or faiss; each is imported where it is used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from snn_deploy.convert.frontends.modules.walk import from_torch as from_torch
    from snn_deploy.convert.frontends.norse.description.describe import save_model as save_model

__version__ = "0.1.0"

#: The public surface: each name, and the module that it is imported from on first use.
_HOMES = {
    "from_torch": "convert.frontends.modules.walk",
    "save_model": "convert.frontends.norse.description.describe",
}

__all__ = ["__version__", *_HOMES]  # noqa: PLE0604  names, from one list


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
