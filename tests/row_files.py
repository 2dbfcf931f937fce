"""Data sets in folders, as people have them: JSON lines, Parquet, CSV, text files."""

import csv
import json
from collections.abc import Sequence
from pathlib import Path

Files = Sequence[Sequence[str]]
"""The texts of each file's rows."""


def write_jsonl(folder: Path, files: Files, split: str = "train") -> Path:
    """Write a file of JSON lines for each; return the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for file, rows in enumerate(files):
        lines = (json.dumps({"text": text, "number": number}) for number, text in enumerate(rows))
        (folder / f"{split}-{file}.jsonl").write_text("".join(f"{line}\n" for line in lines))
    return folder


def write_parquet(folder: Path, files: Files, group: int = 1000) -> Path:
    """Write a Parquet file for each, with so many rows in a group; return the folder."""
    import pyarrow as pa
    from pyarrow import parquet

    folder.mkdir(parents=True, exist_ok=True)
    for file, rows in enumerate(files):
        table = pa.table({"text": list(rows), "number": list(range(len(rows)))})
        parquet.write_table(table, folder / f"train-{file}.parquet", row_group_size=group)
    return folder


def write_csv(folder: Path, files: Files) -> Path:
    """Write a CSV file for each; return the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for file, rows in enumerate(files):
        with (folder / f"train-{file}.csv").open("w", newline="") as stream:
            csv.writer(stream).writerows([("text", "number"), *((text, n) for n, text in enumerate(rows))])
    return folder


def write_texts(folder: Path, texts: Sequence[str]) -> Path:
    """Write a text file for each; return the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for file, text in enumerate(texts):
        (folder / f"{file}.txt").write_text(text)
    return folder
