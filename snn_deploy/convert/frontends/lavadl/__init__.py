"""Front end for lava-dl's ``.net`` files (HDF5): networks that are integers already, so nothing is rounded.

A step of the network is a step of the file: spikes pass through all layers within it, and a layer's bias
acts from the layer's first step on, as in netx with a ``reset_interval``. netx without one lets biases act
while the first spikes are still on their way; :mod:`snn_deploy.engine.fixed.pipelined` repeats that.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

from snn_deploy.convert.frontends import Source
from snn_deploy.convert.hdf5 import open_checked, read_tree
from snn_deploy.errors import ModelNotSupported, UnsafeFile, Violation
from snn_deploy.network.contract import Contract

if TYPE_CHECKING:
    from snn_deploy.convert.frontends.lavadl.layers import Model

_log = logging.getLogger(__name__)

#: Seconds of a step where neither file nor flag says it: SLAYER's default sampling time.
_DEFAULT_DT = 1e-3


def read_source(path: Path, dt: float | None = None) -> Source:
    """Read a ``.net`` file. dt: seconds a step, or None to take the file's sampling time, else 1 ms.

    Raises UnsafeFile for a damaged file, ModelNotSupported with every layer and field that cannot be
    converted exactly.
    """
    from snn_deploy.convert.frontends.lavadl.graph import nir_graph
    from snn_deploy.convert.frontends.lavadl.integers import integer_network
    from snn_deploy.convert.frontends.lavadl.reading import read_layers

    with open_checked(path, "lava-dl network (.net)") as handle:
        tree = read_tree(handle)
    if not isinstance(tree.get("layer"), dict):
        raise UnsafeFile("not a lava-dl network: the file has no group 'layer'", where=path)
    unknown = set(tree) - {"layer", "simulation"}
    if unknown:
        raise ModelNotSupported(Violation("this is not known", f"{path}:{name}") for name in sorted(unknown))
    stated, sampling = _sampling(tree.get("simulation", {}), f"{path}:simulation")
    model = read_layers(tree["layer"], f"{path}:layer")
    contract = Contract.resolve({"dt": _time_step(stated, dt), "reset": "zero"}, dt if stated else None)
    if any(layer.bias.any() for layer in model.layers[1:]):
        _log.warning(
            "%s has biases: they act from each layer's own first step, as in netx with a reset_interval",
            path.name,
        )
    if any(layer.delay is not None and layer.kind in ("conv", "pool") for layer in model.layers):
        _log.warning("%s has delays behind convolutions: they act, though netx 0.6.0 ignores them", path.name)
    _warn_of_netx(path, model)
    network = integer_network(model, contract, profile="")
    return Source(nir_graph(model, contract), {"front_end": "lava-dl", **sampling}, network)


def _warn_of_netx(path: Path, model: Model) -> None:
    """Name the matrices on which netx itself is wrong: its run will not be ours."""
    from snn_deploy.convert.frontends.lavadl.layers import clipped_by_netx
    from snn_deploy.network.connections import Dense

    for layer in model.layers:
        for name, connection in (("weight", layer.connection), ("weight_rec", layer.recurrent)):
            if isinstance(connection, Dense) and clipped_by_netx(connection.weight):
                _log.warning(
                    "%s:layer/%d/%s: no weight is above 0 and the least is %d, a power of two: netx 0.6.0 "
                    "scales it to -256, which Lava clips, and can give other spikes; here the integers are "
                    "taken as they are",
                    path.name,
                    layer.number,
                    name,
                    connection.weight.min(),
                )


def _time_step(stated: float | None, flag: float | None) -> float:
    if stated is None and flag is None:
        _log.warning(
            "the file counts steps and does not say how long one is: %g s are taken for the NIR graph's time "
            "constants, and no integer depends on it; --dt sets it",
            _DEFAULT_DT,
        )
    return stated or flag or _DEFAULT_DT


def _sampling(tree: Any, where: str) -> tuple[float | None, dict[str, Any]]:
    """(seconds a step, what else is stated) of SLAYER's simulation group: Ts and tSample, in milliseconds."""
    allowed = {"Ts", "tSample"}
    if not isinstance(tree, dict) or set(tree) - allowed:
        raise ModelNotSupported("fields that are not known", where=where, allowed=", ".join(sorted(allowed)))
    try:
        stated = {name: float(value) for name, value in tree.items()}
    except (TypeError, ValueError) as error:
        raise ModelNotSupported("the sampling time must be a number", where=where, found=error) from error
    dt = 1e-3 * stated["Ts"] if "Ts" in stated else None
    return dt, {f"slayer_{name}_ms": value for name, value in stated.items()}
