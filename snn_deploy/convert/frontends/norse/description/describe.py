"""Save a model that was built in Norse itself: it is described, and only values are stored.

import norse.torch as norse
model = norse.SequentialState(torch.nn.Linear(700, 128), norse.LIFCell(), ...)
save_model("model.pt", model, {"input": 700})           # then: snn-deploy convert model.pt -o model.snn
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from math import prod
from typing import TYPE_CHECKING, Any, get_args

from snn_deploy.convert.frontends.norse import import_norse
from snn_deploy.convert.frontends.norse.description.checkpoint import save_checkpoint
from snn_deploy.convert.frontends.norse.description.config import Config
from snn_deploy.convert.frontends.norse.description.layer_specs import TORCH_LAYERS
from snn_deploy.convert.frontends.norse.description.neuron_specs import NEURONS
from snn_deploy.convert.frontends.norse.description.spec import Layer, Shape
from snn_deploy.errors import ModelNotSupported

if TYPE_CHECKING:
    from torch import nn

_OTHERWISE = "Export the model to NIR instead: nir.write('model.nir', snn_deploy.from_torch(module, inputs))."

_SPECS: dict[str, type[Layer]] = {
    spec.model_fields["type"].default: spec for spec in (*get_args(TORCH_LAYERS), *get_args(NEURONS))
}


def save_model(
    path: str | os.PathLike[str], module: nn.Module, inputs: Mapping[str, int | Shape], **about: Any
) -> Config:
    """Write a norse.torch.SequentialState to a ``.pt`` or ``.safetensors`` file, and return its description.

    One in a DataParallel or compiled by torch is taken out, and one within another is laid out flat.
    inputs: name of the one input, and its width or shape without time and batch. about: further fields of
    :class:`Config`, such as ``task`` and ``seed``.
    Raises ModelNotSupported with every module that a checkpoint cannot describe. Such a model can be
    exported to NIR instead: ``snn_deploy.from_torch`` and ``nir.write``.
    """
    from snn_deploy.convert.frontends.norse.description.modules import build

    config = describe(module, inputs, **about)
    (name,) = inputs
    copied = build(config)
    for layer, (_, given) in zip(copied.tower(name), _layers(module, name), strict=True):
        layer.load_state_dict(
            given.state_dict(), strict=False
        )  # a norm's count of training steps is left out
    save_checkpoint(path, copied, config)
    return config


def describe(module: nn.Module, inputs: Mapping[str, int | Shape], **about: Any) -> Config:
    """The description of a norse.torch.SequentialState; see :func:`save_model`."""
    inner = _unwrapped(module)
    if type(inner) not in _containers() or len(inputs) != 1:
        raise ModelNotSupported(
            "a checkpoint holds one SequentialState behind one input",
            found=f"{type(inner).__name__}, {len(inputs)} input(s)",
            remedy=_OTHERWISE,
        )
    ((name, stated),) = inputs.items()
    shape = (stated,) if isinstance(stated, int) else tuple(stated)
    first, layers, times = shape, [], set()
    for path, child in _layers(module, name):
        spec = _describe(child, shape, path)
        layers.append(spec)
        shape = spec.behind(shape)
        dt: Any = getattr(child, "dt", None)
        if dt is not None:
            times.add(float(dt))
    if len(times) > 1:
        raise ModelNotSupported("cells differ in their time step", where=name, found=sorted(times))
    return Config(
        dt=times.pop() if times else Config.model_fields["dt"].default,
        inputs={name: prod(first)},
        input_shapes={name: list(first)} if len(first) > 1 else {},
        towers={name: layers},
        **about,
    )


def _containers() -> tuple[type[nn.Module], ...]:
    from torch import nn

    return import_norse().SequentialState, nn.Sequential


def _unwrapped(module: Any) -> nn.Module:
    """The module without what torch puts around one to run it faster."""
    while type(module).__name__ in ("DataParallel", "DistributedDataParallel", "OptimizedModule"):
        module = module._orig_mod if hasattr(module, "_orig_mod") else module.module
    inner: nn.Module = module
    return inner


def _layers(module: nn.Module, path: str) -> Iterator[tuple[str, nn.Module]]:
    """(path, layer) in their order, whatever chains they are nested in."""
    inner = _unwrapped(module)
    if type(inner) not in _containers():
        yield path, inner
        return
    for name, child in inner.named_children():
        yield from _layers(child, f"{path}.{name}")


def _describe(module: nn.Module, shape: Shape, where: str) -> Any:
    spec = _SPECS.get(type(module).__name__)
    if spec is None:
        raise ModelNotSupported(
            "a checkpoint cannot describe this module",
            where=where,
            found=type(module).__name__,
            allowed=", ".join(sorted(_SPECS)),
            remedy=_OTHERWISE,
        )
    try:
        described = spec(**spec.fields_of(module, shape))
        described.behind(shape)
    except ValueError as fault:
        raise ModelNotSupported(
            "a checkpoint cannot describe this module as it is", where=where, found=str(fault)
        ) from fault
    return described
