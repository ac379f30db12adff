"""Every error a user can meet: what, where, found, allowed, and what to do.

One class per exit code of the command line, so that a script can tell a network that does not fit
from a backend that is not there. All violations of one check are reported at once.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True)
class Violation:
    """One broken rule.

    ``what`` names the rule, ``where`` the node path, file or option, ``found`` the offending value,
    ``allowed`` the values that pass, ``remedy`` what the user can do about it. Empty parts are left out.
    """

    what: str
    where: str = ""
    found: str = ""
    allowed: str = ""
    remedy: str = ""

    def __str__(self) -> str:
        head = f"{self.where}: {self.what}" if self.where else self.what
        parts = [head]
        if self.found:
            parts.append(f"found {self.found}")
        if self.allowed:
            parts.append(f"allowed {self.allowed}")
        text = "; ".join(parts)
        return f"{text}. {self.remedy}" if self.remedy else text


class SnnDeployError(Exception):
    """Base of all errors of this package.

    Raise it with one message, with the parts of one :class:`Violation`, or with several violations.
    """

    exit_code: ClassVar[int] = 1

    def __init__(
        self,
        what: str | Iterable[Violation],
        *,
        where: object = "",
        found: object = "",
        allowed: object = "",
        remedy: str = "",
    ) -> None:
        if isinstance(what, str):
            self.violations: tuple[Violation, ...] = (
                Violation(what, str(where), str(found), str(allowed), remedy),
            )
        else:
            self.violations = tuple(what)
        super().__init__("\n".join(str(violation) for violation in self.violations))


class UsageError(SnnDeployError):
    """The request itself is wrong: a missing file, a wrong shape, an unknown name."""

    exit_code = 2


class ModelNotSupported(SnnDeployError):
    """The model says something that Loihi or this package cannot hold."""

    exit_code = 3


class DoesNotFit(SnnDeployError):
    """The network is larger than the hardware profile."""

    exit_code = 4


class BackendUnavailable(SnnDeployError):
    """The backend, its interpreter or its board is not there, or it did not answer in time."""

    exit_code = 5


class VerificationMismatch(SnnDeployError):
    """Two runs that must agree do not."""

    exit_code = 6


class UnsafeFile(SnnDeployError):
    """A file that is damaged, or that could run code when it is opened."""

    exit_code = 7
