"""A table of rules, and how it is asked."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from snn_deploy.errors import ModelNotSupported, Violation

#: Looks at one form and yields what is wrong with it.
Rule = Callable[[Any], Iterable[Violation]]

#: Stages of rules; the rules of a stage may rely on those of the stages before it.
Table = tuple[tuple[Rule, ...], ...]

Form = TypeVar("Form")


def violations(form: object, table: Table) -> list[Violation]:
    """Everything that breaks a rule, of the first stage of the table that finds anything."""
    for stage in table:
        found = [violation for rule in stage for violation in rule(form)]
        if found:
            return found
    return []


def check(form: Form, table: Table) -> Form:
    """Return ``form``; raises ModelNotSupported with all violations where it breaks a rule of its table."""
    found = violations(form, table)
    if found:
        raise ModelNotSupported(found)
    return form
