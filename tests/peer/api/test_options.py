from pathlib import Path
from typing import get_type_hints

import pytest
import typer

from peer import Peer
from peer.api.options import Options, arguments
from peer.cli.main import app

OURS = {"home", "bootstrap", "run", "log_format", "stop_on_eof"}
"""What a `Peer` sets itself, or has an argument of its own for."""


def test_options_stand_on_the_command_line_as_a_person_would_write_them():
    given = Options(
        listen=["/ip4/127.0.0.1/tcp/0", "/ip6/::1/tcp/0"],
        announce_loopback=True,
        upnp=False,
        steps=200,
        data=Path("a text"),
        upload_limit=None,
    )
    assert list(arguments(given)) == [
        "--listen=/ip4/127.0.0.1/tcp/0",
        "--listen=/ip6/::1/tcp/0",
        "--announce-loopback",
        "--no-upnp",
        "--steps=200",
        "--data=a text",
    ]


def test_every_option_is_one_of_the_command():
    command = vars(typer.main.get_command(app))["commands"]["start"]
    known = {opt[2:].replace("-", "_") for each in command.params for opt in each.opts}
    assert set(get_type_hints(Options)) <= known - OURS


def test_an_option_that_is_none_is_refused_where_it_is_given():
    with pytest.raises(TypeError, match="Peer has no option devcie"):
        Peer(home="a", devcie="cpu")
