"""Checkpoints of Norse models: weights and a plain description, and nothing that could run.

Two forms: ``.pt``, a zip archive that ``torch.load(weights_only=True)`` reads, with the keys ``config``
and ``state_dict``; and ``.safetensors``, with the description as JSON in its header.
"""

from __future__ import annotations

import io
import json
import os
import pickle
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from snn_deploy.convert.frontends.norse import import_norse
from snn_deploy.convert.frontends.norse.description.config import Config
from snn_deploy.errors import BackendUnavailable, ModelNotSupported, UnsafeFile, UsageError, Violation
from snn_deploy.files import atomic_write

if TYPE_CHECKING:
    import torch

    from snn_deploy.convert.frontends.norse.description.modules import Towers

_ZIP = b"PK\x03\x04"
_HEADER_LIMIT = 100_000_000
"""Bytes of a safetensors header, the limit of the format's own reader."""
_OLDEST_TORCH = (2, 10)
"""Older weights_only readers can be made to run code (CVE-2025-32434, CVE-2026-24747)."""
_SAVE_AGAIN = (
    "Save a Norse model with snn_deploy.save_model; of any other, torch.save its state_dict() and pass "
    "--model FILE.py:build, or write nir.write('model.nir', snn_deploy.from_torch(module, inputs))."
)


def save_checkpoint(path: str | os.PathLike[str], module: Towers, config: Config) -> None:
    """Write ``module`` to a ``.pt`` or ``.safetensors`` file, whole or not at all.

    Raises UsageError for another suffix or a folder that cannot be written, ModelNotSupported where the
    module's arrays are not those that ``config`` describes.
    """
    target = Path(path)
    state = {name: value.detach().cpu().contiguous().clone() for name, value in module.state_dict().items()}
    _check_arrays(config, state, str(target))
    # By way of JSON: subclasses of str, such as torch's version, would be refused on reading.
    document = json.loads(json.dumps(config.document(), sort_keys=True))
    if target.suffix == ".safetensors":
        from safetensors.torch import save

        content = save(state, metadata={"config": json.dumps(document)})
    elif target.suffix == ".pt":
        import torch

        buffer = io.BytesIO()
        torch.save({"config": document, "state_dict": state}, buffer)
        content = buffer.getvalue()
    else:
        raise UsageError("unknown model format", where=str(target), allowed=".pt or .safetensors")
    with atomic_write(target) as temporary:
        temporary.write_bytes(content)


def load_checkpoint(path: str | os.PathLike[str]) -> tuple[Towers, Config]:
    """The Norse modules and the description in ``path``; nothing stored in the file is executed.

    Raises UsageError where there is no such file, UnsafeFile for anything that is damaged or could run
    code (refused by its first bytes, before torch sees it), ModelNotSupported for a description that
    this package cannot build and for weights that do not fit it.
    """
    source = Path(path)
    if not source.is_file():
        raise UsageError("no such file", where=str(source), remedy="Train one with 'snn-deploy train'.")
    if source.suffix == ".safetensors":
        document, state = read_safetensors(source)
    else:
        document, state = _read_zip(source)
    config = _read_config(document, str(source))
    _check_arrays(config, state, str(source))
    import_norse()
    import torch

    from snn_deploy.convert.frontends.norse.description.modules import build

    with torch.random.fork_rng(devices=[]):  # fresh weights are drawn and replaced: leave the user's seed
        module = build(config)
    # names and shapes are checked; torch's own strictness would ask for BatchNorm's count of training steps
    module.load_state_dict(state, strict=False)
    return module, config


def _read_zip(source: Path) -> tuple[object, dict[str, torch.Tensor]]:
    content = torch_content(source)
    if not isinstance(content, dict) or set(content) != {"config", "state_dict"}:
        raise ModelNotSupported(
            "weights alone do not say how the neurons behave",
            where=str(source),
            found=f"keys {sorted(map(str, content))[:8]}"
            if isinstance(content, dict)
            else type(content).__name__,
            allowed="a checkpoint of this package, which describes its neurons",
            remedy="Say how the module is built, --model FILE.py:build, which runs that file; or save a "
            "Norse model with snn_deploy.save_model.",
        )
    import torch

    state = content["state_dict"]
    if not isinstance(state, dict) or not all(isinstance(value, torch.Tensor) for value in state.values()):
        raise ModelNotSupported("state_dict is not a dictionary of tensors", where=str(source))
    return content["config"], {str(name): value for name, value in state.items()}


def torch_content(source: Path) -> Any:
    """What a ``.pt`` file of torch holds; nothing stored in it is executed.

    Raises UnsafeFile for anything that is damaged or could run code, BackendUnavailable without a safe torch.
    """
    _check_zip(source)
    import_norse()
    import torch

    version = tuple(int(part) for part in torch.__version__.split("+")[0].split(".")[:2])
    if version < _OLDEST_TORCH:
        raise BackendUnavailable(
            "this torch can be made to run code by a crafted checkpoint",
            where="torch",
            found=torch.__version__,
            allowed=">= 2.10",
            remedy="Upgrade torch, or store the model as .safetensors.",
        )
    try:
        return torch.load(source, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise UnsafeFile(
            "the checkpoint holds more than weights and plain values, and is not opened",
            where=str(source),
            found=_refusal(error),
            remedy=_SAVE_AGAIN,
        ) from error
    except Exception as error:  # torch's readers raise nearly every type on damaged input
        raise UnsafeFile(
            "the checkpoint is damaged",
            where=str(source),
            found=f"{type(error).__name__} {str(error).strip().partition(chr(10))[0]}".strip(),
            remedy=_SAVE_AGAIN,
        ) from error


def _refusal(error: Exception) -> str:
    """The line of torch's refusal that names what it met, without its advice to load unsafely."""
    lines = [line.strip() for line in str(error).splitlines() if "WeightsUnpickler error" in line]
    return lines[0].partition(" Please use ")[0] if lines else type(error).__name__


def _check_zip(source: Path) -> None:
    """Refuse by first bytes what is no zip archive, and archives that are torn, packed or of TorchScript."""
    with source.open("rb") as file:
        head = file.read(512)
    if not head.startswith(_ZIP):
        raise UnsafeFile(
            "not a zip-format checkpoint: it is not opened",
            where=str(source),
            found=_kind(head),
            allowed="the zip form that torch.save writes, or .safetensors",
            remedy=_SAVE_AGAIN,
        )
    try:
        with zipfile.ZipFile(source) as archive:
            entries = archive.infolist()
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
        raise UnsafeFile(
            "the checkpoint is truncated or damaged",
            where=str(source),
            found=str(error),
            remedy="Copy it again, or train again.",
        ) from error
    packed = any(entry.compress_type != zipfile.ZIP_STORED for entry in entries)
    if packed or sum(entry.file_size for entry in entries) > source.stat().st_size:
        raise UnsafeFile(
            "the archive is compressed, which torch.save never does: it could unpack to any size",
            where=str(source),
            remedy=_SAVE_AGAIN,
        )
    names = {entry.filename.rpartition("/")[2] for entry in entries}
    if "data.pkl" not in names or "constants.pkl" in names:
        raise ModelNotSupported(
            "the archive is not a checkpoint of weights",
            where=str(source),
            found="TorchScript" if "constants.pkl" in names else "no data.pkl",
            remedy=_SAVE_AGAIN,
        )


def _kind(head: bytes) -> str:
    if not head:
        return "an empty file"
    if head[257:262] == b"ustar":
        return "a tar archive (torch's oldest form)"
    if head[:1] == b"\x80":
        return "a pickle (torch's legacy form)"
    return "text" if all(31 < byte < 127 or byte in b"\t\r\n" for byte in head) else f"bytes {head[:4].hex()}"


def read_safetensors(source: Path, key: str = "config") -> tuple[object, dict[str, torch.Tensor]]:
    """The JSON document that a safetensors file carries under ``key`` in its header, and its tensors.

    Raises UnsafeFile where the file is damaged, ModelNotSupported where its header has no ``key``.
    """
    state, text = safetensors_content(source, key)
    if text is None:
        raise ModelNotSupported(
            f"weights alone do not say how the neurons behave: the header holds no {key}",
            where=str(source),
            remedy=_SAVE_AGAIN,
        )
    try:
        return json.loads(text), state
    except ValueError as error:
        raise UnsafeFile(f"the {key} is no JSON", where=str(source), found=str(error)) from error


def safetensors_content(source: Path, key: str) -> tuple[dict[str, torch.Tensor], str | None]:
    """The tensors of a safetensors file, and the text under ``key`` in its header, or None."""
    with source.open("rb") as file:
        head = file.read(9)
    size = int.from_bytes(head[:8], "little")
    if len(head) < 9 or head[8:] != b"{" or size > min(_HEADER_LIMIT, source.stat().st_size - 8):
        raise UnsafeFile("not a safetensors file", where=str(source), found=_kind(head), remedy=_SAVE_AGAIN)
    import_norse()
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(source, framework="pt") as archive:
            state = {name: archive.get_tensor(name) for name in archive.keys()}  # noqa: SIM118  no iterator
            text = (archive.metadata() or {}).get(key)
    except (SafetensorError, OSError, ValueError, KeyError, RuntimeError) as error:
        raise UnsafeFile(
            "the checkpoint is truncated or damaged",
            where=str(source),
            found=str(error),
            remedy="Copy it again, or train again.",
        ) from error
    return state, text


def _read_config(document: object, where: str) -> Config:
    from pydantic import ValidationError

    try:
        return Config.model_validate(document)
    except ValidationError as error:
        raise ModelNotSupported(
            Violation(
                fault["msg"],
                where=f"{where}: config.{'.'.join(map(str, fault['loc']))}".rstrip("."),
                found=_short(fault.get("input")),
                remedy=""
                if fault["type"] != "union_tag_invalid"
                else "The message names the layers that a checkpoint can describe.",
            )
            for fault in error.errors()
        ) from error


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."


def _check_arrays(config: Config, state: dict[str, torch.Tensor], where: str) -> None:
    """Every array named, of the right shape, floating, finite; all faults at once."""
    import torch

    expected = config.shapes()
    faults = [
        Violation("a weight that the config describes is missing", f"{where}: {name}")
        for name in expected
        if name not in state
    ]
    for name, value in state.items():
        place = f"{where}: {name}"
        if name not in expected:
            faults.append(Violation("a weight that the config does not describe", place))
        elif value.layout != torch.strided or value.device.type != "cpu" or not value.is_contiguous():
            # A view that repeats a few stored bytes could ask for any amount of memory.
            faults.append(Violation("the weight is not stored in full", place))
        elif tuple(value.shape) != expected[name]:
            faults.append(Violation("wrong shape", place, str(tuple(value.shape)), str(expected[name])))
        elif value.dtype != torch.float32:
            faults.append(Violation("wrong number type", place, str(value.dtype), "torch.float32"))
        elif not bool(torch.isfinite(value).all()):
            faults.append(Violation("not every weight is a finite number", place))
    if faults:
        raise ModelNotSupported(faults)
