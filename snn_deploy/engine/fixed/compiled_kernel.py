"""The compiled kernel: the golden model's integers, computed by C (kernels/).

Why float32 state is exact. |u|, |v| <= 2^23 are integers that float32 holds, k / 4096 with k <= 4096
too. Their product has at most 24 bits before the point, so rounding it toward zero to 24 significant
bits keeps all of them, and truncating then equals truncating the exact product. (Rounding to nearest
does not: close to 2^22 it can pass the next integer.) u is summed and wrapped as int32. Before the
clip, v's sum may leave 2^24, but rounding cannot bring it back below the limit. Only if the input
exceeds 2^24 in one step can u stay beyond 2^24 after its single wrap; the kernel then reports so, and
the NumPy kernel runs instead.
"""

from __future__ import annotations

import ctypes
import threading
import weakref
from collections.abc import Collection, Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from snn_deploy.engine.chunks import Chunk
from snn_deploy.engine.fixed.bounds import bounds, reasons_against
from snn_deploy.engine.fixed.layout import Layout
from snn_deploy.engine.fixed.prepared import NO_RESETS, Prepared, Resets
from snn_deploy.engine.kernels import library as c
from snn_deploy.engine.result import Overflows
from snn_deploy.errors import BackendUnavailable
from snn_deploy.network.quantised import QuantisedNetwork

_OUT_OF_MEMORY, _NO_KERNEL, _INEXACT = 1, 2, 3


class Compiled:
    """A network laid out for one compiled kernel; runs the NumPy kernel where 32 bits do not suffice."""

    def __init__(self, network: QuantisedNetwork, kernel: str, resets: Resets = NO_RESETS) -> None:
        self._network = network
        self._resets = resets
        self._kernel = kernel.encode()
        self._lanes = c.lanes(kernel)
        self._by_steps: dict[int, _Engine | None] = {}
        self._golden: Prepared | None = None
        self._lock = threading.Lock()

    def run(
        self,
        inputs: Mapping[str, NDArray[Any]],
        *,
        counts: Collection[str] = (),
        rasters: Collection[str] = (),
        membranes: Collection[str] = (),
    ) -> Chunk:
        steps = next(iter(inputs.values())).shape[1]
        engine = self._by_steps[steps] if steps in self._by_steps else self._engine(steps)
        chunk = engine.run(inputs, counts, rasters, membranes) if engine is not None else None
        if chunk is None:
            return self._numpy().run(inputs, counts=counts, rasters=rasters, membranes=membranes)
        return chunk

    def _engine(self, steps: int) -> _Engine | None:
        """The engine for runs of that many steps; None where the static bounds exclude it."""
        with self._lock:
            if steps not in self._by_steps:
                reach = bounds(self._network, steps)
                resets = {name: (reset.interval, reset.offset) for name, reset in self._resets.items()}
                fits = not reasons_against(self._network, reach)
                layout = Layout(self._network, reach, self._lanes, resets) if fits else None
                self._by_steps[steps] = (
                    _Engine(self._network, layout, self._kernel, steps) if layout else None
                )
            return self._by_steps[steps]

    def _numpy(self) -> Prepared:
        from snn_deploy.engine.fixed.numpy_kernel import Golden

        with self._lock:
            if self._golden is None:
                self._golden = Golden(self._network, self._resets)
            return self._golden


class _Slot:
    """What one thread needs at a time: scratch memory, sums, and a job whose pointers a run sets."""

    def __init__(self, engine: _Engine) -> None:
        made = engine.library.snn_make_workspace(engine.layout.structure, engine.steps)
        if not made:
            raise MemoryError("the compiled kernel ran out of memory for its workspace")
        self.workspace = int(made)
        populations, tails = len(engine.populations), engine.layout.tails
        self.inputs = (ctypes.c_void_p * len(engine.inputs))()
        self.counts, self.rasters, self.membranes = ((ctypes.c_void_p * populations)() for _ in range(3))
        self.sums = np.zeros(engine.starts[-1] + 2 * populations, dtype=np.int64)
        places = [_address(self.sums) + 8 * start for start in engine.starts[:-1]]
        number = engine.layout.number
        self.totals = (ctypes.c_void_p * len(number))(*places[: len(number)])
        self.tails = (c.Tail * len(tails))(
            *(
                c.Tail(late, number[name], delay)
                for late, (name, delay) in zip(places[len(number) :], tails, strict=True)
            )
        )
        self.job = c.Job(
            inputs=self.inputs,
            counts=self.counts,
            rasters=self.rasters,
            membranes=self.membranes,
            totals=self.totals,
            overflows=_address(self.sums) + 8 * engine.starts[-1],
            tails=self.tails,
            steps=engine.steps,
            tail_count=len(tails),
        )


class _Engine:
    """A layout for a number of steps, with one slot a thread."""

    def __init__(self, network: QuantisedNetwork, layout: Layout, kernel: bytes, steps: int) -> None:
        self.layout = layout
        self.steps = steps
        self.inputs = [(node.name, np.int32 if node.message_bits else np.uint8) for node in network.inputs]
        self.populations = {p.name: i for i, p in enumerate(network.populations)}
        self._kernel = kernel
        self._sizes = {name: int(layout.neurons[i]) for name, i in layout.number.items()}
        self._padded = {name: int(layout.padded[i]) for name, i in layout.number.items()}
        #: where each node's totals, then each tail's, begin in one array, and behind them the overflows
        widths = [int(width) for width in layout.padded] + [self._padded[name] for name, _ in layout.tails]
        self.starts = [sum(widths[:i]) for i in range(len(widths) + 1)]
        self._places = {
            name: np.argsort(order)
            for name, order in layout.order.items()
            if np.any(order != np.arange(order.size))
        }
        ends = list(zip(self.starts, self.starts[1:], strict=False))
        nodes = len(layout.names)
        self._spikes_at = {name: (name, *at) for name, at in zip(layout.names, ends[:nodes], strict=True)}
        self._late_at = {tail: (tail[0], *at) for tail, at in zip(layout.tails, ends[nodes:], strict=True)}
        self._idle: list[_Slot] = []
        loaded = c.library()
        if loaded is None:
            raise BackendUnavailable(
                "the compiled kernels are not there", where="kernel", found=kernel.decode()
            )
        self.library = loaded
        weakref.finalize(self, _free, loaded, layout, self._idle)

    def run(
        self,
        inputs: Mapping[str, NDArray[Any]],
        counts: Collection[str],
        rasters: Collection[str],
        membranes: Collection[str],
    ) -> Chunk | None:
        """Run samples; None where a state left the integers that float32 holds."""
        given = [np.ascontiguousarray(inputs[name], dtype=kind) for name, kind in self.inputs]
        samples = given[0].shape[0]
        shape = (samples, self.steps)
        counted = {name: np.empty((samples, self._padded[name]), dtype=np.int32) for name in counts}
        drawn = {name: np.empty((*shape, self._sizes[name]), dtype=np.uint8) for name in rasters}
        voltages = {name: np.empty((*shape, self._sizes[name]), dtype=np.int32) for name in membranes}
        try:
            slot = self._idle.pop()  # atomic, so that two threads never share one
        except IndexError:
            slot = _Slot(self)
        try:
            self._point(slot, given, (counted, drawn, voltages))
            slot.job.samples = samples
            slot.sums.fill(0)
            status = self.library.snn_run(self.layout.structure, slot.job, self._kernel, slot.workspace)
            sums = slot.sums.copy()
        finally:
            self._idle.append(slot)
        if status == _OUT_OF_MEMORY:
            raise MemoryError("the compiled kernel ran out of memory; give a smaller --batch")
        if status == _NO_KERNEL:
            raise BackendUnavailable("this processor cannot run the kernel", found=self._kernel.decode())
        if status == _INEXACT:
            return None
        return self._chunk(sums, counted, drawn, voltages)

    def _point(self, slot: _Slot, given: list[Any], results: Any) -> None:
        """Set the job's pointers to the arrays of this run."""
        for i, array in enumerate(given):
            slot.inputs[i] = _address(array)
        for pointers, arrays in zip((slot.counts, slot.rasters, slot.membranes), results, strict=True):
            for name, place in self.populations.items():
                pointers[place] = _address(arrays[name]) if name in arrays else None

    def _chunk(self, sums: NDArray[np.int64], counted: Any, drawn: Any, voltages: Any) -> Chunk:
        return Chunk(
            counts={name: self.restored(name, array) for name, array in counted.items()},
            rasters={name: self.restored(name, array) for name, array in drawn.items()},
            membranes={name: self.restored(name, array) for name, array in voltages.items()},
            spikes=_Sums(self, sums, self._spikes_at),
            late=_Sums(self, sums, self._late_at),
            overflows=_Overflows(self.populations, sums[self.starts[-1] :]),
        )

    def restored(self, name: str, array: NDArray[Any]) -> NDArray[Any]:
        """Without padding, in the network's own order of neurons."""
        if name in self._places:
            return array[..., self._places[name]]
        return array[..., : self._sizes[name]]


class _Sums(Mapping[Any, NDArray[np.int64]]):
    """Parts of the sums by key, cut out when they are asked for: a short run should not wait for it."""

    def __init__(self, engine: _Engine, sums: NDArray[np.int64], places: Mapping[Any, Any]) -> None:
        self._engine, self._sums, self._places = engine, sums, places

    def __getitem__(self, key: Any) -> NDArray[np.int64]:
        name, start, end = self._places[key]
        return self._engine.restored(name, self._sums[start:end])

    def __iter__(self) -> Iterator[Any]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)


class _Overflows(Mapping[str, Overflows]):
    """What happened in each population, likewise made when it is asked for; counts: two a population."""

    def __init__(self, places: Mapping[str, int], counts: NDArray[np.int64]) -> None:
        self._places, self._counts = places, counts

    def __getitem__(self, name: str) -> Overflows:
        place = 2 * self._places[name]
        return Overflows(*self._counts[place : place + 2].tolist())

    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)


def _address(array: NDArray[Any]) -> int:
    return int(array.__array_interface__["data"][0])


def _free(loaded: ctypes.CDLL, layout: Layout, idle: list[_Slot]) -> None:
    for slot in idle:
        loaded.snn_free_workspace(ctypes.byref(layout.structure), slot.workspace)
