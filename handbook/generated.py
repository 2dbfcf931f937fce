"""What pages may ask for by name, and who writes it."""

from collections.abc import Callable

from handbook import errors

GENERATED: dict[str, Callable[[], str]] = {
    "exits": errors.exits,
    "findings": errors.findings,
}
