"""What imports what: rooms one way, heavy packages in their rooms only, nothing heavy at start-up."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import networkx as nx
import pytest

import snn_deploy

PACKAGE = Path(snn_deploy.__file__).parent

# DESIGN.md (The house): each room may import the rooms after it. train and deploy stand side by side.
RANK = {
    "cli": 0,
    "benchmarks": 1,
    "train": 2,
    "deploy": 2,
    "convert": 3,
    "engine": 4,
    "network": 5,
    "hw_profiles": 6,
}

# Where a heavy package may be imported at all, by the path from the package's root.
HOMES = {
    "torch": ("train/", "convert/frontends/", "benchmarks/studies/"),
    "norse": ("train/", "convert/frontends/norse", "benchmarks/studies/"),
    "nirtorch": ("train/", "convert/frontends/norse"),
    "snntorch": ("convert/frontends/snntorch", "benchmarks/studies/speed/peers/"),
    **dict.fromkeys(("jax", "haiku", "spyx"), ("benchmarks/studies/speed/peers/",)),
    **{name: (f"convert/frontends/{name}",) for name in ("sinabs", "spikingjelly", "rockpool")},
    "faiss": ("deploy/memory/",),
    "lava": ("deploy/lava/",),
}
HEAVY_AT_START = {*HOMES, "h5py", "nir", "matplotlib", "scipy", "pandas", "sklearn"}


def modules() -> list[str]:
    return sorted(path.relative_to(PACKAGE).as_posix() for path in PACKAGE.rglob("*.py"))


def imported_names(tree: ast.AST, module: str) -> Iterator[str]:
    """Absolute dotted names of all imports of ``module`` (a posix path), inside functions too."""
    package = ["snn_deploy", *module.split("/")[:-1]]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            source = [*base, *([node.module] if node.module else [])]
            yield from (".".join([*source, alias.name]) for alias in node.names)


def against_the_flow(module: str, name: str) -> bool:
    """Whether ``module`` importing ``name`` goes against the order of the rooms."""
    here, parts = module.split("/", maxsplit=1)[0], name.split(".")
    there = parts[1] if parts[0] == "snn_deploy" and len(parts) > 1 else ""
    if here == there or there not in RANK:
        return False
    return RANK.get(here, len(RANK)) >= RANK[there]  # what lies outside the rooms (errors) imports no room


def out_of_its_room(module: str, name: str) -> bool:
    """Whether ``module`` may not import the heavy package that ``name`` belongs to."""
    homes = HOMES.get(name.split(".", maxsplit=1)[0])
    return homes is not None and not module.startswith(homes)


@pytest.mark.parametrize("module", modules())
def test_imports_of_a_module_keep_to_the_rooms(module: str) -> None:
    tree = ast.parse((PACKAGE / module).read_text(encoding="utf-8"))
    names = list(imported_names(tree, module))
    if module not in ("__main__.py", "__init__.py"):  # the public surface names what any room offers
        assert [name for name in names if against_the_flow(module, name)] == []
    assert [name for name in names if out_of_its_room(module, name)] == []


def test_no_circle_of_imports() -> None:
    """Not even by way of imports inside functions or for type checking."""
    trees = {module: ast.parse((PACKAGE / module).read_text(encoding="utf-8")) for module in modules()}
    dotted = {
        ".".join(["snn_deploy", *Path(module).with_suffix("").parts]).removesuffix(".__init__"): module
        for module in trees
    }
    graph: nx.DiGraph[str] = nx.DiGraph()
    del trees["__init__.py"]  # the public surface imports on first use
    for module, tree in trees.items():
        for name in imported_names(tree, module):
            target = dotted.get(name) or dotted.get(name.rpartition(".")[0])
            if target and target != module:
                graph.add_edge(module, target)
    assert graph.number_of_edges() > len(trees)
    assert [sorted(circle) for circle in nx.strongly_connected_components(graph) if len(circle) > 1] == []


def test_the_checks_see_a_wrong_import() -> None:
    tree = ast.parse("from ..train import loop\ndef f():\n    import torch.nn\nfrom snn_deploy import cli\n")
    assert list(imported_names(tree, "deploy/readout.py")) == [
        "snn_deploy.train.loop",
        "snn_deploy.cli",
        "torch.nn",
    ]
    assert against_the_flow("deploy/readout.py", "snn_deploy.train.loop")  # side by side, not above
    assert against_the_flow("convert/quantise.py", "snn_deploy.cli")
    assert against_the_flow("engine/chunks.py", "snn_deploy.convert.artifact")
    assert against_the_flow("errors.py", "snn_deploy.network.network")
    assert not against_the_flow("cli/run.py", "snn_deploy.deploy.backends")
    assert not against_the_flow("convert/passes/fuse.py", "snn_deploy.network.network")
    assert out_of_its_room("deploy/readout.py", "torch.nn")
    assert out_of_its_room("convert/frontends/nir.py", "norse.torch")
    assert not out_of_its_room("convert/frontends/norse.py", "norse.torch")
    assert not out_of_its_room("deploy/lava/worker.py", "lava.magma.core")


@pytest.mark.parametrize(
    "statement",
    ["import snn_deploy", "import snn_deploy.cli", "from snn_deploy.cli import main; main(['--help'])"],
)
def test_nothing_heavy_is_loaded_at_start(statement: str) -> None:
    code = f"import atexit, sys; atexit.register(lambda: print(*sys.modules, file=sys.stderr)); {statement}"
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
        cwd=PACKAGE.parent,
    )
    loaded = {name.partition(".")[0] for name in done.stderr.split()}
    assert "snn_deploy" in loaded
    assert loaded & HEAVY_AT_START == set()
