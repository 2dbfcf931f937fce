"""What libraries raise means one of three things: gone for good, damaged, or another try."""

import zlib

import pytest

from peer.errors import DataError, Exit
from peer.trainer.hf.failures import first_line, looking_for, reading
from peer.trainer.streams.patience import UnreachableError

pytest.importorskip("datasets", reason="the extra `hf` is not installed")


def of_hub(name, status):
    """An error as `huggingface_hub` makes it of an answer."""
    import httpx
    from huggingface_hub import errors

    response = httpx.Response(status, request=httpx.Request("GET", "http://hub/x"))
    return getattr(errors, name)(f"{status} Client Error.\nmore", response=response)


def of_datasets(name, text):
    from datasets import exceptions

    return getattr(exceptions, name)(text)


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (
            lambda: of_hub("GatedRepoError", 403),
            "the data set org/name is gated: its owners want to know who reads",
        ),
        (
            lambda: of_hub("RepositoryNotFoundError", 404),
            "no data set org/name to be had: 404 Client Error. Check the",
        ),
        (lambda: of_hub("RevisionNotFoundError", 404), "no data set org/name to be had: 404"),
        (
            lambda: of_datasets("DatasetNotFoundError", "Dataset 'x' is gated"),
            "to be had: Dataset 'x' is gated",
        ),
        (
            lambda: ValueError("BuilderConfig 'x' not found"),
            "org/name cannot be used: BuilderConfig 'x' not found",
        ),
        (lambda: FileNotFoundError("Unable to find"), "org/name cannot be used: Unable to find"),
    ],
)
def test_what_is_gone_is_said_in_a_line(error, said):
    with pytest.raises(DataError, match=said) as caught, looking_for("org/name"):
        raise error()
    assert not isinstance(caught.value, UnreachableError)
    assert caught.value.code == Exit.DATA_INVALID


@pytest.mark.parametrize(
    "error",
    [
        lambda: ConnectionError("no route"),
        lambda: TimeoutError("no route"),
        lambda: RuntimeError("no route"),
        lambda: of_hub("HfHubHTTPError", 503),
        lambda: of_hub("HfHubHTTPError", 429),
        lambda: of_local(),
    ],
)
def test_who_does_not_answer_may_answer_later(error):
    with pytest.raises(UnreachableError, match="org/name cannot be reached"), looking_for("org/name"):
        raise error()


def of_local():
    """Raised where a file is not in the cache and the network is down: it is a missing file too."""
    from huggingface_hub.errors import LocalEntryNotFoundError

    return LocalEntryNotFoundError("no cache, no network")


def test_our_own_words_stay_as_they_are():
    for read in (looking_for("x"), reading("x")):
        with pytest.raises(DataError, match=r"^mine\. Mend it$"), read:
            raise DataError("mine", "Mend it")


@pytest.mark.parametrize(
    "error",
    [
        ValueError("x"),
        KeyError("x"),
        EOFError("x"),
        zlib.error("x"),
        UnicodeDecodeError("utf-8", b"", 0, 1, "x"),
    ],
)
def test_damaged_rows_are_told_from_others(error):
    with pytest.raises(ValueError, match="file 3: "), reading("file 3"):
        raise error


def test_damage_in_arrow_and_in_packed_files_is_damage():
    import gzip

    import pyarrow as pa

    for error in (pa.ArrowInvalid("x"), pa.ArrowNotImplementedError("x"), gzip.BadGzipFile("x")):
        with pytest.raises(ValueError, match="file 3: x"), reading("file 3"):
            raise error


@pytest.mark.parametrize(
    "error", [OSError("x"), FileNotFoundError("x"), RuntimeError("x"), ConnectionError("x")]
)
def test_the_rest_may_pass(error):
    with pytest.raises(OSError, match="x"), reading("file 3"):
        raise error


def test_words_are_few():
    assert first_line(ValueError("one.\ntwo")) == "one"
    assert first_line(ValueError()) == "ValueError"
    assert len(first_line(ValueError("x" * 1000))) == 200
