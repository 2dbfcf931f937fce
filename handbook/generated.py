"""What pages may ask for by name, and who writes it."""

from collections.abc import Callable

from handbook import commands, errors, messages, metrics, runs

GENERATED: dict[str, Callable[[], str]] = {
    "commands": commands.commands,
    "events": messages.events,
    "exits": errors.exits,
    "findings": errors.findings,
    "local-messages": messages.local,
    "metrics": metrics.metrics,
    "presets": runs.presets,
    "run-file": runs.run_file,
    "swarm-messages": messages.swarm,
}
