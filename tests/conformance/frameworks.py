"""The frameworks whose exporters and modules are tried, and how each is installed: an environment each.

    python3.11 -m tests.conformance.frameworks          make all fixtures anew
    python3.11 -m tests.conformance.frameworks Sinabs   one framework's

Needs Python 3.11 or later (SpikingJelly's least), the package registry and nothing else. Environments are
left in .venv-fixtures, each with a torch of its own; PIP_CONSTRAINT can name a file that wants a small one.
"""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Framework:
    """module: in tests/conformance/exporters. packages: to install, the framework's own first or alone.

    alone: packages to install without what they ask for.
    """

    module: str
    packages: str
    alone: str = ""

    @property
    def package(self) -> str:
        """The framework's own package, without its version."""
        return (self.alone or self.packages).split()[0].split("==")[0]


#: What the exporters' graphs and this package's from_torch need.
_BASE = ("nir==1.0.8", "h5py", "scipy", "networkx", "pydantic")
_TORCH = "torch nirtorch==2.6"
FRAMEWORKS = {
    "Norse to_nir": Framework("norse", f"norse==1.1.0 {_TORCH}"),
    "snnTorch": Framework("snntorch", f"snntorch==1.0.0 {_TORCH}"),
    # its own requirements are those of training on images
    "SpikingJelly": Framework("spikingjelly", f"{_TORCH} scipy tqdm loguru packaging", "spikingjelly==2.0.0"),
    # it asks for nir <= 1.0.4, and for a chip's tools; its exporter works with 1.0.8
    "Sinabs": Framework("sinabs", f"{_TORCH} pbr matplotlib", "sinabs==3.1.3"),
    # its extra 'nir' asks for nir <= 1.0.4; the exporter works with 1.0.8
    "Rockpool": Framework("rockpool", f"rockpool==3.1.0 {_TORCH}"),
    "Nengo": Framework(
        "nengo", "", "nengo==4.1.0 nengo-bones nengo-dl nengo-edge nengo-extras nengo-loihi nengo-torch"
    ),
}


def make(name: str) -> None:
    """Install one framework into an environment of its own and make its fixtures there."""
    framework = FRAMEWORKS[name]
    folder = ROOT / ".venv-fixtures" / framework.module
    python = folder / "bin" / "python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    pip = [str(python), "-m", "pip", "install", "-q"]
    subprocess.run([*pip, *_BASE, *framework.packages.split()], check=True)
    if framework.alone:
        subprocess.run([*pip, "--no-deps", *framework.alone.split()], check=True)
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [str(python), "-m", "tests.conformance.make_fixtures", name]
    subprocess.run(command, cwd=ROOT, env=environment, check=True)


if __name__ == "__main__":
    for chosen in sys.argv[1:] or FRAMEWORKS:
        make(chosen)
