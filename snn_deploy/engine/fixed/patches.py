"""Convolutions by tables: the spikes that reach a pixel index sums that were made before (patches.inc)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from snn_deploy.engine.kernels.library import TILE, Patches
from snn_deploy.network.connections import Conv2d

#: Bytes of tables that a level-1 cache mostly keeps; with more, adding spike by spike is faster.
_TABLE_BYTES = 40 << 10
#: Bits of a run that a word of 64 holds, wherever in its first byte it begins.
_RUN_BITS = 48
#: Bits that such a word surely has behind the byte before the field and the bits of its first byte.
_SHARED_BITS = 64 - 8 - 7
_CHANNELS = (16, 32, 64, 128)


@dataclass(frozen=True)
class Field:
    """The lines of spikes that reach one pixel.

    bits: of each line, in ``parts`` words of at most part_bits. cell: bits from a column of the source to
    the next: its channels where those stand side by side, else 1. chunk: bits that index a table together.
    """

    conv: Conv2d
    cell: int
    part_bits: int
    parts: int
    chunk: int

    @property
    def bits(self) -> int:
        """Bits of one line of the field."""
        return int(self.conv.weight.shape[3]) * self.cell

    @property
    def chunks(self) -> int:
        """Chunks of one word."""
        return -(-self.part_bits // self.chunk)

    @property
    def lines(self) -> int:
        """Words of the field."""
        return int(self.conv.weight[0].size) // self.bits * self.parts


def field(conv: Conv2d, side_by_side: bool) -> Field | None:
    """Choose how a convolution is cut into chunks; None where tables do not pay or do not exist.

    side_by_side: the channels of a source's pixel are neighbours in the kernel's order.
    """
    channels, _, _, columns = conv.weight.shape
    if conv.groups != 1 or channels not in _CHANNELS or conv.dilation[1] != 1:
        return None
    cell = int(conv.weight.shape[1]) if side_by_side else 1
    bits = int(columns) * cell
    parts = -(-bits // _RUN_BITS)
    part_bits = bits if parts == 1 else -(-bits // (8 * parts)) * 8
    for chunk in range(8, 1, -1):
        found = Field(conv, cell, part_bits, parts, chunk)
        if found.lines * found.chunks * channels * 2 << chunk <= _TABLE_BYTES:
            return found
    return None


def tables(of: Field, unit: int) -> NDArray[np.int16]:
    """Sums of weights / 2^unit, (lines * chunks, 2^chunk, channels).

    Bit i of an index adds the chunk's cell i. Bits behind the end of a run, which the word may hold, add
    nothing.
    """
    weight = of.conv.weight.astype(np.int64) >> unit
    channels, sources, height, width = weight.shape
    if of.cell == 1:
        runs = weight.transpose(1, 2, 3, 0).reshape(sources * height, width, channels)
    else:
        runs = weight.transpose(2, 3, 1, 0).reshape(height, width * sources, channels)
    padded = np.zeros((runs.shape[0], of.parts * of.part_bits, channels), dtype=np.int64)
    padded[:, : runs.shape[1]] = runs
    words = np.zeros((runs.shape[0] * of.parts, of.chunks * of.chunk, channels), dtype=np.int64)
    words[:, : of.part_bits] = padded.reshape(-1, of.part_bits, channels)
    cells = words.reshape(-1, of.chunk, channels)
    choices = (np.arange(1 << of.chunk)[:, None] >> np.arange(of.chunk)) & 1
    return np.asarray(np.einsum("ei,nic->nec", choices, cells), dtype=np.int16)


def structure(of: Field, pointer: Callable[[Any, Any], int], unit: int, **place: int) -> Patches:
    """The C structure. pointer(values, dtype) keeps an array and gives its address.

    place: source, delay and index of the projection.
    """
    conv, cell = of.conv, of.cell
    channels, sources, height, _ = conv.weight.shape
    _, lines, columns = conv.input_shape
    planes = 1 if cell > 1 or sources == 1 else sources
    top, left = conv.padding[0], conv.padding[1] * cell
    framed_lines = lines + 2 * top
    line_bytes = -(-(columns + 2 * conv.padding[1]) * cell // 8)
    line_at = [
        (plane * framed_lines + row * conv.dilation[0]) * line_bytes
        for plane in range(planes)
        for row in range(height)
    ]
    words = [at + part * of.part_bits // 8 for at in line_at for part in range(of.parts)]
    row_shift = int(channels * 2).bit_length() - 1
    _, rows, out_columns = conv.output_shape
    neighbours, step = max(1, TILE // channels), conv.stride[1] * cell
    return Patches(
        tables=pointer(tables(of, unit), np.int16),
        field=pointer(words, np.int32),
        planes=planes,
        lines=lines,
        line_bits=columns * cell,
        framed_lines=framed_lines,
        line_bytes=line_bytes,
        # words are read and written whole, before the first line and beyond the last
        frame_bytes=planes * framed_lines * line_bytes + 24,
        top=top,
        left=left,
        field_lines=len(words),
        chunk=of.chunk,
        chunks=of.chunks,
        row_shift=row_shift,
        channels=channels,
        columns=out_columns,
        pixels=rows * out_columns,
        row_bytes=conv.stride[0] * line_bytes,
        column_bits=step,
        shared=int(of.parts == 1 and (neighbours - 1) * step + of.bits <= _SHARED_BITS),
        **place,
    )
