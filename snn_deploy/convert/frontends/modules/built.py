"""Weights without a description: the user's own code builds the module, in a process of its own.

A pickled module would run code of whoever made the file; a state_dict cannot say how its neurons behave.
So the user names a function, FILE.py:build, that builds the module anew: that file runs, no checkpoint does.
"""

from __future__ import annotations

import importlib.util
import json
import logging
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from snn_deploy.errors import ModelNotSupported, SnnDeployError, UsageError, Violation
from snn_deploy.files import existing_file

if TYPE_CHECKING:
    import nir
    import torch

_log = logging.getLogger(__name__)

#: Seconds that building a module may take.
_LIMIT = 600
#: What wrappers put in front of a parameter's name: DataParallel, torch.compile.
_WRAPPERS = ("module", "_orig_mod")
_HOW = (
    "The file must define build(), which returns the module, or (module, inputs) with inputs the width or "
    "shape of the input without time and batch."
)


def build_and_walk(checkpoint: Path, function: str, dt: float | None) -> nir.NIRGraph:
    """Build a module in a child process, give it the weights in ``checkpoint``, and return its NIR graph.

    function: ``FILE.py:name`` of a function without arguments, whose file is run. dt: as from_torch takes it.
    Raises UsageError for a function that is not there, what from_torch raises, and ModelNotSupported for
    weights that do not fit the module and for code that fails.
    """
    from snn_deploy.convert.frontends.nir_file import read_graph

    file, _, name = function.rpartition(":")
    if not file or not name.isidentifier():
        raise UsageError("no function is named", where="--model", found=function, allowed="FILE.py:build")
    existing_file(file, "file that builds the model")
    _log.warning("--model runs the code in %s", file)
    with tempfile.TemporaryDirectory(prefix="snn-deploy-") as folder:
        graph, faults = Path(folder) / "model.nir", Path(folder) / "faults.json"
        command = [
            sys.executable,
            "-W",
            "ignore",
            "-m",
            __name__,
            str(checkpoint),
            file,
            name,
            str(graph),
            str(faults),
        ]
        try:
            done = subprocess.run(
                [*command, repr(dt)], stdout=subprocess.DEVNULL, timeout=_LIMIT, check=False
            )
        except subprocess.TimeoutExpired as error:
            raise ModelNotSupported(
                "building the model takes too long", where=function, allowed=f"{_LIMIT} s"
            ) from error
        if faults.exists():
            told = json.loads(faults.read_text(encoding="utf-8"))
            kinds = {kind.__name__: kind for kind in SnnDeployError.__subclasses__()}
            raise kinds[told["kind"]](Violation(**fault) for fault in told["violations"])
        if done.returncode or not graph.exists():
            raise ModelNotSupported(
                "the process that builds the model ended", where=function, found=f"exit {done.returncode}"
            )
        return read_graph(graph)


def _main(arguments: Sequence[str]) -> None:
    """The child: writes the graph, or what is wrong."""
    checkpoint, file, name, graph, faults, dt = arguments
    from snn_deploy.convert.frontends.modules.walk import from_torch
    from snn_deploy.convert.frontends.nir_file import write_graph

    logging.basicConfig(format="%(levelname)s %(name)s: %(message)s")
    try:
        module, inputs = built_module(file, name)
        load_weights(module, state_dict_of(Path(checkpoint)), checkpoint)
        write_graph(Path(graph), from_torch(module.eval(), inputs, dt=None if dt == "None" else float(dt)))
    except SnnDeployError as error:
        told = {"kind": type(error).__name__, "violations": [asdict(v) for v in error.violations]}
        Path(faults).write_text(json.dumps(told), encoding="utf-8")


def built_module(file: str, name: str) -> tuple[torch.nn.Module, Any]:
    """The module that ``name`` in ``file`` builds, and its inputs; the file is run.

    Raises UsageError where it builds none or does not say its inputs, ModelNotSupported where it fails.
    """
    from torch import nn

    spec = importlib.util.spec_from_file_location(Path(file).stem, file)
    if spec is None or spec.loader is None:
        raise UsageError("this file is no Python", where=file, remedy=_HOW)
    sys.path.insert(0, str(Path(file).parent.resolve()))  # its own imports, as if it were run
    own = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = own
    try:
        spec.loader.exec_module(own)
        function: Callable[[], Any] | None = getattr(own, name, None)
        built = function() if callable(function) else None
    except Exception as error:  # the user's code may raise anything
        raise ModelNotSupported(
            "the code that builds the model fails",
            where=f"{file}:{name}",
            found=f"{type(error).__name__}: {error}",
        ) from error
    module, inputs = built if isinstance(built, tuple) and len(built) == 2 else (built, None)
    if not isinstance(module, nn.Module):
        raise UsageError("this is no module", where=f"{file}:{name}", found=type(built).__name__, remedy=_HOW)
    return module, _first_width(module, f"{file}:{name}") if inputs is None else inputs


def _first_width(module: torch.nn.Module, where: str) -> int:
    """The width that the first layer takes, if it is a Linear."""
    from torch import nn

    kinds = nn.Linear | nn.Conv1d | nn.Conv2d
    layers = [part for _, part in nn.Module.named_modules(module) if isinstance(part, kinds)]
    if not layers or not isinstance(layers[0], nn.Linear):
        raise UsageError("the shape of the input is not stated", where=where, remedy=_HOW)
    return int(layers[0].in_features)


def state_dict_of(checkpoint: Path) -> dict[str, torch.Tensor]:
    """The tensors of a checkpoint by name: a state_dict, or one within, as Lightning and others store it."""
    import torch

    from snn_deploy.convert.frontends.norse.description.checkpoint import safetensors_content, torch_content

    if checkpoint.suffix == ".safetensors":
        return safetensors_content(checkpoint, "config")[0]
    content = torch_content(checkpoint)
    for key in ("state_dict", "model_state_dict", "model", "net"):
        if isinstance(content, Mapping) and isinstance(content.get(key), Mapping):
            content = content[key]
            break
    if not isinstance(content, Mapping) or not all(isinstance(v, torch.Tensor) for v in content.values()):
        found = sorted(map(str, content))[:8] if isinstance(content, Mapping) else type(content).__name__
        raise ModelNotSupported(
            "no weights were found in this checkpoint",
            where=checkpoint,
            found=found,
            allowed="a state_dict, alone or under state_dict, model_state_dict, model or net",
        )
    return {str(name): value for name, value in content.items()}


def load_weights(module: torch.nn.Module, state: Mapping[str, torch.Tensor], where: str) -> None:
    """Give a module its weights; names may bear what DataParallel, torch.compile and Lightning add.

    States of neurons that take their size from the first input stay at rest. Raises ModelNotSupported with
    every weight that is missing, left over, or of another shape.
    """
    expected = dict(module.state_dict())
    needed = {
        name for name in expected if expected[name].numel() and not name.endswith("num_batches_tracked")
    }
    named = _renamed(state, expected, needed)
    faults = [
        Violation("a weight of the module is missing", f"{where}: {name}")
        for name in expected
        if name in needed and name not in named
    ]
    for name, value in named.items():
        if name not in expected:
            faults.append(Violation("the module has no such weight", f"{where}: {name}"))
        elif name in needed and value.shape != expected[name].shape:
            shapes = str(tuple(value.shape)), str(tuple(expected[name].shape))
            faults.append(Violation("wrong shape", f"{where}: {name}", *shapes))
    if faults:
        raise ModelNotSupported(faults)
    module.load_state_dict({name: value for name, value in named.items() if name in needed}, strict=False)


def _renamed(
    state: Mapping[str, torch.Tensor], expected: Mapping[str, torch.Tensor], needed: set[str]
) -> dict[str, torch.Tensor]:
    """The weights under the module's own names, where wrappers or one prefix are all that differs."""
    own = {_unwrapped(name): name for name in expected}
    bare = {_unwrapped(name): value for name, value in state.items()}
    ends = {name[: i + 1] for name in bare for i, sign in enumerate(name) if sign == "."}
    for prefix in ["", *sorted(ends, key=len)]:
        inner = {
            own[name.removeprefix(prefix)]: value
            for name, value in bare.items()
            if name.startswith(prefix) and name.removeprefix(prefix) in own
        }
        if prefix and needed <= set(inner):
            others = [name for name in bare if name.removeprefix(prefix) not in own]
            if others:
                _log.warning("%r holds the model; left out: %s", prefix, ", ".join(others))
            return inner
        if needed <= set(inner):
            break
    return {own.get(name, name): value for name, value in bare.items()}


def _unwrapped(name: str) -> str:
    """The name without what DataParallel and torch.compile put into it."""
    return ".".join(part for part in name.split(".") if part not in _WRAPPERS)


if __name__ == "__main__":
    _main(sys.argv[1:])
