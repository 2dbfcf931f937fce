"""What the libraries that read data sets raise, as what it means: gone for good, damaged, or another try."""

import gzip
import zlib
from collections.abc import Iterator
from contextlib import contextmanager

from peer.errors import DataError, PeerError
from peer.trainer.streams.patience import UnreachableError

LONGEST = 200
"""Characters of a library's words that are repeated."""

_DAMAGED = (
    ValueError,
    TypeError,
    LookupError,
    EOFError,
    NotImplementedError,
    gzip.BadGzipFile,
    zlib.error,
)

_SCRIPT = "Dataset scripts are no longer supported"


@contextmanager
def looking_for(name: str) -> Iterator[None]:
    """Say in one line what is wrong with the data set `name`, or that nobody answers.

    Raises:
        DataError: there is none, it is not for us, or it cannot be used.
        UnreachableError: nobody answers.
    """
    from datasets.exceptions import DatasetsError
    from huggingface_hub.errors import (
        GatedRepoError,
        LocalEntryNotFoundError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    try:
        yield
    except PeerError:
        raise
    except GatedRepoError as error:
        raise DataError(
            f"the data set {name} is gated: its owners want to know who reads it",
            "Ask for access on its page on the Hub, then log in with `hf auth login`.",
        ) from error
    except (RepositoryNotFoundError, RevisionNotFoundError, DatasetsError) as error:
        remedy = "Check the name and the revision; for a private or gated one, log in with `hf auth login`."
        raise DataError(f"there is no data set {name} to be had: {first_line(error)}", remedy) from error
    except StopIteration as error:  # of `datasets`, which looks for a first row
        raise DataError(f"the data set {name} has no rows", "Check its files.") from error
    except LocalEntryNotFoundError as error:  # it is a missing file too, as the network was missing
        raise _unreachable(name, error) from error
    except (ValueError, FileNotFoundError) as error:
        remedy = "Check data.subset, data.split and the data set's files."
        raise DataError(f"the data set {name} cannot be used: {first_line(error)}", remedy) from error
    except Exception as error:  # whatever the library beneath that one raises
        if _SCRIPT in str(error):
            remedy = "Convert it to Parquet or JSON lines, or take the script out of its folder."
            raise DataError(
                f"the data set {name} has a script, and no code of a data set is run", remedy
            ) from error
        raise _unreachable(name, error) from error


@contextmanager
def reading(what: str) -> Iterator[None]:
    """Turn what libraries raise while they read rows into two kinds.

    Raises:
        OSError: another try may succeed.
        ValueError: the rows are damaged.
    """
    try:
        yield
    except PeerError:
        raise
    except _DAMAGED as error:
        if isinstance(error, OSError) and not isinstance(error, gzip.BadGzipFile):
            raise
        raise ValueError(f"{what}: {first_line(error)}") from error
    except OSError:
        raise
    except Exception as error:  # whatever the library beneath that one raises
        if type(error).__module__.split(".")[0] in ("pyarrow", "zstandard", "pandas"):
            raise ValueError(f"{what}: {first_line(error)}") from error
        raise OSError(f"{what}: {first_line(error)}") from error


def first_line(error: Exception) -> str:
    """Return the beginning of what an error says, without its last full stop, or its name."""
    lines = str(error).strip().splitlines()
    line = lines[0].rstrip(".") if lines else type(error).__name__
    return line if len(line) <= LONGEST else line[: LONGEST - 3] + "..."


def _unreachable(name: str, error: Exception) -> UnreachableError:
    return UnreachableError(
        f"the data set {name} cannot be reached: {first_line(error)}", "Check the network, and try again."
    )
