"""Which items a recall may return."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeAlias

Filter: TypeAlias = Mapping[str, Any] | Callable[[dict[str, Any] | None], bool]


def matching_ids(metas: Iterable[tuple[int, dict[str, Any] | None]], filter: Filter) -> list[int]:
    """Ids whose meta has every value of a mapping (equal, top level), or for which a function is true."""
    if not isinstance(filter, Mapping):
        return [item for item, meta in metas if filter(meta)]
    return [
        item
        for item, meta in metas
        if meta is not None and all(name in meta and meta[name] == value for name, value in filter.items())
    ]
