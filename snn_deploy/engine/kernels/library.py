"""Loading the compiled kernels, and the structures that they share with Python (engine.h)."""

from __future__ import annotations

import ctypes
from ctypes import POINTER, c_char_p, c_double, c_float, c_int32, c_int64, c_void_p
from functools import cache
from importlib import import_module
from typing import Any

#: Neurons that a kernel advances together; TILE of engine.h.
TILE = 64
#: Neurons of a source that one part of a spike list names; SEGMENT of engine.h.
SEGMENT = 4032


#: Where v can be clipped so that it matters; as engine.h names it.
NEVER, BELOW, BOTH_SIDES = range(3)


class Dense(ctypes.Structure):
    _fields_ = (
        ("weights", c_void_p),
        *((name, c_int32) for name in ("source", "delay", "segment", "rows", "offset")),
    )


class Scatter(ctypes.Structure):
    _fields_ = (
        *((name, c_void_p) for name in ("weights", "first", "target", "row")),
        *((name, c_int32) for name in ("source", "delay", "width", "grain", "graded")),
    )


class Patches(ctypes.Structure):
    _fields_ = (
        ("tables", c_void_p),
        ("field", c_void_p),
        *((name, c_int32) for name in ("source", "delay", "index")),
        *((name, c_int32) for name in ("planes", "lines", "line_bits", "framed_lines", "line_bytes")),
        *((name, c_int32) for name in ("frame_bytes", "top", "left")),
        *((name, c_int32) for name in ("field_lines", "chunk", "chunks", "row_shift", "channels")),
        *((name, c_int32) for name in ("columns", "pixels", "row_bytes", "column_bits", "shared")),
    )


class Group(ctypes.Structure):
    _fields_ = (
        ("dense", POINTER(Dense)),
        ("patches", POINTER(Patches)),
        ("narrow", POINTER(Scatter)),
        ("wide", POINTER(Scatter)),
        *(
            (name, c_int32)
            for name in (
                *("dense_count", "patch_count", "narrow_count", "wide_count"),
                *("exponent", "rows", "bytes", "unit", "index"),
            )
        ),
    )


class Population(ctypes.Structure):
    _fields_ = (
        ("groups", POINTER(Group)),
        *((name, c_void_p) for name in ("bias", "u0", "v0")),
        *((name, c_float) for name in ("keep_u", "keep_v", "threshold")),
        *((name, c_int32) for name in ("node", "group_count", "wraps", "clips")),
        *((name, c_int32) for name in ("reset_interval", "reset_offset", "subtracts")),
    )


class Stage(ctypes.Structure):
    _fields_ = (("members", c_void_p), ("count", c_int32), ("forward", c_int32))


class Network(ctypes.Structure):
    _fields_ = (
        *((name, c_void_p) for name in ("neurons", "message_bits", "listed")),
        ("populations", POINTER(Population)),
        ("stages", POINTER(Stage)),
        *((name, c_int32) for name in ("inputs", "population_count", "stage_count")),
        *((name, c_int32) for name in ("group_count", "patch_count")),
    )


class Tail(ctypes.Structure):
    _fields_ = (("late", c_void_p), ("node", c_int32), ("delay", c_int32))


class Job(ctypes.Structure):
    _fields_ = (
        *((name, POINTER(c_void_p)) for name in ("inputs", "counts", "rasters", "membranes", "totals")),
        ("overflows", c_void_p),
        ("tails", POINTER(Tail)),
        *((name, c_int64) for name in ("first_sample", "samples")),
        *((name, c_int32) for name in ("steps", "tail_count")),
    )


_STRUCTURES = (Dense, Scatter, Patches, Group, Population, Stage, Network, Tail, Job)


#: Function -> (arguments, result): what the object must export beside snn_sizes.
_FUNCTIONS: dict[str, tuple[tuple[Any, ...], Any]] = {
    "snn_kernel_name": ((c_int32,), c_char_p),
    "snn_lanes": ((c_char_p,), c_int32),
    "snn_make_workspace": ((POINTER(Network), c_int32), c_void_p),
    "snn_free_workspace": ((c_void_p, c_void_p), None),
    "snn_run": ((POINTER(Network), POINTER(Job), c_char_p, c_void_p), c_int32),
    "snn_load_and_add": ((c_char_p, c_int32, c_int32), c_int32),
    # memory.c; deploy/memory/compiled.py holds its structures
    "snn_memory_encode": ((c_void_p, c_void_p, c_int64, c_void_p), c_int32),
    "snn_memory_sum_fields": ((c_void_p, c_void_p, c_int64, c_void_p, c_void_p), c_int32),
    "snn_memory_lists": ((c_void_p, *(c_int64,) * 4, c_void_p, c_void_p), None),
    "snn_memory_overlaps": ((c_void_p, c_void_p, c_int64), None),
    "snn_memory_chain": (
        (c_void_p, c_void_p, c_int32, c_int64, c_double, c_double, c_void_p, c_void_p, POINTER(c_int32)),
        c_int64,
    ),
    "snn_memory_products": ((c_void_p, c_int64, c_int64, c_void_p, c_int64, c_void_p), None),
}
#: More sizes than an object of any version writes.
_MOST_STRUCTURES = 256


@cache
def library() -> ctypes.CDLL | None:
    """Return the loaded kernels, or None where there are none that fit (see :func:`missing`)."""
    found = _load()
    return found if isinstance(found, ctypes.CDLL) else None


def missing() -> str:
    """Why there are no compiled kernels; empty where there are."""
    found = _load()
    return found if isinstance(found, str) else ""


def _load() -> ctypes.CDLL | str:
    """The kernels, or why they cannot be used: not built, not loadable, or of other sources."""
    try:
        path = str(import_module(f"{__package__}._engine").__file__)
        loaded = ctypes.CDLL(path)
    except ModuleNotFoundError:
        return "the package was built without a C compiler"
    except (ImportError, OSError) as error:
        return f"the compiled kernels cannot be loaded ({error}): install the package again"
    exported = ("snn_sizes", *_FUNCTIONS)
    absent = [name for name in exported if not hasattr(loaded, name)]
    if absent:
        return f"{path} was built from other sources (no {', '.join(absent)}): install the package again"
    sizes = (c_int32 * _MOST_STRUCTURES)()
    loaded.snn_sizes(sizes)
    own = [ctypes.sizeof(structure) for structure in _STRUCTURES]
    if list(sizes) != own + [0] * (_MOST_STRUCTURES - len(own)):
        return f"{path} was built from other sources (engine.h differs): install the package again"
    for name, (arguments, result) in _FUNCTIONS.items():
        function = getattr(loaded, name)
        function.argtypes, function.restype = arguments, result
    return loaded


def usable_kernels() -> tuple[str, ...]:
    """Compiled kernels that this processor can run, fastest first; empty where none was built."""
    loaded = library()
    if loaded is None:
        return ()
    names: list[str] = []
    while name := loaded.snn_kernel_name(len(names)):
        names.append(name.decode())
    return tuple(name for name in names if loaded.snn_lanes(name.encode()))


def load_and_add(kernel: str, rows: int, rounds: int) -> int:
    """Load and add ``rows`` rows of TILE 16-bit integers ``rounds`` times; return the number of additions."""
    loaded = library()
    if loaded is None or loaded.snn_load_and_add(kernel.encode(), rows, rounds):
        return 0
    return rows * rounds * TILE


def lanes(kernel: str) -> int:
    """Float lanes of a usable kernel's vectors."""
    loaded = library()
    return 0 if loaded is None else int(loaded.snn_lanes(kernel.encode()))
