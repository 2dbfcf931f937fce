"""Rows in memory, cut into files and groups as a test likes, which can be made to fail."""

from collections.abc import Iterator

import torch


class Shelf:
    """Rows of text: a list of files, each a list of groups, each a list of rows."""

    def __init__(self, files: list[list[list[object]]]) -> None:
        self.files = len(files)
        self._files = files
        self.failing: dict[tuple[int, int, int], list[Exception]] = {}
        """Raised, one after the other, where this row of that group and file would be read."""
        self.read_rows: list[tuple[int, int, int]] = []

    def groups(self, file: int) -> int:
        return len(self._files[file])

    def read(self, file: int, group: int, start: int) -> Iterator[object]:
        for row, text in list(enumerate(self._files[file][group]))[start:]:
            if errors := self.failing.get((file, group, row)):
                raise errors.pop(0)
            self.read_rows.append((file, group, row))
            yield text

    def all(self) -> list[str]:
        return [
            row for file in self._files for group in file for row in group if isinstance(row, str) and row
        ]


def shelf(*shape: list[int]) -> Shelf:
    """Files with groups of so many rows, whose texts say where they stand."""
    return Shelf(
        [
            [[f"{file}.{group}.{row}" for row in range(rows)] for group, rows in enumerate(groups)]
            for file, groups in enumerate(shape)
        ]
    )


def letters(texts: list[str]) -> list[torch.Tensor]:
    """A token for each character."""
    return [torch.tensor([ord(letter) for letter in text], dtype=torch.int32) for text in texts]
