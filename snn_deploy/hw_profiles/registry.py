"""Find a profile by name or by path and read it, with every mistake of a file reported at once."""

from __future__ import annotations

import sys
from importlib.resources import files
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from snn_deploy.errors import UsageError, Violation
from snn_deploy.hw_profiles.quantity import SOURCES_KEY, STATUSES
from snn_deploy.hw_profiles.schema import EnergyTable, Profile

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

MAX_BYTES = 1_000_000
"""A profile is a page of text; anything much larger is the wrong file."""


def names() -> tuple[str, ...]:
    """The built-in profiles, in alphabetical order."""
    folder = files("snn_deploy.hw_profiles")
    return tuple(sorted(entry.name[:-5] for entry in folder.iterdir() if entry.name.endswith(".toml")))


def load(name_or_path: str | Path) -> Profile:
    """Read a built-in profile by name, or a user's own by the path of a ``.toml`` file.

    Raises UsageError for an unknown name, an unreadable file, or a profile that breaks the schema (an
    unknown key, a missing source, a wrong unit, ...), with all violations at once.
    """
    text = str(name_or_path)
    if isinstance(name_or_path, Path) or text.endswith(".toml") or "/" in text or "\\" in text:
        return parse(_read(Path(text)), text)
    if text not in names():
        raise UsageError(
            "unknown hardware profile",
            where="profile",
            found=f"'{text}'",
            allowed=", ".join(names()),
            remedy="Give one of these names, or the path of your own .toml file.",
        )
    resource = files("snn_deploy.hw_profiles").joinpath(f"{text}.toml")
    return parse(resource.read_bytes(), f"{text}.toml")


def parse(content: bytes, where: str) -> Profile:
    """The profile that the bytes of a TOML file describe; ``where`` names the file in errors."""
    try:
        document = tomllib.loads(content.decode("utf-8"))
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise UsageError(
            "the profile is not a TOML file in UTF-8",
            where=where,
            found=str(error),
            remedy="Mend the syntax.",
        ) from error
    listed = document.get(SOURCES_KEY)
    context = {SOURCES_KEY: tuple(listed) if isinstance(listed, dict) else ()}
    try:
        return Profile.model_validate(document, context=context)
    except ValidationError as error:
        raise UsageError([_violation(detail, where) for detail in error.errors(include_url=False)]) from error


def inherit_energy(profile: Profile, donor: Profile) -> Profile:
    """``profile`` with the price lists of ``donor``, every entry of which is marked as inherited.

    UsageError if the profile has prices of its own or does not list the donor as one to inherit from.
    """
    energy = profile.energy
    if energy.available or donor.name not in energy.inheritable_from or not donor.energy.available:
        allowed = (
            ", ".join(energy.inheritable_from) if not energy.available else "nothing: it has its own prices"
        )
        raise UsageError(
            f"profile '{profile.name}' cannot inherit the energies of '{donor.name}'",
            where="--inherit",
            found=donor.name,
            allowed=allowed or "nothing",
            remedy="Leave the option out, or compare within a profile that has its own prices.",
        )
    tables = {name: _inherited(table, donor.name) for name, table in donor.energy.tables.items()}
    inherited = energy.model_copy(
        update={"tables": tables, "nominal": donor.energy.nominal, "inherited_from": donor.name}
    )
    sources = {**donor.sources, **profile.sources}
    return profile.model_copy(update={"energy": inherited, "sources": sources})


def _inherited(table: EnergyTable, donor: str) -> EnergyTable:
    update: dict[str, Any] = {"title": f"inherited from {donor}: {table.title}"}
    for field in EnergyTable.model_fields:
        entry = getattr(table, field)
        if field != "title" and entry is not None:
            note = f"inherited from {donor}, where it is {entry.status}"
            update[field] = entry.model_copy(
                update={"status": "inherited", "note": f"{note}; {entry.note}" if entry.note else note}
            )
    return table.model_copy(update=update)


def _read(path: Path) -> bytes:
    try:
        size = path.stat().st_size
        if size > MAX_BYTES:
            raise UsageError(
                "the file is too large for a hardware profile",
                where=str(path),
                found=f"{size} bytes",
                allowed=f"at most {MAX_BYTES} bytes",
            )
        return path.read_bytes()
    except OSError as error:
        raise UsageError(
            "the profile cannot be read",
            where=str(path),
            found=error.strerror or str(error),
            remedy=f"Give the path of a .toml file, or one of {', '.join(names())}.",
        ) from error


def _violation(detail: Any, where: str) -> Violation:
    path = ".".join(str(part) for part in detail["loc"])
    place = f"{where}: {path}" if path else where
    kind = detail["type"]
    if kind == "extra_forbidden":
        return Violation(
            "unknown key", place, repr(detail["input"])[:80], remedy="Remove it or mend its name."
        )
    if kind == "missing":
        return Violation("missing key", place, remedy="Every number carries unit, status and source.")
    if kind == "literal_error" and path.endswith("status"):
        return Violation("unknown status", place, repr(detail["input"]), ", ".join(STATUSES))
    message = str(detail["msg"]).removeprefix("Value error, ")
    found = "" if isinstance(detail["input"], dict) or kind == "value_error" else repr(detail["input"])[:80]
    return Violation(message, place, found)
