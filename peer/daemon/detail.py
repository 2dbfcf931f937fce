"""What `peer top` shows: a look into one node, taken when somebody asks."""

import shutil
import time
from pathlib import Path

from peer.daemon.node import Node
from protocol.control import MOST_LINKS, MOST_TRANSFERS, Detail, Link, Transfer


class Details:
    """Looks into a node."""

    def __init__(self, node: Node, home: Path) -> None:
        self._node = node
        self._home = home
        self._began = time.monotonic()

    def __call__(self) -> Detail:
        """Gather all that a person may want to watch. Lists are bounded: an answer is one frame."""
        node, told = self._node, self._node.reporter
        progress, manifest = told.progress, node.run_.manifest
        status, swarm = node.status(), node.swarm.statistics()
        return Detail(
            status=status,
            time=time.time(),
            uptime=time.monotonic() - self._began,
            every=manifest.outer.every,
            next_boundary=told.next_boundary,
            seconds_per_step=told.pace,
            learning_rate=progress.learning_rate if progress else None,
            losses=told.losses.points(),
            recent=tuple(told.recent),
            failed=swarm.exchange.failed,
            refused=swarm.exchange.refused,
            links=self._links(),
            transfers=self._transfers(),
            disk_free=_free(self._home),
            splits=swarm.horizon.splits,
            torn=node.swarm.view.torn(),
        )

    def _links(self) -> tuple[Link, ...]:
        found = self._node.swarm.links(MOST_LINKS)
        return tuple(
            Link(
                peer=link.peer_id,
                way=link.way,
                lanes=link.lanes,
                rate_in=link.rate_in,
                rate_out=link.rate_out,
                round_trip=link.round_trip,
                avoided=link.avoided,
            )
            for link in found
        )

    def _transfers(self) -> tuple[Transfer, ...]:
        found = self._node.swarm.transfers.statistics()[:MOST_TRANSFERS]
        return tuple(
            Transfer(
                peer=each.peer_id,
                outward=each.outward,
                size=each.size,
                moved=each.moved,
                seconds=each.seconds,
            )
            for each in found
        )


def _free(folder: Path) -> int:
    try:
        return shutil.disk_usage(folder).free
    except OSError:
        return 0
