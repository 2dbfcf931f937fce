"""Which tests run beside which, where pytest has several workers."""

from xdist.scheduler import LoadScopeScheduling

PROCESSES = "tests/processes/"
"""Where the tests of real peers are."""


class Lanes(LoadScopeScheduling):  # type: ignore[misc]  # it has no types
    """Tests of one file stay together, and all those of real peers, whose processes fill the cores alone."""

    def _split_scope(self, nodeid: str) -> str:
        return PROCESSES if nodeid.startswith(PROCESSES) else nodeid.partition("::")[0]
