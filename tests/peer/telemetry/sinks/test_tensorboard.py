"""TensorBoard's files, read back with its own loader."""

import subprocess
import sys

import pytest

from peer.telemetry.sinks.tensorboard import TensorBoard

pytest.importorskip("tensorboard")


def _read(folder):
    from tensorboard.backend.event_processing.event_file_loader import EventFileLoader

    (file,) = folder.iterdir()
    for event in EventFileLoader(str(file)).Load():
        for value in event.summary.value:
            yield event.wall_time, event.step, value.tag, value.tensor.float_val[0]


def test_what_is_written_is_read(tmp_path):
    folder = tmp_path / "new" / "folder"
    board = TensorBoard(folder)
    board.write(1.5e9, 10, {"loss": 2.5, "skips": 0.0})
    board.write(1.6e9, 20, {"loss": 2.25})
    board.close()
    assert list(_read(folder)) == [
        (1.5e9, 10, "loss", 2.5),
        (1.5e9, 10, "skips", 0.0),
        (1.6e9, 20, "loss", 2.25),
    ]


def test_a_folder_that_cannot_be_made_is_an_error(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match="exists"):
        TensorBoard(tmp_path / "file")


def test_its_writer_brings_no_torch_into_the_daemon(tmp_path):
    code = (
        "import sys; from pathlib import Path; from peer.telemetry.sinks.tensorboard import TensorBoard\n"
        "board = TensorBoard(Path(sys.argv[1])); board.write(1.5e9, 1, {'loss': 1.0}); board.close()\n"
        "print([name for name in ('torch', 'tensorflow') if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=True, timeout=100
    )
    assert done.stdout.strip() == "[]"
