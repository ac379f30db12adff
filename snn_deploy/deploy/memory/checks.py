"""Checks of single arguments, each raising one clear error."""

from __future__ import annotations

import operator
from numbers import Integral

from snn_deploy.errors import UsageError

_ID_MAX = 2**63 - 2  # SQLite integers are signed 64-bit, and the next id must fit too


def checked_id(value: object, where: str) -> int:
    """``value`` as an item id; :class:`UsageError` for anything but a whole number from 0 on."""
    try:
        item = operator.index(value)  # type: ignore[arg-type]
    except TypeError:
        item = -1
    if isinstance(value, bool) or not 0 <= item <= _ID_MAX:
        raise UsageError("not an id", where=where, found=repr(value), allowed=f"whole number, 0 to {_ID_MAX}")
    return item


def check_positive(value: object, where: str) -> None:
    """:class:`UsageError` unless ``value`` is a whole number from 1 on."""
    if isinstance(value, bool) or not isinstance(value, Integral) or int(value) < 1:
        raise UsageError("must be a positive whole number", where=where, found=repr(value), allowed=">= 1")
