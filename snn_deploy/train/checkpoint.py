"""The state of a training run in a file, from which it goes on bit for bit. Imports torch.

One safetensors file: tensors by name, and everything else as JSON in its header; nothing in it can run.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from snn_deploy.convert.frontends.norse.description.checkpoint import read_safetensors
from snn_deploy.convert.frontends.norse.description.config import Config
from snn_deploy.errors import UnsafeFile, UsageError, Violation
from snn_deploy.files import atomic_write
from snn_deploy.train.ahead import Ahead
from snn_deploy.train.coding import Coding
from snn_deploy.train.examples import Examples
from snn_deploy.train.progress import Epoch
from snn_deploy.train.recipe import Recipe
from snn_deploy.train.run import Best, Position, Run, load_weights

SECONDS = 15.0
"""Time between two writings of a run's state."""
_KEY = "training"
_CODED = 8
"""Examples by which a coding is told from another."""
_ADDRESS = re.compile(r" at 0x[0-9a-fA-F]+")
"""In the text of an object that has none of its own: another in every process."""


class Checkpoint:
    """The file of one run. identity: plain values in which another run differs, by their names."""

    def __init__(self, path: Path, identity: Mapping[str, Any]) -> None:
        self.path, self.identity = path, json.loads(json.dumps(identity))
        self._written = time.monotonic()

    def after_batch(self, run: Run) -> None:
        """Write the state where the last writing lies a while back."""
        if time.monotonic() - self._written >= SECONDS:
            self.write(run)

    def write(self, run: Run) -> None:
        """Write the state of a run, whole or not at all."""
        from safetensors.torch import save

        tensors = {f"module.{name}": value for name, value in run.module.state_dict().items()}
        tensors |= {f"best.{name}": value for name, value in run.best.weights.items()}
        tensors |= {f"ann.{name}": value for name, value in run.ann.items()}
        tensors["torch_rng"] = torch.get_rng_state()
        if run.device.type == "cuda":
            tensors["cuda_rng"] = torch.cuda.get_rng_state(run.device)
        document: dict[str, Any] = {
            "identity": self.identity,
            "position": dataclasses.asdict(run.position),
            "best": {"epoch": run.best.epoch, "rank": list(run.best.rank)},
            "history": [dataclasses.asdict(epoch) for epoch in run.history],
            "sizes": run.sizes,
            "rng": run.rng.bit_generator.state,
        }
        if run.optimiser is not None and run.schedule is not None:
            state = run.optimiser.state_dict()
            tensors |= {
                f"optimiser.{index}.{name}": value
                for index, values in state["state"].items()
                for name, value in values.items()
            }
            document["optimiser"] = state["param_groups"]
            document["schedule"] = run.schedule.state_dict()
        stored = {name: value.detach().cpu().contiguous().clone() for name, value in tensors.items()}
        content = save(stored, metadata={_KEY: json.dumps(document)})
        with atomic_write(self.path) as temporary:
            temporary.write_bytes(content)
        self._written = time.monotonic()

    def resume(self, run: Run, ahead: Ahead) -> None:
        """Bring a fresh run to the state in the file, if there is one.

        Raises UsageError for the state of another run, UnsafeFile for a damaged file.
        """
        if not self.path.exists():
            return
        document, tensors = read_safetensors(self.path, _KEY)
        try:
            self._refuse_others(document["identity"])  # type: ignore[index]
            _restore(run, ahead, document, tensors)
        except (KeyError, TypeError, ValueError, IndexError, RuntimeError) as error:
            raise UnsafeFile(
                "the training state is damaged",
                where=self.path,
                found=f"{type(error).__name__}: {str(error).partition(chr(10))[0]}",
                remedy="Delete it to train from the start.",
            ) from error

    def _refuse_others(self, found: Mapping[str, Any]) -> None:
        remedy = "Give the arguments of that run or another file, or delete this one (train: --restart)."
        faults = [
            Violation(
                "the training state is of another run",
                f"{self.path}: {name}",
                _short(found.get(name)),
                _short(self.identity.get(name)),
                remedy,
            )
            for name in sorted({*found, *self.identity})
            if found.get(name) != self.identity.get(name)
        ]
        if faults:
            raise UsageError(faults)


def identity(
    config: Config,
    recipe: Recipe,
    examples: Examples,
    *,
    codings: Mapping[str, Coding],
    constants: Mapping[str, npt.NDArray[Any]],
    start: Mapping[str, torch.Tensor],
    **others: object,
) -> dict[str, Any]:
    """What makes a run the run it is: its arguments, in which a coding is what it makes of some examples.

    A function has no value that could be stored, and a closure's name would not tell its numbers.
    """
    coded = {
        name: coding(examples.inputs[name][:_CODED], recipe.steps, np.random.default_rng(0))
        for name, coding in codings.items()
    }
    arrays = {
        "data": {**examples.inputs, **{f"{name} (target)": v for name, v in examples.targets.items()}},
        "coding": coded,
        "constants": constants,
        "start": {name: value.detach().cpu().numpy() for name, value in start.items()},
    }
    document = config.document()
    versions = document.pop("versions")
    return {
        **{f"config.{name}": value for name, value in document.items()},
        **{f"versions.{name}": value for name, value in versions.items()},
        **{f"recipe.{name}": value for name, value in recipe.model_dump().items()},
        **{name: _digest(values) for name, values in arrays.items()},
        **{name: _ADDRESS.sub("", str(value)) for name, value in others.items()},
    }


def _digest(arrays: Mapping[str, npt.NDArray[Any]]) -> str:
    found = hashlib.sha256()
    for name, values in sorted(arrays.items()):
        found.update(f"{name} {values.dtype} {values.shape}".encode())
        found.update(np.ascontiguousarray(values).tobytes())
    return found.hexdigest()


def _restore(run: Run, ahead: Ahead, document: Any, tensors: Mapping[str, torch.Tensor]) -> None:
    load_weights(run.module, _named(tensors, "module."))
    rank = (bool(document["best"]["rank"][0]), float(document["best"]["rank"][1]))
    best = {name: value.to(run.device) for name, value in _named(tensors, "best.").items()}
    run.best = Best(int(document["best"]["epoch"]), rank, best)
    run.ann = {name: value.to(run.device) for name, value in _named(tensors, "ann.").items()}
    run.history = [_epoch(stored) for stored in document["history"]]
    run.position, run.sizes = Position(**document["position"]), document["sizes"]
    if "optimiser" in document:
        run.prepare_optimiser(int(document["schedule"]["total_steps"]))
        if run.optimiser is None or run.schedule is None:
            raise ValueError("no optimiser")
        states: dict[int, dict[str, torch.Tensor]] = {}
        for name, value in _named(tensors, "optimiser.").items():
            index, _, part = name.partition(".")
            states.setdefault(int(index), {})[part] = value
        run.optimiser.load_state_dict({"state": states, "param_groups": document["optimiser"]})
        for (
            weight,
            state,
        ) in run.optimiser.state.items():  # in the weight's layout, as the fused step reads them
            for name, value in state.items():
                if value.shape == weight.shape:
                    state[name] = torch.empty_like(weight).copy_(value)
        run.schedule.load_state_dict(document["schedule"])
    if run.position.view_rng is not None:
        ahead.rewind(run.position.view_rng)
    run.rng.bit_generator.state = document["rng"]
    torch.set_rng_state(tensors["torch_rng"])
    if "cuda_rng" in tensors:
        torch.cuda.set_rng_state(tensors["cuda_rng"], run.device)


def _epoch(stored: dict[str, Any]) -> Epoch:
    rates = {name: tuple(values) for name, values in stored["rates"].items()}
    return Epoch(**{**stored, "rates": rates})


def _named(tensors: Mapping[str, torch.Tensor], start: str) -> dict[str, torch.Tensor]:
    return {name[len(start) :]: value for name, value in tensors.items() if name.startswith(start)}


def _short(value: object) -> str:
    text = str(value)
    return text if len(text) <= 60 else text[:57] + "..."
