"""A wrong value is named in words that a person knows."""

import pytest
from typer.testing import CliRunner

from peer.cli.main import app
from peer.cli.words import plain


@pytest.mark.parametrize(
    "arguments",
    [
        ["swarm", "--preset", "gosip"],
        ["swarm", "--peers", "0"],
        ["swarm", "--steps", "many"],
        ["start", "--bulk-port", "65536"],
        ["sample", "x", "--top-p", "1.5"],
        ["sample", "x", "--top-p", "most"],
    ],
)
def test_no_word_of_the_library_that_checks_it_comes_through(arguments):
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 2
    assert f"Invalid value for '{arguments[-2]}': " in done.output
    assert "Input should" not in done.output
    assert "Value error" not in done.output


def test_what_is_allowed_is_kept():
    assert plain("Input should be greater than or equal to 1") == "it must be 1 or more"
    assert plain("Value error, 'x' is not one of 'a', 'b'.") == "'x' is not one of 'a', 'b'."
    assert plain("nobody knows this") == "nobody knows this"
