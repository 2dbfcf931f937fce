"""Several pieces of work at once, the first failure of which ends all."""

from collections.abc import Awaitable, Callable

import trio


async def together(*works: Callable[[], Awaitable[None]]) -> None:
    """Run all to their end; the first that fails ends the others and is raised, bare."""
    failures: list[Exception] = []
    async with trio.open_nursery() as nursery:

        async def guarded(work: Callable[[], Awaitable[None]]) -> None:
            try:
                await work()
            except Exception as error:  # noqa: BLE001 - raised below, without the nursery's wrapping
                failures.append(error)
                nursery.cancel_scope.cancel()

        for work in works:
            nursery.start_soon(guarded, work)
    if failures:
        raise failures[0]
