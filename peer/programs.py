"""How this program starts another part of itself."""

import sys


def python(module: str, *arguments: str) -> tuple[str, ...]:
    """Return the command that runs a module of ours in a process of its own.

    With `-P`: otherwise Python would look in the working directory first, which the script `peer` does not,
    and run what lies there under the name of a plug-in, or of a library, in place of what is installed.
    """
    return (sys.executable, "-P", "-m", module, *arguments)
