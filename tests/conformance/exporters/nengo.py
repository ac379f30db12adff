"""Nengo 4.1.0 has no NIR exporter, and nor has any Nengo package of the registry: looked for by the word."""

from __future__ import annotations

import re
from importlib.metadata import distributions


def absent() -> dict[str, object]:
    """How often 'nir' stands as a word in the code of every installed Nengo package; raises where it does."""
    found = {}
    for package in distributions():
        if package.metadata["Name"].lower().startswith("nengo"):
            texts = [
                path.locate().read_text(encoding="utf-8")
                for path in package.files or ()
                if path.suffix == ".py"
            ]
            hits = sum(len(re.findall(r"\bnir\b", text, re.IGNORECASE)) for text in texts)
            found[f"{package.metadata['Name']} {package.version}"] = {"files": len(texts), "hits": hits}
    if not found or any(entry["hits"] for entry in found.values()):
        raise RuntimeError(f"a Nengo package speaks of NIR: make references with it. {found}")
    return dict(sorted(found.items()))
