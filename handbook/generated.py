"""What pages may ask for by name, and who writes it."""

from collections.abc import Callable

from handbook import commands, errors, examples, messages, metrics, runs

GENERATED: dict[str, Callable[[], str]] = {
    "commands": commands.commands,
    "events": messages.events,
    "example-package": examples.package,
    "example-run": examples.run,
    "example-task": examples.task,
    "exits": errors.exits,
    "findings": errors.findings,
    "local-messages": messages.local,
    "metrics": metrics.metrics,
    "presets": runs.presets,
    "run-file": runs.run_file,
    "swarm-messages": messages.swarm,
}
