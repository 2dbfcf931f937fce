"""Rows of text in a data set's files: Parquet by row groups, text files whole, the rest by `datasets`."""

from collections.abc import Iterator
from typing import Any

from peer.errors import DataError
from peer.trainer.hf.failures import reading

BATCH = 256
"""Rows that are read at once."""

TEXT = ("string", "large_string", "string_view")
"""What Arrow calls text."""

LARGEST_TEXT = 256 << 20
"""Bytes of a text file."""


class ParquetRows:
    """Rows of Parquet files, of which only the column and the row groups that are wanted are fetched."""

    def __init__(self, files: tuple[str, ...], column: str) -> None:
        """Look at the first file.

        Raises:
            DataError: it has no such column of text.
            OSError: it cannot be read now.
            ValueError: it is damaged.
        """
        self.files = len(files)
        self._files = files
        self._column = column
        self._open: tuple[int, Any] | None = None
        check_column(column, self._file(0).schema_arrow)

    def groups(self, file: int) -> int:
        """See `Rows`."""
        groups: int = self._file(file).num_row_groups
        return groups

    def read(self, file: int, group: int, start: int) -> Iterator[object]:
        """See `Rows`."""
        row = 0
        with reading(self._files[file]):
            batches = self._file(file).iter_batches(BATCH, row_groups=[group], columns=[self._column])
            for batch in batches:
                if row + len(batch) > start:
                    yield from batch.column(0)[max(0, start - row) :].to_pylist()
                row += len(batch)

    def _file(self, number: int) -> Any:  # noqa: ANN401 - pyarrow has no types
        """Return a file, of which the last one asked for stays open: to open one takes several requests."""
        import fsspec
        import pyarrow.parquet

        if self._open is None or self._open[0] != number:
            self._open = None
            with reading(self._files[number]):
                name = self._files[number]
                source = fsspec.open(name, "rb").open() if "://" in name else name
                self._open = number, pyarrow.parquet.ParquetFile(source, pre_buffer=True)
        return self._open[1]


class TextRows:
    """Text files, each of which is one row."""

    def __init__(self, files: tuple[str, ...]) -> None:
        self.files = len(files)
        self._files = files

    def groups(self, file: int) -> int:
        """See `Rows`."""
        del file
        return 1

    def read(self, file: int, group: int, start: int) -> Iterator[object]:
        """See `Rows`.

        Raises:
            DataError: it is too large to be one row.
        """
        import fsspec

        del group
        if start:
            return
        name = self._files[file]
        with reading(name):
            with fsspec.open(name, "rb") as stream:
                text = stream.read(LARGEST_TEXT + 1)
            if len(text) > LARGEST_TEXT:
                raise DataError(
                    f"{name} has more than {LARGEST_TEXT >> 20} MiB, and a text file is one row",
                    'Cut it, or take it as data.source = "text".',
                )
            yield text.decode()


class StreamedRows:
    """Rows as an `IterableDataset` gives them, each of whose shards is a file."""

    def __init__(self, stream: Any, column: str) -> None:  # noqa: ANN401 - datasets has no types for us
        """Look at the first rows.

        Raises:
            DataError: there is no such column.
            OSError: they cannot be read now.
            ValueError: they are damaged.
        """
        self.files: int = stream.num_shards
        self._stream = stream.with_format("arrow")
        self._column = column
        with reading("the first file"):
            table = next(iter(self._stream.iter(batch_size=1)), None)
        if table is not None:
            check_column(column, table.schema)

    def groups(self, file: int) -> int:
        """See `Rows`: nothing tells where in such a file one could begin."""
        del file
        return 1

    def read(self, file: int, group: int, start: int) -> Iterator[object]:
        """See `Rows`."""
        del group
        with reading(f"file {file + 1} of {self.files}"):
            rows = self._stream.shard(self.files, file).skip(start)
            for table in rows.iter(batch_size=BATCH):
                yield from table.column(self._column).to_pylist()


def check_column(column: str, schema: Any) -> None:  # noqa: ANN401 - pyarrow has no types
    """See that a column is there, and holds text.

    Raises:
        DataError: it is not, or does not.
    """
    if column not in schema.names:
        remedy = f"Set data.column to one of {', '.join(schema.names[:20])}."
        raise DataError(f"the data set has no column {column!r}", remedy)
    kind = str(schema.field(column).type)
    if kind not in TEXT:
        raise DataError(f"the column {column!r} of the data set holds {kind}, not text", "Name another one.")
