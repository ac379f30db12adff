"""Drawings of the same concepts by other hands, and keywords: npm packages that ``make hands`` fetches.

| hand | package | licence |
|---|---|---|
| noto | @iconify-json/noto | Apache-2.0 |
| twemoji | @iconify-json/twemoji | CC BY 4.0 |
| fluent | @iconify-json/fluent-emoji-flat | MIT |
| (keywords) | emojilib | MIT |

npm fetches each package of the version below, and an archive whose SHA-512 is not the one below is refused.
Nothing else is fetched, and no script of a package is run.
"""

from __future__ import annotations

import base64
import hashlib
import json
import logging
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from snn_deploy.benchmarks.cache import cache_folder as cache_folder  # noqa: PLC0414  data.py takes it from here
from snn_deploy.errors import BackendUnavailable, SnnDeployError, UnsafeFile
from snn_deploy.files import atomic_write

log = logging.getLogger(__name__)

_MAX_MEMBER = 64 << 20
_SECONDS = 300


@dataclass(frozen=True)
class Package:
    """A package of the npm registry. sha512: of its archive, base64, as npm writes an integrity."""

    name: str
    version: str
    sha512: str

    @property
    def file(self) -> str:
        """Name that ``npm pack`` gives the archive."""
        return f"{self.name.removeprefix('@').replace('/', '-')}-{self.version}.tgz"


HANDS: Mapping[str, Package] = {
    "noto": Package(
        "@iconify-json/noto",
        "1.2.9",
        "DQiuXENbun41ch+XPSV55H9FaWKpHTyz46YIKtSaKYD4fIDDzL1tR6H4np/T38jfrTAeI3rcKF0mqHYeZVAuaw==",
    ),
    "twemoji": Package(
        "@iconify-json/twemoji",
        "1.2.5",
        "uKpuIEV0v6K5BW3Mjdyl+XKFVAbbcPxAgifKvEMtZoUZB5+YiY5zaMm2uNNCxyXzAWU9yNLlj41WU6/mvgALsw==",
    ),
    "fluent": Package(
        "@iconify-json/fluent-emoji-flat",
        "1.2.6",
        "RY47RgPb47fYUiyrA64sIOL0+UU02s29sXpNBbIQRBUlPlfNFTKUmZDERGuxDs/7yNGWqQYvuaSYM1M4fRXlUw==",
    ),
}
KEYWORDS = Package(
    "emojilib",
    "4.0.3",
    "KbWiYre9aRSaPbHrHZIz9zmoM+21LAsK1VFJtnTh1VCtWE/rNMDviGhQTmselFl95dhqtGlY22iH0leG5BuW0g==",
)
PACKAGES = (*HANDS.values(), KEYWORDS)


def folder() -> Path:
    """Where the archives lie."""
    return cache_folder() / "hands"


def present() -> bool:
    """Whether every archive is there."""
    return all((folder() / package.file).is_file() for package in PACKAGES)


def fetch() -> list[Path]:
    """Bring the packages that are not there yet, each checked; returns the new files.

    Raises BackendUnavailable where npm is missing or cannot fetch, UnsafeFile for another content.
    """
    target = folder()
    target.mkdir(parents=True, exist_ok=True)
    found = []
    for package in PACKAGES:
        path = target / package.file
        if not path.is_file():
            content = _packed(package)
            _require_hash(content, package, package.name)
            with atomic_write(path) as temporary:
                temporary.write_bytes(content)
            found.append(path)
    return found


def drawings(hand: str) -> dict[str, str]:
    """SVG of each emoji of a hand, by its code points: hexadecimal, hyphens between, no variation selector.

    Raises UnsafeFile where the archive is not the one that this version knows.
    """
    documents = _documents(HANDS[hand], ("chars.json", "icons.json"))
    icons = documents["icons.json"]
    found = {}
    for points, name in documents["chars.json"].items():
        body = _body(icons, name)
        if body is not None:
            found[points] = _svg({**icons, **body})
    return found


def keywords() -> dict[str, list[str]]:
    """Words for each emoji beside its name, by the emoji itself."""
    (words,) = _documents(KEYWORDS, ("dist/emoji-en-US.json",)).values()
    return {symbol: [word.replace("_", " ") for word in given[1:]] for symbol, given in words.items()}


def _body(icons: Mapping[str, Any], name: str) -> dict[str, Any] | None:
    """The drawing of this name; None where it is another one turned or mirrored."""
    if name in icons["icons"]:
        return dict(icons["icons"][name])
    alias = icons.get("aliases", {}).get(name)
    return _body(icons, alias["parent"]) if alias is not None and set(alias) == {"parent"} else None


def _svg(icon: Mapping[str, Any]) -> str:
    """A document whose view is the smallest square around the icon."""
    width, height = icon["width"], icon["height"]
    side = max(width, height)
    left, top = icon.get("left", 0) - (side - width) / 2, icon.get("top", 0) - (side - height) / 2
    view = f"{left:g} {top:g} {side:g} {side:g}"
    return f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="{view}">{icon["body"]}</svg>'


def _documents(package: Package, members: tuple[str, ...]) -> dict[str, Any]:
    """JSON files of an archive, which is hashed before it is opened."""
    path = folder() / package.file
    try:
        content = path.read_bytes()
    except OSError as error:
        raise BackendUnavailable(
            "the drawings of this hand are not here", where=path, found=error, remedy="Run `make hands`."
        ) from error
    _require_hash(content, package, path)
    found = {}
    with tarfile.open(path) as archive:
        for member in members:
            stream = archive.extractfile(f"package/{member}")
            if stream is None:
                raise UnsafeFile("the archive lacks a file", where=path, found=member)
            found[member] = json.loads(stream.read(_MAX_MEMBER))
    return found


def _packed(package: Package) -> bytes:
    """The archive of a package, by npm."""
    npm = shutil.which("npm")
    if npm is None:
        raise BackendUnavailable(
            "npm fetches the drawings of other hands and is not installed",
            where="make hands",
            remedy="Install npm (Debian: apt-get install npm), or go on with OpenMoji alone.",
        )
    wanted = f"{package.name}@{package.version}"
    with tempfile.TemporaryDirectory() as place:
        command = [npm, "pack", wanted, "--pack-destination", place, "--ignore-scripts", "--silent"]
        try:
            done = subprocess.run(  # noqa: PLW1510  the exit code is read below
                command, capture_output=True, text=True, timeout=_SECONDS, cwd=place
            )
            problem = done.stderr.strip()[-500:] if done.returncode else ""
        except subprocess.TimeoutExpired:
            problem = f"no answer in {_SECONDS} s"
        path = Path(place) / package.file
        if problem or not path.is_file():
            raise BackendUnavailable(
                "npm could not fetch this package", where=wanted, found=problem or "no archive"
            )
        return path.read_bytes()


def _require_hash(content: bytes, package: Package, where: object) -> None:
    found = base64.b64encode(hashlib.sha512(content).digest()).decode()
    if found != package.sha512:
        raise UnsafeFile(
            "not the archive that this version knows",
            where=where,
            found=f"sha512 {found}",
            allowed=f"sha512 {package.sha512}",
            remedy="Delete it and run `make hands` again.",
        )


def main() -> int:
    """What ``make hands`` runs: fetch, and say where; an error is one line."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    try:
        found = fetch()
    except SnnDeployError as error:
        log.error("%s", error)
        return error.exit_code
    log.info("%s: %s", folder(), ", ".join(path.name for path in found) or "everything is there")
    return 0
