"""The life of a swarm by hand: join, join through another, die, come back, lose the founder, join again."""

import os
import select
import signal
import statistics
from itertools import pairwise

import pytest

from tests.processes.support import family

pytestmark = [pytest.mark.processes, pytest.mark.timeout(300)]

LONGEST_PAUSE = 10.0
"""Seconds: the floor of the exchange deadline (`peer.swarm.exchange`)."""


def _longest_pause(peer):
    """Seconds by which the longest outer step was longer than they are on this machine just now."""
    times = [told["time"] for told in peer.drain() if told["event"] == "share_ready"]
    gaps = [later - earlier for earlier, later in pairwise(times)]
    return max(gaps) - statistics.median(gaps)


def test_a_swarm_outlives_any_of_its_members_its_founder_too(tmp_path):
    with family(tmp_path) as members:
        first = members.found("first")
        first_address = first.address
        second = members.start("second", "--bootstrap", first_address)
        second.wait_for("state_fetched")
        third = members.start("third", "--bootstrap", second.address)
        fourth = members.start("fourth", "--bootstrap", first_address)
        for peer in (first, second, third, fourth):
            peer.wait_for("exchange_done")
        assert third.status()["peers_in_view"] == 3

        second.end(signal.SIGKILL)
        for peer in (first, third, fourth):
            peer.drain()
            peer.wait_for("exchange_done")
            peer.wait_for("exchange_done")
            assert _longest_pause(peer) < LONGEST_PAUSE

        second = members.start("second")
        started = second.wait_for("trainer_started")
        assert started["resumed"]
        assert started["inner_step"] > 0
        second.wait_for("exchange_done")

        first.end(signal.SIGKILL)
        fifth = members.start("fifth", "--bootstrap", third.address)
        fetched = fifth.wait_for("state_fetched")
        assert fetched["inner_step"] > 0
        fifth.wait_for("exchange_done")

        for peer in (second, third, fourth, fifth):
            assert peer.end(signal.SIGTERM) == 0
            peer.drain()
            assert peer.events[-1]["event"] == "stopped"
        assert any(told["event"] == "peer_gone" and told["reason"] == "goodbye" for told in fifth.events)


def test_the_trainers_death_is_survived_and_shown(tmp_path):
    with family(tmp_path) as members:
        peer = members.found("only")
        peer.wait_for("share_ready", lambda told: told["outer_step"] >= 2)
        os.kill(peer.status()["trainer_pid"], signal.SIGKILL)
        died = peer.wait_for("trainer_died")
        assert (died["code"], died["restarts"]) == (-signal.SIGKILL, 1)
        peer.wait_for("trainer_started")
        peer.wait_for("share_ready")
        assert peer.status()["trainer_restarts"] == 1
        assert peer.end(signal.SIGINT) == 0


def test_nothing_is_left_running_when_a_daemon_is_killed(tmp_path):
    with family(tmp_path) as members:
        peer = members.found("only")
        peer.wait_for("share_ready")
        trainer = os.pidfd_open(peer.status()["trainer_pid"])
        peer.end(signal.SIGKILL)
        ended, _, _ = select.select([trainer], [], [], 30)
        os.close(trainer)
        assert ended, "the trainer outlived its daemon"
