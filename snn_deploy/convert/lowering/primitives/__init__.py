"""The linear NIR primitives, one file a family. To add one, register its function here in any file."""

from importlib import import_module
from pkgutil import iter_modules

for _module in iter_modules(__path__):
    import_module(f"{__name__}.{_module.name}")
