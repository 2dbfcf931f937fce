"""Calls among the members of one group: bounded in time, and no answer is an answer too."""

from collections.abc import Iterable
from typing import TypeVar

import trio

from peer.swarm.calls import NO_PROGRESS, RefusedError, ask
from peer.swarm.group import Group
from peer.swarm.transport import Transport, TransportError
from peer.swarm.view import View
from protocol.errors import ProtocolError
from protocol.group_calls import GroupCall

A = TypeVar("A")


class MemberCalls:
    """Asks members by their place in the group."""

    def __init__(self, transport: Transport, run_id: bytes, view: View, group: Group) -> None:
        self._transport = transport
        self._run_id = run_id
        self._view = view
        self._group = group

    async def ask(
        self, member: int, call: GroupCall, kind: type[A], patience: float = NO_PROGRESS
    ) -> A | None:
        """Return a member's answer, or None where there is no good one within `patience` seconds."""
        contact = self._view.contact(self._group.members[member])
        if contact is None:
            return None
        with trio.move_on_after(patience):
            try:
                return await ask(self._transport, contact, self._run_id, call, kind, patience=patience)
            except (TransportError, ProtocolError, RefusedError):
                return None
        return None

    async def ask_all(self, members: Iterable[int], call: GroupCall, kind: type[A]) -> list[A]:
        """Ask several members at once; return the answers of those who gave one."""
        answers: list[A] = []

        async def ask_one(member: int) -> None:
            answer = await self.ask(member, call, kind)
            if answer is not None:
                answers.append(answer)

        async with trio.open_nursery() as nursery:
            for member in members:
                nursery.start_soon(ask_one, member)
        return answers
