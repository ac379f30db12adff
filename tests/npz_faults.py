"""Every way in which an .npz file can be wrong, made from a sound one: name -> the damaged bytes."""

from __future__ import annotations

import io
import struct
import zipfile
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Arrays = dict[str, NDArray[np.generic]]


def whole(arrays: Arrays) -> bytes:
    """The sound file."""
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)
    return buffer.getvalue()


def _first_data(data: bytes) -> int:
    """Where the compressed bytes of the first member begin."""
    name, extra = struct.unpack_from("<HH", data, 26)
    return 30 + name + extra


def _deflate_broken(arrays: Arrays) -> bytes:
    data = bytearray(whole(arrays))
    start = _first_data(data)
    data[start : start + 8] = b"\xff" * 8
    return bytes(data)


def _checksum_broken(arrays: Arrays) -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    data = bytearray(buffer.getvalue())
    data[_first_data(data) + 200] ^= 1
    return bytes(data)


def _central(arrays: Arrays, offset: int, value: int) -> bytes:
    """The file with one 16-bit field of each header changed, in the local and the central directory."""
    data = bytearray(whole(arrays))
    for signature, shift in ((b"PK\x03\x04", 0), (b"PK\x01\x02", 2)):
        at = data.find(signature)
        while at >= 0:
            struct.pack_into("<H", data, at + offset + shift, value)
            at = data.find(signature, at + 4)
    return bytes(data)


def _with_header(arrays: Arrays, header: bytes) -> bytes:
    """The file with another .npy header before the first array's bytes."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, array in arrays.items():
            text = header.ljust(117) + b"\n"
            content = b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text + array.tobytes()
            archive.writestr(f"{name}.npy", content)
    return buffer.getvalue()


def _pickled(arrays: Arrays) -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, **{name: np.array([{"a": 1}], dtype=object) for name in arrays})
    return buffer.getvalue()


def _no_array(arrays: Arrays) -> bytes:
    buffer = io.BytesIO(whole(arrays))
    with zipfile.ZipFile(buffer, "a") as archive:
        archive.writestr("notes.txt", "hello")
    return buffer.getvalue()


FAULTS: dict[str, Callable[[Arrays], bytes]] = {
    "empty": lambda arrays: b"",
    "text": lambda arrays: b"text",
    "truncated": lambda arrays: whole(arrays)[: len(whole(arrays)) // 2],
    "no directory": lambda arrays: whole(arrays)[:-30],
    "broken deflate stream": _deflate_broken,
    "broken checksum": _checksum_broken,
    "encrypted": lambda arrays: _central(arrays, 6, 1),
    "unknown compression": lambda arrays: _central(arrays, 8, 97),
    "a header of 80 TiB": lambda arrays: _with_header(
        arrays, b"{'descr': '|u1', 'fortran_order': False, 'shape': (80, 1099511627776)}"
    ),
    "a header that is no Python": lambda arrays: _with_header(arrays, b"{'descr': '|u1', 'shape': (1,"),
    "a header with a bad type": lambda arrays: _with_header(
        arrays, b"{'descr': '|x9', 'fortran_order': False, 'shape': (1,)}"
    ),
    "a negative shape": lambda arrays: _with_header(
        arrays, b"{'descr': '|u1', 'fortran_order': False, 'shape': (-1, 4)}"
    ),
    "pickled objects": _pickled,
    "a member that is no array": _no_array,
}
