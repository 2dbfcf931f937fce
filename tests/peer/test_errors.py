"""Errors that one process describes to another keep their class and their words."""

import pytest

from peer import errors
from peer.errors import Exit, ExtraMissingError, PeerError, of_another_process


@pytest.mark.parametrize("code", [code for code in Exit if code > Exit.INTERNAL])
def test_each_number_has_its_class_again(code):
    error = of_another_process(int(code), "what happened", "what to do")
    assert str(error) == "what happened. what to do"
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, PeerError)]
    own = [kind for kind in kinds if kind.code == code]
    assert type(error) in (own or [PeerError])


def test_a_class_that_words_its_message_itself_is_no_exception():
    error = of_another_process(85, "it needs the extra `hf`", "Install it")
    assert type(error) is ExtraMissingError
    assert (error.message, error.remedy) == ("it needs the extra `hf`", "Install it")


def test_a_number_of_another_version_is_a_plain_error():
    assert type(of_another_process(249, "a", "b")) is PeerError
