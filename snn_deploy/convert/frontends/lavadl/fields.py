"""The fields of one group of a ``.net`` file: each is used or refused by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from snn_deploy.errors import ModelNotSupported, Violation
from snn_deploy.network.arrays import IntArray


class Fields:
    """A group's fields. A reader notes what is wrong and returns a stand-in; :meth:`close` raises it all."""

    def __init__(self, tree: Mapping[str, Any], where: str) -> None:
        self.where = where
        self._tree = tree
        self._used: set[str] = set()
        self._groups: list[Fields] = []
        self._violations: list[Violation] = []

    def __contains__(self, name: str) -> bool:
        return name in self._tree

    def refuse(self, what: str, found: object = "", allowed: object = "", remedy: str = "") -> None:
        self._violations.append(Violation(what, self.where, str(found), str(allowed), remedy))

    def close(self) -> None:
        """Raise ModelNotSupported with all that was noted, in groups within too, and all unknown fields."""
        found = self._found()
        if found:
            raise ModelNotSupported(found)

    def group(self, name: str) -> Fields:
        """The fields of a group within this one."""
        value = self._take(name)
        if not isinstance(value, Mapping):
            self.refuse(f"group {name!r} is missing")
            value = {}
        self._groups.append(Fields(value, f"{self.where}/{name}"))
        return self._groups[-1]

    def text(self, name: str) -> str:
        """A string, stored as one or as an array of one."""
        value = self._take(name)
        if isinstance(value, np.ndarray) and value.size == 1:
            value = value.reshape(-1)[0]
        if isinstance(value, bytes):
            value = value.decode("ascii", "replace")
        if not isinstance(value, str):
            self.refuse(
                f"field {name!r} must be a string", "nothing" if value is None else type(value).__name__
            )
            return ""
        return value

    def integers(self, name: str) -> IntArray:
        """Whole numbers, in whatever type they are stored; a stand-in is empty."""
        value = self._take(name)
        nothing = np.zeros(0, dtype=np.int64)
        if isinstance(value, Mapping):
            self.refuse(f"{name!r} is complex", ", ".join(value), "real numbers")
            return nothing
        array = np.asarray(value)
        if value is None or array.dtype.kind not in "biuf" or array.size == 0:
            self.refuse(f"field {name!r} must hold numbers", "nothing" if value is None else array.dtype)
            return nothing
        exact = array.astype(np.float64)
        bad = ~(np.abs(exact) < 2**31) | (np.rint(exact) != exact)
        if np.any(bad):
            self.refuse(
                f"{name!r} must hold integers",
                f"{array[bad].reshape(-1)[0]} ({np.count_nonzero(bad)} of {array.size} values)",
                remedy="Export the network with its quantisation (pre_hook_fx) switched on.",
            )
            return nothing
        return np.asarray(exact, dtype=np.int64)

    def optional(self, name: str) -> IntArray | None:
        """Whole numbers, or None where the field is not there."""
        return self.integers(name) if name in self else None

    def integer(self, name: str, low: int, high: int) -> int:
        """One whole number; an array that holds the same number throughout counts as one."""
        found = np.unique(self.integers(name))
        if found.size == 0:
            return low
        if found.size > 1:
            self.refuse(
                f"{name!r} differs within the layer", f"{found[0]} .. {found[-1]}", "one value a layer"
            )
        elif not low <= found[0] <= high:
            self.refuse(f"{name!r} is out of range", found[0], low if low == high else f"{low} .. {high}")
        return int(found[0])

    def pair(self, name: str, low: int) -> tuple[int, int]:
        """(height, width); one number stands for both."""
        values = self.integers(name)
        if values.size == 0:
            return low, low
        if values.size > 2 or np.any(values < low):
            self.refuse(f"{name!r} must be (height, width)", values.tolist(), f"integers >= {low}")
            return low, low
        height, width = np.broadcast_to(values.reshape(-1), (2,))
        return int(height), int(width)

    def repeats(self, name: str, value: int) -> None:
        """A field that may be left out, and if not must say what is known without it."""
        if name in self:
            self.integer(name, value, value)

    def skip(self, *names: str) -> None:
        """Fields without meaning for inference."""
        self._used |= set(names)

    def skip_all(self) -> None:
        """All fields, where a violation already says that none of them can be used."""
        self._used |= set(self._tree)

    def _take(self, name: str) -> Any:
        self._used.add(name)
        return self._tree.get(name)

    def _found(self) -> list[Violation]:
        unknown = [
            Violation(f"field {name!r} is not known", self.where, allowed="those that lava-dl 0.6.0 writes")
            for name in sorted(set(self._tree) - self._used)
        ]
        return [*self._violations, *unknown, *(v for group in self._groups for v in group._found())]
