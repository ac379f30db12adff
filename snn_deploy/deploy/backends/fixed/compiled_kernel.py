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
from collections.abc import Collection, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from snn_deploy.convert.quantised import QuantisedNetwork
from snn_deploy.deploy.backends.chunked import Chunk
from snn_deploy.deploy.backends.fixed.bounds import bounds, reasons_against
from snn_deploy.deploy.backends.fixed.kernel import NO_RESETS, Prepared, Resets
from snn_deploy.deploy.backends.fixed.layout import Layout
from snn_deploy.deploy.backends.kernels import library as c
from snn_deploy.errors import BackendUnavailable

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
        from snn_deploy.deploy.backends.fixed.numpy_kernel import Golden

        with self._lock:
            if self._golden is None:
                self._golden = Golden(self._network, self._resets)
            return self._golden


class _Engine:
    """A layout for a number of steps, with one workspace a thread."""

    def __init__(self, network: QuantisedNetwork, layout: Layout, kernel: bytes, steps: int) -> None:
        self._layout = layout
        self._kernel = kernel
        self._steps = steps
        self._inputs = [node.name for node in network.inputs]
        self._types = [np.int32 if node.message_bits else np.uint8 for node in network.inputs]
        self._populations = [p.name for p in network.populations]
        self._sizes = {name: int(layout.neurons[i]) for name, i in layout.number.items()}
        self._padded = {name: int(layout.padded[i]) for name, i in layout.number.items()}
        self._places = {
            name: np.argsort(order)
            for name, order in layout.order.items()
            if np.any(order != np.arange(order.size))
        }
        self._idle: list[int] = []
        loaded = c.library()
        if loaded is None:
            raise BackendUnavailable(
                "the compiled kernels are not there", where="kernel", found=kernel.decode()
            )
        self._library = loaded
        weakref.finalize(self, _free, loaded, layout, self._idle)

    def run(
        self,
        inputs: Mapping[str, NDArray[Any]],
        counts: Collection[str],
        rasters: Collection[str],
        membranes: Collection[str],
    ) -> Chunk | None:
        """Run samples; None where a state left the integers that float32 holds."""
        given = [
            np.ascontiguousarray(inputs[name], dtype=kind)
            for name, kind in zip(self._inputs, self._types, strict=True)
        ]
        samples = given[0].shape[0]
        totals = {name: np.zeros(width, dtype=np.int64) for name, width in self._padded.items()}
        late = {tail: np.zeros(self._padded[tail[0]], dtype=np.int64) for tail in self._layout.tails}
        counted = {name: np.empty((samples, self._padded[name]), dtype=np.int32) for name in counts}
        shape = (samples, self._steps)
        drawn = {name: np.empty((*shape, self._sizes[name]), dtype=np.uint8) for name in rasters}
        voltages = {name: np.empty((*shape, self._sizes[name]), dtype=np.int32) for name in membranes}
        number = self._layout.number
        tails = [c.Tail(_address(array), number[name], delay) for (name, delay), array in late.items()]
        job = c.Job(
            inputs=_addresses(given),
            counts=_addresses([counted.get(name) for name in self._populations]),
            rasters=_addresses([drawn.get(name) for name in self._populations]),
            membranes=_addresses([voltages.get(name) for name in self._populations]),
            totals=_addresses(list(totals.values())),
            tails=(c.Tail * len(tails))(*tails),
            first_sample=0,
            samples=samples,
            steps=self._steps,
            tail_count=len(tails),
        )
        if self._call(job) == _INEXACT:
            return None
        return Chunk(
            counts={name: self._restored(name, array) for name, array in counted.items()},
            rasters={name: self._restored(name, array) for name, array in drawn.items()},
            membranes={name: self._restored(name, array) for name, array in voltages.items()},
            spikes={name: self._restored(name, array) for name, array in totals.items()},
            late={tail: self._restored(tail[0], array) for tail, array in late.items()},
        )

    def _call(self, job: c.Job) -> int:
        workspace = self._workspace()
        try:
            status = self._library.snn_run(self._layout.structure, job, self._kernel, workspace)
        finally:
            self._idle.append(workspace)
        if status == _OUT_OF_MEMORY:
            raise MemoryError("the compiled kernel ran out of memory; give a smaller --batch")
        if status == _NO_KERNEL:
            raise BackendUnavailable("this processor cannot run the kernel", found=self._kernel.decode())
        return int(status)

    def _workspace(self) -> int:
        try:
            return self._idle.pop()  # atomic, so that two threads never share one
        except IndexError:
            made = self._library.snn_make_workspace(self._layout.structure, self._steps)
            if not made:
                raise MemoryError("the compiled kernel ran out of memory for its workspace") from None
            return int(made)

    def _restored(self, name: str, array: NDArray[Any]) -> NDArray[Any]:
        """Without padding, in the network's own order of neurons."""
        if name in self._places:
            return array[..., self._places[name]]
        return array[..., : self._sizes[name]]


def _address(array: NDArray[Any]) -> int:
    return int(array.__array_interface__["data"][0])


def _addresses(arrays: list[Any]) -> Any:
    return (ctypes.c_void_p * len(arrays))(*[None if a is None else _address(a) for a in arrays])


def _free(loaded: ctypes.CDLL, layout: Layout, idle: list[int]) -> None:
    for workspace in idle:
        loaded.snn_free_workspace(ctypes.byref(layout.structure), workspace)
