"""A QuantisedNetwork as the compiled kernel reads it: engine.h says what each array means.

Neurons keep their order, except where a convolution with many channels arrives: there the channels
of a pixel stand side by side, so that one spike adds one short run of weights to each pixel it reaches.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeGuard

import numpy as np
from numpy.typing import NDArray

from snn_deploy.engine.fixed.bounds import Bounds, absolute_sums
from snn_deploy.engine.fixed.merging import merged
from snn_deploy.engine.fixed.patches import Field, field, structure
from snn_deploy.engine.fixed.rows import Rows, plan
from snn_deploy.engine.kernels import library as c
from snn_deploy.engine.stepping import same_step_order
from snn_deploy.network.connections import Connection, Conv2d, Dense, size, synapses, weights
from snn_deploy.network.integers import DECAY_UNITY, STATE_LIMIT, STATE_SHIFT, kept_u, kept_v
from snn_deploy.network.quantised import QuantisedNetwork, QuantisedPopulation, QuantisedProjection
from snn_deploy.network.schedule import stages

#: A sparse projection is stored densely above this share of nonzero weights: adding a row of 64
#: weights takes two vector additions, adding one weight by index one scalar addition.
_DENSE_FROM = 1 / 24
_DENSE_BYTES = 64 << 20
#: Channels from which a convolution is added pixel by pixel.
_BLOCK_FROM = 8
_INT16 = 32767


class Layout:
    """The C structures of a network for one kernel, and the arrays that they point to.

    order: for each population the original position of each neuron in the kernel's order.
    tails: (node, delay) pairs whose late spikes must be counted. padded: neurons in whole tiles.
    """

    def __init__(
        self,
        network: QuantisedNetwork,
        reach: Mapping[str, Bounds],
        lanes: int,
        resets: Mapping[str, tuple[int, int]],
    ) -> None:
        self._alive: list[Any] = []
        self._lanes = lanes
        self._resets = resets
        self._network = network
        self._reach = reach
        self._projections = merged(network.projections)
        self._stages = stages(network)
        self._cyclic = {p for stage in self._stages if self._inside(stage) for p in stage}
        self._groups = 0
        self._framed = 0
        self._listed: set[str] = set()
        self.names = [i.name for i in network.inputs] + [p.name for p in network.populations]
        self.neurons = np.array(
            [int(np.prod(i.shape)) for i in network.inputs] + [p.neurons for p in network.populations],
            dtype=np.int64,
        )
        self.padded = (self.neurons + c.TILE - 1) // c.TILE * c.TILE
        self.number = {name: i for i, name in enumerate(self.names)}
        self.bits = {node.name: node.message_bits for node in network.inputs}
        self._shapes = {p.name: _pixel_shape(p.name, network.projections) for p in network.populations}
        self.order = {p.name: _order(p, self._shapes[p.name]) for p in network.populations}
        self.tails = sorted({(e.source, e.delay) for e in network.projections if e.delay})
        self.structure = self._build()

    def _keep(self, array: Any) -> Any:
        self._alive.append(array)
        return array

    def _pointer(self, values: Any, dtype: Any) -> int:
        """Address of a copy aligned to a cache line, which lives as long as the layout."""
        values = np.ascontiguousarray(values, dtype=dtype)
        memory = self._keep(np.zeros(values.nbytes + 128, dtype=np.uint8))
        offset = -memory.ctypes.data % 64
        memory[offset : offset + values.nbytes] = values.reshape(-1).view(np.uint8)
        return int(memory.ctypes.data + offset)

    def _array(self, kind: Any, items: Sequence[Any]) -> Any:
        return self._keep((kind * max(1, len(items)))(*items))

    def _build(self) -> c.Network:
        network = self._network
        populations = [self._population(p) for p in network.populations]
        orders = [self._stage(stage, populations) for stage in self._stages]
        return c.Network(
            neurons=self._pointer(self.neurons, np.int64),
            message_bits=self._pointer([self.bits.get(name, 0) for name in self.names], np.int32),
            listed=self._pointer([name in self._listed for name in self.names], np.int32),
            populations=self._array(c.Population, populations),
            stages=self._array(c.Stage, orders),
            inputs=len(network.inputs),
            population_count=len(populations),
            stage_count=len(orders),
            group_count=self._groups,
            patch_count=self._framed,
        )

    def _inside(self, stage: Sequence[str]) -> list[QuantisedProjection]:
        return [e for e in self._network.projections if e.source in stage and e.target in stage]

    def _stage(self, stage: Sequence[str], populations: Sequence[c.Population]) -> c.Stage:
        first = len(self._network.inputs)
        inside = self._inside(stage)
        members = [self.number[name] - first for name in same_step_order(stage, inside)]
        alone = populations[members[0]]
        groups = [alone.groups[i] for i in range(alone.group_count)]
        scattered = any(group.narrow_count or group.wide_count for group in groups)
        return c.Stage(
            members=self._pointer(members, np.int32),
            count=len(members),
            forward=int(not inside and len(members) == 1 and not scattered),
        )

    def _population(self, population: QuantisedPopulation) -> c.Population:
        order = self.order[population.name]
        node = self.number[population.name]
        pad = int(self.padded[node]) - population.neurons
        groups = [self._group(exponent, group) for exponent, group in self._grouped(population.name)]
        reach = self._reach[population.name]
        interval, offset = self._resets.get(population.name, (0, 0))

        def per_neuron(values: Any) -> int:
            return self._pointer(np.pad(values[order], (0, pad)), np.float32)

        return c.Population(
            groups=self._array(c.Group, groups),
            bias=per_neuron(population.bias),
            u0=per_neuron(population.u0),
            v0=per_neuron(population.v0),
            keep_u=kept_u(population.du) / DECAY_UNITY,
            keep_v=kept_v(population.dv) / DECAY_UNITY,
            # v never exceeds 2^23 - 1, so a higher threshold is as unreachable
            threshold=min(population.vth << STATE_SHIFT, STATE_LIMIT),
            node=node,
            group_count=len(groups),
            wraps=int(reach.wraps),
            clips=c.BOTH_SIDES if reach.clips_high else c.BELOW if reach.clips_low else c.NEVER,
            reset_interval=interval,
            reset_offset=offset % interval if interval else 0,
            subtracts=int(population.spiking and population.reset == "subtract"),
        )

    def _grouped(self, target: str) -> list[tuple[int, list[QuantisedProjection]]]:
        """Projections whose sums shift together: a right shift rounds each projection's own sum."""
        groups: dict[tuple[int, str], list[QuantisedProjection]] = {}
        for projection in self._projections:
            if projection.target == target:
                own = projection.name if projection.weight_exp < 0 else ""
                groups.setdefault((projection.weight_exp, own), []).append(projection)
        return [(exponent, members) for (exponent, _), members in groups.items()]

    def _group(self, exponent: int, members: Sequence[QuantisedProjection]) -> c.Group:
        dense = [p for p in members if self._has_rows(p)]
        self._listed |= {p.source for p in dense}
        rest = [p for p in members if p not in dense]
        blocks = [p for p in rest if self._by_pixels(p) and not self.bits.get(p.source)]
        unit = int(all(not np.any(weights(p.connection) & 1) for p in [*dense, *blocks]))
        fields = self._fields(blocks, unit)
        blocks = [p for p in blocks if p.name not in fields]
        sums = sum(absolute_sums(p.connection) for p in blocks)
        narrow = blocks if blocks and int(np.max(sums)) <= _INT16 else []
        wide = [p for p in rest if p not in narrow and p.name not in fields]
        matrices = [self._ordered(p) for p in dense]
        rows = plan(matrices, unit, self._resident(dense))
        segments = [s for p, m in zip(dense, matrices, strict=True) for s in self._dense(p, m, rows)]
        patches = [self._patches(p, fields[p.name], unit) for p in rest if p.name in fields]
        self._groups += 1
        return c.Group(
            dense=self._array(c.Dense, segments),
            patches=self._array(c.Patches, patches),
            narrow=self._array(c.Scatter, [self._scatter(p, 16) for p in narrow]),
            wide=self._array(c.Scatter, [self._scatter(p, 1) for p in wide]),
            dense_count=len(segments),
            patch_count=len(patches),
            narrow_count=len(narrow),
            wide_count=len(wide),
            exponent=exponent,
            rows=rows.safe,
            bytes=int(rows.bytes),
            unit=unit,
            index=self._groups - 1,
        )

    def _fields(self, blocks: Sequence[QuantisedProjection], unit: int) -> dict[str, Field]:
        """Convolutions that tables add, by name."""
        found = {}
        for projection in blocks:
            conv = projection.connection
            shape = self._shapes.get(projection.source)
            small = int(absolute_sums(conv).max(initial=0)) >> unit <= _INT16
            if isinstance(conv, Conv2d) and small and shape in (None, conv.input_shape):
                cut = field(conv, side_by_side=shape is not None)
                if cut is not None:
                    found[projection.name] = cut
        return found

    def _patches(self, projection: QuantisedProjection, cut: Field, unit: int) -> c.Patches:
        self._framed += 1
        source = self.number[projection.source]
        return structure(
            cut, self._pointer, unit, source=source, delay=projection.delay, index=self._framed - 1
        )

    def _has_rows(self, projection: QuantisedProjection) -> bool:
        """Whether spikes add rows of weights."""
        return not self.bits.get(projection.source) and _is_dense(projection.connection)

    def _by_pixels(self, projection: QuantisedProjection) -> bool:
        """Whether a convolution adds runs of channels: its pixels are those of the kernel's order."""
        connection = projection.connection
        return _is_block(connection) and connection.output_shape == self._shapes[projection.target]

    def _resident(self, dense: Sequence[QuantisedProjection]) -> int:
        """Bytes of rows, in 16 bits, that every step reads again: one tile's, or, in a cycle, all tiles'."""
        columns = sum(int(self.neurons[self.number[p.source]]) for p in dense)
        target = dense[0].target if dense else ""
        width = int(self.padded[self.number[target]]) if target in self._cyclic else c.TILE
        return 2 * columns * width

    def _dense(self, projection: QuantisedProjection, matrix: NDArray[Any], rows: Rows) -> list[c.Dense]:
        """The rows of a projection, one structure for each segment of its source."""
        offset = rows.offset(matrix)
        segments = []
        for begin in range(0, matrix.shape[1], c.SEGMENT):
            part = matrix[:, begin : begin + c.SEGMENT]
            segments.append(
                c.Dense(
                    weights=self._pointer(rows.encode(part, self._lanes, offset), np.int16),
                    source=self.number[projection.source],
                    delay=projection.delay,
                    segment=begin // c.SEGMENT,
                    rows=part.shape[1],
                    offset=offset,
                )
            )
        return segments

    def _ordered(self, projection: QuantisedProjection) -> NDArray[Any]:
        connection = projection.connection
        matrix = connection.weight if isinstance(connection, Dense) else synapses(connection).toarray()
        matrix = matrix[self.order[projection.target]]
        return np.asarray(
            matrix[:, self.order[projection.source]] if projection.source in self.order else matrix
        )

    def _scatter(self, projection: QuantisedProjection, multiple: int) -> c.Scatter:
        """Spikes add runs of weights; ``multiple``: pad the runs to a multiple of this width."""
        connection = projection.connection
        by_pixels = isinstance(connection, Conv2d) and self._by_pixels(projection)
        if isinstance(connection, Conv2d) and by_pixels:
            first, target, row, values, width = self._pixels(projection.source, connection, multiple)
        elif isinstance(connection, Dense):
            values = self._ordered(projection).T
            width = values.shape[1]
            first = np.arange(values.shape[0] + 1)
            target, row = np.zeros(values.shape[0]), np.arange(values.shape[0]) * width
        else:
            matrix = synapses(connection)[self.order[projection.target]].tocsc()
            if projection.source in self.order:
                matrix = matrix[:, self.order[projection.source]]
            first, target, values, width = matrix.indptr, matrix.indices, matrix.data, 1
            row = np.arange(target.size)
        return c.Scatter(
            weights=self._pointer(values, np.int16),
            first=self._pointer(first, np.int64),
            target=self._pointer(target, np.int32),
            row=self._pointer(row, np.int32),
            source=self.number[projection.source],
            delay=projection.delay,
            width=width,
            grain=connection.weight.shape[0] if isinstance(connection, Conv2d) and by_pixels else 1,
            graded=int(bool(self.bits.get(projection.source))),
        )

    def _pixels(self, source: str, conv: Conv2d, multiple: int) -> tuple[Any, Any, Any, Any, int]:
        """Runs of weights for a spike: the neighbouring pixels that it reaches in one row, all channels.

        Runs are padded with zeros to one width, so that how many a spike adds depends on its row alone:
        the processor then predicts the loop over them.
        """
        channels, columns = conv.weight.shape[0], conv.output_shape[2]
        labels = np.arange(1, conv.weight[0].size + 1).reshape(1, *conv.weight.shape[1:])
        reached = synapses(replace(conv, weight=labels)).tocsc()
        if source in self.order:
            reached = reached[:, self.order[source]]
        reached.sort_indices()
        pixel, label = reached.indices.astype(np.int64), reached.data - 1
        begins = np.ones(pixel.size, dtype=bool)
        begins[1:] = (np.diff(pixel) != 1) | (pixel[1:] % columns == 0)
        begins[reached.indptr[:-1][np.diff(reached.indptr) > 0]] = True
        starts = np.flatnonzero(begins)
        lengths = np.diff(np.append(starts, pixel.size))
        first = np.searchsorted(starts, reached.indptr)
        longest = int(lengths.max(initial=1))
        width = -(-longest * channels // multiple) * multiple
        # along a row of pixels the kernel's column falls by a fixed step: first label and length say all
        key, example, which = np.unique(
            label[starts] * (longest + 1) + lengths, return_index=True, return_inverse=True
        )
        runs = np.zeros((key.size, width), dtype=np.int16)
        taps = conv.weight.reshape(channels, -1).T
        for run, place in zip(runs, example, strict=True):
            entries = slice(starts[place], starts[place] + lengths[place])
            run[: lengths[place] * channels] = taps[label[entries]].reshape(-1)
        return first, pixel[starts] * channels, which.reshape(-1) * width, runs, width


def _is_block(connection: Connection) -> TypeGuard[Conv2d]:
    """Whether the kernel adds it pixel by pixel."""
    return (
        isinstance(connection, Conv2d)
        and connection.groups == 1
        and connection.weight.shape[0] >= _BLOCK_FROM
    )


def _is_dense(connection: Connection) -> bool:
    if isinstance(connection, Dense):
        return True
    rows, columns = size(connection)
    if rows * columns * 2 > _DENSE_BYTES or _is_block(connection):
        return False
    return bool(synapses(connection).nnz >= _DENSE_FROM * rows * columns)


def _pixel_shape(name: str, projections: Sequence[QuantisedProjection]) -> tuple[int, int, int] | None:
    """(channels, height, width) of a population whose channels shall stand side by side, or None."""
    for projection in projections:
        if projection.target == name and _is_block(projection.connection):
            return projection.connection.output_shape
    return None


def _order(population: QuantisedPopulation, shape: tuple[int, int, int] | None) -> NDArray[Any]:
    """Original position of each neuron in the kernel's order."""
    positions = np.arange(population.neurons)
    return positions if shape is None else positions.reshape(shape).transpose(1, 2, 0).reshape(-1)
