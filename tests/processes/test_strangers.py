"""What strangers can do to a peer: other runs, garbage, half-open connections. None costs a thing."""

import os
import signal
import socket

import pytest

from tests.processes.support import family, small_run

pytestmark = [pytest.mark.processes, pytest.mark.timeout(240)]


def _port(address: str) -> int:
    parts = address.split("/")
    return int(parts[parts.index("tcp") + 1])


def test_two_runs_refuse_each_other_with_the_fields_named(tmp_path):
    with family(tmp_path) as members:
        here = members.found("here")
        address = here.address
        there = members.found("there")
        there.wait_for("share_ready")
        there.end(signal.SIGTERM)
        members.run_file.write_text(members.run_file.read_text().replace("batch = 4", "batch = 8"))
        other = members.found("other")
        other.wait_for("joined")
        other.end(signal.SIGTERM)

        guest = members.start("other", "--bootstrap", address)
        assert guest.wait() == 11
        said = " ".join(guest.said)
        assert "inner.batch: 8 here, 4 there" in said
        assert "Traceback" not in said
        refused = here.wait_for("manifest_refused")
        assert "inner.batch: 4 here, 8 there" in refused["fields"]


def test_garbage_and_silence_on_the_port_cost_nothing(tmp_path):
    with family(tmp_path) as members:
        # Outer steps so long that no exchange fails because its share is overtaken.
        members.run_file.write_text(small_run(400))
        first = members.found("first")
        address = first.address
        second = members.start("second", "--bootstrap", address)
        second.wait_for("exchange_done")
        sockets = []
        for data in (os.urandom(4096), b"GET / HTTP/1.1\r\n\r\n", b"\x13/multistream/1.0.0\n", b""):
            for _ in range(5):
                stranger = socket.create_connection(("127.0.0.1", _port(address)))
                sockets.append(stranger)
                stranger.sendall(data)
        failed = sum(told["event"] == "exchange_failed" for told in first.drain())
        for _ in range(3):
            first.wait_for("exchange_done")
        third = members.start("third", "--bootstrap", address)
        third.wait_for("state_fetched")
        third.wait_for("exchange_done")
        after = sum(told["event"] == "exchange_failed" for told in first.drain())
        for stranger in sockets:
            stranger.close()
        assert after == failed
        assert first.end(signal.SIGTERM) == 0


def test_a_home_serves_one_daemon_and_says_who_has_it(tmp_path):
    with family(tmp_path) as members:
        holder = members.found("home")
        holder.wait_for("joined")
        late = members.start("home")
        assert late.wait() == 30
        assert str(holder.process.pid) in " ".join(late.said)


def test_a_bootstrap_that_is_not_there_is_one_clear_line(tmp_path):
    with family(tmp_path) as members:
        nobody = "/ip4/127.0.0.1/tcp/9/p2p/12D3KooWEfY2TmhEWp1scTkNTgGcB6sBdaeicFJXJjeBmUpFMyg8"
        peer = members.start("home", "--bootstrap", nobody)
        assert peer.wait() == 20
        assert len(peer.said) == 1
        assert nobody in peer.said[0]
